package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config holds every setting of the program, validated and with defaults applied: see settings.
type Config struct {
	Redis           RedisConfig
	ListenAddr      string
	MetricsAddr     string
	DrainDelay      time.Duration
	ShutdownTimeout time.Duration
	LogLevel        slog.Level
}

// RedisConfig identifies the Redis that holds the counter, and how to connect to it.
type RedisConfig struct {
	Host         string
	Port         int
	Username     string
	Password     string
	PasswordFile string
	TLS          bool
	CAFile       string
	Timeout      time.Duration
}

// address returns host:port.
func (c *RedisConfig) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// password returns the current password. An error names the file.
func (c *RedisConfig) password() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	content, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", err
	}
	// Editors and `kubectl create secret --from-file` leave a line end that is not part of the password.
	password := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if password == "" {
		return "", fmt.Errorf("%s: the file is empty", c.PasswordFile)
	}
	return password, nil
}

// rootCAs returns the current certificate authorities to trust, nil for the system's. An error names the file.
func (c *RedisConfig) rootCAs() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: the file holds no certificate in PEM form", c.CAFile)
	}
	return pool, nil
}

// setting is one environment variable. Parser, messages and -help use the same table, so they cannot disagree.
type setting struct {
	name     string
	fallback string // the default, in the variable's own form; empty means none
	form     string // completes "want ..."
	to       any    // where set stores it
	meaning  string
}

// bounded is a duration with its bounds.
type bounded struct {
	*time.Duration
	low, high time.Duration
}

// checked is a text with its form.
type checked struct {
	*string
	valid func(value string) bool
}

// file is the path of a file that read must be able to read.
type file struct {
	path *string
	read func() (content any, err error)
}

// Bounds of REDIS_TIMEOUT. At most 900 ms, so that a visitor gets a response within a second whatever Redis does; at
// least 40 ms, because half of it must suffice for a connection, with TLS in another zone.
const (
	minRedisTimeout = 40 * time.Millisecond
	maxRedisTimeout = 900 * time.Millisecond
)

// maxStopDuration bounds both durations of a shutdown. Longer ones are typing errors: a pod has 30 s by default.
const maxStopDuration = 10 * time.Minute

// settings returns all settings, which set stores in c.
func (c *Config) settings() []setting {
	r := &c.Redis
	return []setting{
		{"REDIS_HOST", "", "a host name or IP address, without scheme or port", checked{&r.Host, isHost},
			"Redis to count in. Its user needs the command INCRBY on the key hits."},
		{"REDIS_PORT", "6379", "a number from 1 to 65535", &r.Port, "Port of Redis."},
		{"REDIS_USERNAME", "", "any text", &r.Username,
			"User to log in as (Redis ACL). Without one the user is default."},
		{"REDIS_PASSWORD", "", "any text", &r.Password, "Password of that user. Without one there is no login."},
		{"REDIS_PASSWORD_FILE", "", "a readable file; a line end after the password is ignored",
			file{&r.PasswordFile, func() (any, error) { return r.password() }},
			"File that holds the password, instead of REDIS_PASSWORD. It is read for each connection."},
		{"REDIS_TLS", "false", "true or false", &r.TLS,
			"Whether to connect with TLS (1.2 or newer, certificate checked for REDIS_HOST)."},
		{"REDIS_TLS_CA_FILE", "", "a readable file of PEM certificates",
			file{&r.CAFile, func() (any, error) { return r.rootCAs() }},
			"Certificate authorities to trust instead of the system's. It is read for each connection."},
		{"REDIS_TIMEOUT", "500ms", "a duration such as 500ms or 5s, from 40ms to 900ms",
			bounded{&r.Timeout, minRedisTimeout, maxRedisTimeout},
			"Maximum time that a request waits for Redis before it gets a 503."},
		{"LISTEN_ADDR", ":5000", "[host]:port", checked{&c.ListenAddr, isAddress},
			"Address for visitors and probes: /, /healthz, /readyz."},
		{"METRICS_ADDR", ":9090", "[host]:port", checked{&c.MetricsAddr, isAddress},
			"Address for Prometheus: /metrics."},
		{"DRAIN_DELAY", "5s", "a duration such as 500ms or 5s, from 0s to 10m0s",
			bounded{&c.DrainDelay, 0, maxStopDuration},
			"How long to keep serving after SIGTERM, until load balancers stop sending requests."},
		{"SHUTDOWN_TIMEOUT", "10s", "a duration such as 500ms or 5s, from 1ms to 10m0s",
			bounded{&c.ShutdownTimeout, time.Millisecond, maxStopDuration},
			"How long requests in flight may still take after the drain."},
		{"LOG_LEVEL", "info", "debug, info, warn or error", &c.LogLevel,
			"Least severe log lines to write. Requests are logged at debug only."},
	}
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// loadConfig reads the settings from environ, a list of NAME=value. An empty value counts as not set, because
// templates often render an unused setting that way. Its error lists every problem, without secrets.
func loadConfig(environ []string) (Config, error) {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			values[name] = value
		}
	}
	var cfg Config
	var problems []string
	settings := cfg.settings()
	for _, s := range settings {
		if problem := s.set(cmp.Or(values[s.name], s.fallback)); problem != "" {
			problems = append(problems, problem)
		}
	}
	if values["REDIS_PASSWORD"] != "" && values["REDIS_PASSWORD_FILE"] != "" {
		problems = append(problems, "REDIS_PASSWORD and REDIS_PASSWORD_FILE: both are set, want only one of them")
	}
	if values["REDIS_TLS_CA_FILE"] != "" && !cfg.Redis.TLS {
		problems = append(problems, "REDIS_TLS_CA_FILE: has no effect without REDIS_TLS=true")
	}
	if cfg.ListenAddr != "" && cfg.ListenAddr == cfg.MetricsAddr && !strings.HasSuffix(cfg.ListenAddr, ":0") {
		problems = append(problems, fmt.Sprintf("LISTEN_ADDR and METRICS_ADDR: both are %q, want two ports", cfg.ListenAddr))
	}
	// A misspelled REDIS_TLS would otherwise mean a plain-text connection.
	for _, name := range slices.Sorted(maps.Keys(values)) {
		known := slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
		if strings.HasPrefix(name, "REDIS_") && !known && !serviceLink.MatchString(name) {
			problems = append(problems, name+": no such setting")
		}
	}
	if problems != nil {
		return Config{}, errors.New("invalid settings (-help lists them):\n  " + strings.Join(problems, "\n  "))
	}
	return cfg, nil
}

