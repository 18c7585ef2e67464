package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// setting is one environment variable. The same table drives the parser, the error messages and -help, so the three
// cannot disagree.
type setting struct {
	name     string
	meaning  string
	form     string // completes "want ..."
	fallback string // the default, in the variable's own form; empty means none
	required bool
	secret   bool // the value must not appear in any message
	set      func(c *Config, value string) error
}

// Bounds of REDIS_TIMEOUT. At most 900 ms, so that a visitor is answered within a second whatever Redis does; at
// least 40 ms, because a quarter of it is the interval of pings (see openRedis).
const (
	minRedisTimeout = 40 * time.Millisecond
	maxRedisTimeout = 900 * time.Millisecond
)

// maxStopDuration bounds the two durations of a stop. Longer ones are typing errors: Kubernetes kills a pod after
// its grace period, which is 30 s by default.
const maxStopDuration = 10 * time.Minute

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

var settings = []setting{
	{
		name: "REDIS_HOST", meaning: "Redis to count in. Its user needs the command INCRBY on the key hits.",
		form: "a host name or IP address, without scheme or port", required: true, set: setHost,
	}, {
		name: "REDIS_PORT", meaning: "Port of Redis.",
		form: "a number from 1 to 65535", fallback: "6379", set: setPort,
	}, {
		name: "REDIS_USERNAME", meaning: "User to log in as (Redis ACL). Without one the user is default.",
		form: "any text", set: func(c *Config, v string) error { c.Redis.Username = v; return nil },
	}, {
		name: "REDIS_PASSWORD", meaning: "Password of that user. Without one there is no login.",
		form: "any text", secret: true, set: func(c *Config, v string) error { c.Redis.Password = v; return nil },
	}, {
		name:    "REDIS_PASSWORD_FILE",
		meaning: "File that holds the password, instead of REDIS_PASSWORD. It is read for each connection.",
		form:    "a readable file; a line end after the password is ignored", set: setPasswordFile,
	}, {
		name: "REDIS_TLS", meaning: "Whether to connect with TLS (1.2 or newer, certificate checked for REDIS_HOST).",
		form: "true or false", fallback: "false", set: setTLS,
	}, {
		name:    "REDIS_TLS_CA_FILE",
		meaning: "Certificate authorities to trust instead of the system's. It is read for each connection.",
		form:    "a readable file of PEM certificates", set: setCAFile,
	}, {
		name: "REDIS_TIMEOUT", meaning: "The longest that a request waits for Redis before it is answered with 503.",
		form: durationForm(minRedisTimeout, maxRedisTimeout), fallback: "500ms",
		set: duration(minRedisTimeout, maxRedisTimeout, func(c *Config) *time.Duration { return &c.Redis.Timeout }),
	}, {
		name: "LISTEN_ADDR", meaning: "Address for visitors and probes: /, /healthz, /readyz.",
		form: addressForm, fallback: ":5000", set: address(func(c *Config) *string { return &c.ListenAddr }),
	}, {
		name: "METRICS_ADDR", meaning: "Address for Prometheus: /metrics.",
		form: addressForm, fallback: ":9090", set: address(func(c *Config) *string { return &c.MetricsAddr }),
	}, {
		name: "DRAIN_DELAY", meaning: "How long to keep serving after SIGTERM, until load balancers have noticed.",
		form: durationForm(0, maxStopDuration), fallback: "5s",
		set: duration(0, maxStopDuration, func(c *Config) *time.Duration { return &c.DrainDelay }),
	}, {
		name: "SHUTDOWN_TIMEOUT", meaning: "How long requests in flight may still take after the drain.",
		form: durationForm(time.Millisecond, maxStopDuration), fallback: "10s",
		set: duration(time.Millisecond, maxStopDuration, func(c *Config) *time.Duration { return &c.ShutdownTimeout }),
	}, {
		name: "LOG_LEVEL", meaning: "Least severe log lines to write. Requests are logged at debug only.",
		form: "debug, info, warn or error", fallback: "info", set: setLogLevel,
	},
}

const addressForm = "[host]:port"

func durationForm(low, high time.Duration) string {
	return fmt.Sprintf("a duration such as 500ms or 5s, from %v to %v", low, high)
}

// duration makes a setter for a duration between low and high.
func duration(low, high time.Duration, field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < low || d > high {
			return errForm
		}
		*field(c) = d
		return nil
	}
}

// address makes a setter for an address to listen on. Port 0 lets the system choose.
func address(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		_, port, err := net.SplitHostPort(value)
		if err != nil {
			return errForm
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errForm
		}
		*field(c) = value
		return nil
	}
}

func setLogLevel(c *Config, value string) error {
	level, ok := logLevels[value]
	if !ok {
		return errForm
	}
	c.LogLevel = level
	return nil
}

// writeHelp prints what -help shows.
func writeHelp(w io.Writer) {
	var b strings.Builder
	b.WriteString("Counts visits in Redis and answers each with the total.\n\n" +
		"Usage: app [-help | -version | -healthcheck URL]\n\n" +
		"-healthcheck asks a running app, e.g. for http://127.0.0.1:5000/readyz: exit code 0 if it answers 200, else 1.\n\n" +
		"Settings are environment variables. An empty one counts as not set.\n")
	for _, s := range settings {
		fallback := "default " + s.fallback
		switch {
		case s.required:
			fallback = "required"
		case s.fallback == "":
			fallback = "no default"
		}
		fmt.Fprintf(&b, "\n  %s (%s)\n      %s\n      Form: %s.\n", s.name, fallback, s.meaning, s.form)
	}
	b.WriteString("\nExit codes: 0 stopped as asked, 1 failed or stopped by a second signal, 2 invalid settings.\n")
	_, _ = io.WriteString(w, b.String())
}
