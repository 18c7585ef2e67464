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

// Config holds every setting of the program, validated and with defaults applied. The table settings has the
// variable, default and form of each.
type Config struct {
	Redis           RedisConfig
	ListenAddr      string        // visitors and probes, host:port
	MetricsAddr     string        // metrics, host:port
	DrainDelay      time.Duration // how long to keep serving after SIGTERM
	ShutdownTimeout time.Duration // how long requests in flight may still take after the drain
	LogLevel        slog.Level
}

// RedisConfig identifies the Redis that holds the counter, and how to connect to it.
type RedisConfig struct {
	Host         string
	Port         int
	Username     string // empty means Redis' user "default"
	Password     string // empty means the one in PasswordFile, or no authentication
	PasswordFile string // read for each connection, so that a new password needs no restart
	TLS          bool
	CAFile       string        // certificate authorities, read for each connection; empty means the system's
	Timeout      time.Duration // the longest that a request waits for Redis
}

// address returns host:port.
func (c RedisConfig) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// password returns the current password. An error names the file.
func (c RedisConfig) password() (string, error) {
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
func (c RedisConfig) rootCAs() (*x509.CertPool, error) {
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

// setting is one environment variable. The same table drives the parser, the error messages and -help, so the three
// cannot disagree.
type setting struct {
	name     string
	required bool
	fallback string // the default, in the variable's own form; empty means none
	meaning  string
	form     string // completes "want ..."
	set      func(c *Config, value string) error
}

// Bounds of REDIS_TIMEOUT. At most 900 ms, so that a visitor gets a response within a second whatever Redis does; at
// least 40 ms, because a quarter of it is the interval at which silence checks the connection.
const (
	minRedisTimeout = 40 * time.Millisecond
	maxRedisTimeout = 900 * time.Millisecond
)

// maxStopDuration bounds the two durations of a shutdown. Longer ones are typing errors: Kubernetes kills a pod after
// its grace period, which is 30 s by default.
const maxStopDuration = 10 * time.Minute

var settings = []setting{
	{name: "REDIS_HOST", required: true, form: "a host name or IP address, without scheme or port", set: setHost,
		meaning: "Redis to count in. Its user needs the command INCRBY on the key hits."},
	{name: "REDIS_PORT", fallback: "6379", form: "a number from 1 to 65535", set: setPort, meaning: "Port of Redis."},
	{name: "REDIS_USERNAME", form: "any text", set: func(c *Config, v string) error { c.Redis.Username = v; return nil },
		meaning: "User to log in as (Redis ACL). Without one the user is default."},
	{name: "REDIS_PASSWORD", form: "any text", set: func(c *Config, v string) error { c.Redis.Password = v; return nil },
		meaning: "Password of that user. Without one there is no login."},
	{name: "REDIS_PASSWORD_FILE", form: "a readable file; a line end after the password is ignored", set: setPasswordFile,
		meaning: "File that holds the password, instead of REDIS_PASSWORD. It is read for each connection."},
	{name: "REDIS_TLS", fallback: "false", form: "true or false", set: setTLS,
		meaning: "Whether to connect with TLS (1.2 or newer, certificate checked for REDIS_HOST)."},
	{name: "REDIS_TLS_CA_FILE", form: "a readable file of PEM certificates", set: setCAFile,
		meaning: "Certificate authorities to trust instead of the system's. It is read for each connection."},
	{name: "REDIS_TIMEOUT", fallback: "500ms", form: durationForm(minRedisTimeout, maxRedisTimeout),
		set:     duration(minRedisTimeout, maxRedisTimeout, func(c *Config) *time.Duration { return &c.Redis.Timeout }),
		meaning: "Maximum time that a request waits for Redis before it gets a 503."},
	{name: "LISTEN_ADDR", fallback: ":5000", form: "[host]:port",
		set:     address(func(c *Config) *string { return &c.ListenAddr }),
		meaning: "Address for visitors and probes: /, /healthz, /readyz."},
	{name: "METRICS_ADDR", fallback: ":9090", form: "[host]:port",
		set: address(func(c *Config) *string { return &c.MetricsAddr }), meaning: "Address for Prometheus: /metrics."},
	{name: "DRAIN_DELAY", fallback: "5s", form: durationForm(0, maxStopDuration),
		set:     duration(0, maxStopDuration, func(c *Config) *time.Duration { return &c.DrainDelay }),
		meaning: "How long to keep serving after SIGTERM, until load balancers stop sending requests."},
	{name: "SHUTDOWN_TIMEOUT", fallback: "10s", form: durationForm(time.Millisecond, maxStopDuration),
		set:     duration(time.Millisecond, maxStopDuration, func(c *Config) *time.Duration { return &c.ShutdownTimeout }),
		meaning: "How long requests in flight may still take after the drain."},
	{name: "LOG_LEVEL", fallback: "info", form: "debug, info, warn or error", set: setLogLevel,
		meaning: "Least severe log lines to write. Requests are logged at debug only."},
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
	for _, s := range settings {
		value := cmp.Or(values[s.name], s.fallback)
		if value == "" {
			if s.required {
				problems = append(problems, fmt.Sprintf("%s: not set, want %s", s.name, s.form))
			}
		} else if err := s.set(&cfg, value); err != nil {
			problems = append(problems, s.problem(value, err))
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

// errServiceLink explains REDIS_PORT=tcp://10.0.0.1:6379, which Kubernetes sets where a Service is named redis.
var errServiceLink = errors.New("such a value comes from Kubernetes when the namespace has a Service named redis: " +
	"put enableServiceLinks: false into the pod spec, or set REDIS_PORT there")

// errForm means that the value does not have the setting's form, without a further reason.
var errForm = errors.New("wrong form")

// problem describes a value that set rejected.
func (s setting) problem(value string, err error) string {
	shown := strconv.Quote(value)
	if strings.Contains(value, "@") { // a URL may hold user:password@host
		shown = "(value not shown)"
	}
	text := fmt.Sprintf("%s=%s: want %s", s.name, shown, s.form)
	if !errors.Is(err, errForm) {
		text += ": " + err.Error()
	}
	return text
}

func setHost(c *Config, value string) error {
	if _, err := netip.ParseAddr(value); err != nil && strings.ContainsAny(value, ":/@ \t\r\n[]") {
		return errForm
	}
	c.Redis.Host = value
	return nil
}

func setPort(c *Config, value string) error {
	port, err := strconv.ParseUint(value, 10, 16)
	switch {
	case strings.Contains(value, "://"):
		return errServiceLink
	case err != nil || port == 0:
		return errForm
	}
	c.Redis.Port = int(port)
	return nil
}

func setTLS(c *Config, value string) error {
	if value != "true" && value != "false" {
		return errForm
	}
	c.Redis.TLS = value == "true"
	return nil
}

func setPasswordFile(c *Config, path string) error {
	c.Redis.PasswordFile = path
	_, err := c.Redis.password()
	return err
}

func setCAFile(c *Config, path string) error {
	c.Redis.CAFile = path
	_, err := c.Redis.rootCAs()
	return err
}

// setLogLevel accepts slog's level names, but neither upper case nor an offset such as info+1.
func setLogLevel(c *Config, value string) error {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, value) {
		return errForm
	}
	return c.LogLevel.UnmarshalText([]byte(value))
}

func durationForm(low, high time.Duration) string {
	return fmt.Sprintf("a duration such as 500ms or 5s, from %v to %v", low, high)
}

// duration returns a setter for a duration between low and high.
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

// address returns a setter for an address to listen on. Port 0 lets the system choose.
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

// writeHelp prints the help text.
func writeHelp(w io.Writer) {
	_, _ = io.WriteString(w, "Counts visits in Redis and answers each with the total.\n\n"+
		"Usage: app [-help | -version | -healthcheck URL]\n\n"+
		"-healthcheck sends a GET to a running app, e.g. http://127.0.0.1:5000/readyz: exit code 0 for a 200, else 1.\n\n"+
		"Settings are environment variables. An empty one counts as not set.\n")
	for _, s := range settings {
		fallback := "default " + s.fallback
		switch {
		case s.required:
			fallback = "required"
		case s.fallback == "":
			fallback = "no default"
		}
		_, _ = fmt.Fprintf(w, "\n  %s (%s)\n      %s\n      Form: %s.\n", s.name, fallback, s.meaning, s.form)
	}
	_, _ = fmt.Fprintln(w, "\nExit codes: 0 graceful shutdown, 1 failure or second signal, 2 invalid settings.")
}