// serviceLink matches the variables that Kubernetes sets for a Service whose name starts with "redis".
// See https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
var serviceLink = regexp.MustCompile(`^REDIS_(.+_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`)

// set stores value, or returns what is wrong with it, without secrets. Only an optional setting accepts an empty value.
func (s setting) set(value string) (problem string) {
	var ok bool
	var reason string
	switch to := s.to.(type) {
	case *string:
		*to, ok = value, true
	case checked:
		*to.string, ok = value, to.valid(value)
	case file:
		*to.path = value
		if _, err := to.read(); err != nil {
			reason = ": " + err.Error()
		}
		ok = reason == ""
	case *int: // a port
		port, err := strconv.ParseUint(value, 10, 16)
		*to, ok = int(port), err == nil && port > 0
		if strings.Contains(value, "://") {
			reason = ": such a value comes from Kubernetes when the namespace has a Service named redis: " +
				"put enableServiceLinks: false into the pod spec, or set REDIS_PORT there"
		}
	case *bool:
		*to, ok = value == "true", value == "true" || value == "false"
	case bounded:
		d, err := time.ParseDuration(value)
		*to.Duration, ok = d, err == nil && to.low <= d && d <= to.high
	case *slog.Level:
		*to, ok = levels[value]
	}
	switch {
	case ok:
		return ""
	case value == "":
		return fmt.Sprintf("%s: not set, want %s", s.name, s.form)
	case strings.Contains(value, "@"): // a URL may hold user:password@host
		return fmt.Sprintf("%s=(value not shown): want %s%s", s.name, s.form, reason)
	}
	return fmt.Sprintf("%s=%q: want %s%s", s.name, value, s.form, reason)
}

func isHost(value string) bool {
	_, err := netip.ParseAddr(value)
	return err == nil || value != "" && !strings.ContainsAny(value, ":/@ \t\r\n[]")
}

// isAddress reports whether value is an address to listen on. Port 0 lets the system choose.
func isAddress(value string) bool {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil
}

func writeHelp(w io.Writer) {
	_, _ = io.WriteString(w, "Counts visits in Redis and answers each with the total.\n\n"+
		"Usage: app [-help | -healthcheck URL]\n\n"+
		"-healthcheck sends a GET to a running app, e.g. http://127.0.0.1:5000/readyz: exit code 0 for a 200, else 1.\n\n"+
		"Settings are environment variables. An empty one counts as not set.\n")
	for _, s := range new(Config).settings() {
		fallback := "default " + s.fallback
		switch {
		case s.fallback == "" && s.set("") != "":
			fallback = "required"
		case s.fallback == "":
			fallback = "no default"
		}
		_, _ = fmt.Fprintf(w, "\n  %s (%s)\n      %s\n      Form: %s.\n", s.name, fallback, s.meaning, s.form)
	}
	_, _ = fmt.Fprintln(w, "\nExit codes: 0 graceful shutdown, 1 failure or second signal, 2 invalid settings.")
}
