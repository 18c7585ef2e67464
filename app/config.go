package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config holds every setting of the program, checked and with defaults applied. See the table in settings.go for
// the variable, default and accepted form of each.
type Config struct {
	Redis           RedisConfig
	ListenAddr      string        // visitors and probes, host:port
	MetricsAddr     string        // metrics, host:port
	DrainDelay      time.Duration // how long to keep serving after SIGTERM
	ShutdownTimeout time.Duration // how long requests in flight may still take after the drain
	LogLevel        slog.Level
}

// RedisConfig says which Redis holds the counter and how to reach it.
type RedisConfig struct {
	Host         string
	Port         int
	Username     string // empty means Redis' user "default"
	Password     string // empty means that of PasswordFile, or no authentication
	PasswordFile string // read for each connection, so that a new password needs no restart
	TLS          bool
	CAFile       string        // certificate authorities, read for each connection; empty means the system's
	Timeout      time.Duration // the longest that a request waits for Redis
}

// address returns what to connect to.
func (c RedisConfig) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// password returns the password as it is now. An error names the file.
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

// rootCAs returns the certificate authorities to trust as they are now, nil for the system's. An error names the file.
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

// configError lists every problem found, so that one failed start is enough to fix them all.
type configError []string

// Error implements error.
func (e configError) Error() string {
	return "invalid settings (-help lists them):\n  " + strings.Join(e, "\n  ")
}

// errServiceLink explains REDIS_PORT=tcp://10.0.0.1:6379, which Kubernetes sets where a Service is named redis.
var errServiceLink = errors.New("such a value comes from Kubernetes when the namespace has a Service named redis: " +
	"put enableServiceLinks: false into the pod spec, or set REDIS_PORT there")

// loadConfig reads the settings from environ, a list of NAME=value. An empty value counts as not set, because
// templates often render an unused setting that way.
func loadConfig(environ []string) (Config, error) {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			values[name] = value
		}
	}

	var cfg Config
	var problems configError
	for _, s := range settings {
		value, given := values[s.name]
		switch {
		case !given && s.required:
			problems = append(problems, fmt.Sprintf("%s: not set, want %s", s.name, s.form))
			continue
		case !given && s.fallback == "":
			continue
		case !given:
			value = s.fallback
		}
		if err := s.set(&cfg, value); err != nil {
			problems = append(problems, s.problem(value, err))
		}
	}
	problems = append(problems, conflicts(values, cfg)...)
	problems = append(problems, unknown(environ)...)
	if problems != nil {
		return Config{}, problems
	}
	return cfg, nil
}

// problem describes a value that set rejected.
func (s setting) problem(value string, err error) string {
	if s.name == "REDIS_PORT" && strings.Contains(value, "://") {
		err = errServiceLink
	}
	shown := strconv.Quote(value)
	if s.secret || strings.Contains(value, "@") { // a URL may hold user:password@host
		shown = "(value not shown)"
	}
	text := fmt.Sprintf("%s=%s: want %s", s.name, shown, s.form)
	if !errors.Is(err, errForm) {
		text += ": " + err.Error()
	}
	return text
}

// conflicts finds settings that are each fine but do not go together.
func conflicts(values map[string]string, cfg Config) (problems []string) {
	if values["REDIS_PASSWORD"] != "" && values["REDIS_PASSWORD_FILE"] != "" {
		problems = append(problems, "REDIS_PASSWORD and REDIS_PASSWORD_FILE: both are set, want only one of them")
	}
	if values["REDIS_TLS_CA_FILE"] != "" && !cfg.Redis.TLS {
		problems = append(problems, "REDIS_TLS_CA_FILE: has no effect without REDIS_TLS=true")
	}
	if cfg.ListenAddr != "" && cfg.ListenAddr == cfg.MetricsAddr && !strings.HasSuffix(cfg.ListenAddr, ":0") {
		problems = append(problems, fmt.Sprintf("LISTEN_ADDR and METRICS_ADDR: both are %q, want two ports", cfg.ListenAddr))
	}
	return problems
}

// serviceLink matches the variables that Kubernetes sets for a Service whose name starts with "redis".
// See https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
var serviceLink = regexp.MustCompile(`^REDIS_(.+_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`)

// unknown finds misspelt REDIS_ variables: a lost REDIS_TLS would otherwise mean a plain-text connection. It never
// shows a value, which may be a password.
func unknown(environ []string) (problems []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		known := !strings.HasPrefix(name, "REDIS_") || value == "" || serviceLink.MatchString(name)
		for _, s := range settings {
			known = known || s.name == name
		}
		if !known {
			problems = append(problems, name+": no such setting")
		}
	}
	return problems
}

// errForm means that the value has not the setting's form and that there is nothing to add to that.
var errForm = errors.New("wrong form")

func setHost(c *Config, value string) error {
	if _, err := netip.ParseAddr(value); err != nil && strings.ContainsAny(value, ":/@ \t\r\n[]") {
		return errForm
	}
	c.Redis.Host = value
	return nil
}

func setPort(c *Config, value string) error {
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
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
