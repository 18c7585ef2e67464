package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withRedis returns the smallest valid environment plus env.
func withRedis(env ...string) []string {
	return append([]string{"REDIS_HOST=redis"}, env...)
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func passwordOf(c Config) string {
	password, err := c.Redis.password()
	if err != nil {
		return err.Error()
	}
	return password
}

func TestLoadConfigDefaults(t *testing.T) {
	got, err := loadConfig(withRedis())
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Redis:           RedisConfig{Host: "redis", Port: 6379, Timeout: 500 * time.Millisecond},
		ListenAddr:      ":5000",
		MetricsAddr:     ":9090",
		DrainDelay:      5 * time.Second,
		ShutdownTimeout: 10 * time.Second,
		LogLevel:        slog.LevelInfo,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadConfigReadsEverything(t *testing.T) {
	got, err := loadConfig([]string{
		"REDIS_HOST=10.1.2.3", "REDIS_PORT=6380", "REDIS_USERNAME=app", "REDIS_PASSWORD=s3cret=with=signs",
		"REDIS_TLS=true", "REDIS_TIMEOUT=250ms", "LISTEN_ADDR=127.0.0.1:80", "METRICS_ADDR=:81",
		"DRAIN_DELAY=0s", "SHUTDOWN_TIMEOUT=1m", "LOG_LEVEL=debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Redis: RedisConfig{
			Host: "10.1.2.3", Port: 6380, Username: "app", Password: "s3cret=with=signs",
			TLS: true, Timeout: 250 * time.Millisecond,
		},
		ListenAddr:      "127.0.0.1:80",
		MetricsAddr:     ":81",
		ShutdownTimeout: time.Minute,
		LogLevel:        slog.LevelDebug,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadConfigAccepts(t *testing.T) {
	tests := map[string]struct {
		env  []string
		want func(Config) bool
	}{
		"empty means default": {
			withRedis("REDIS_PORT=", "REDIS_PASSWORD=", "LOG_LEVEL="),
			func(c Config) bool { return c.Redis.Port == 6379 && c.LogLevel == slog.LevelInfo },
		},
		"IPv6 address": {
			[]string{"REDIS_HOST=fd00::1"},
			func(c Config) bool { return c.Redis.Host == "fd00::1" },
		},
		"password file without its line end": {
			withRedis("REDIS_PASSWORD_FILE=" + writeFile(t, " secret \r\n")),
			func(c Config) bool { return passwordOf(c) == " secret " },
		},
		"password file with one of two line ends": {
			withRedis("REDIS_PASSWORD_FILE=" + writeFile(t, "secret\n\n")),
			func(c Config) bool { return passwordOf(c) == "secret\n" },
		},
		"an empty password beside a file": {
			withRedis("REDIS_PASSWORD=", "REDIS_PASSWORD_FILE="+writeFile(t, "secret")),
			func(c Config) bool { return passwordOf(c) == "secret" },
		},
		"service links that do no harm": {
			withRedis("REDIS_SERVICE_HOST=10.0.0.1", "REDIS_SERVICE_PORT_REDIS=6379", "REDIS_PORT_6379_TCP=tcp://10.0.0.1:6379",
				"REDIS_MASTER_PORT=tcp://10.0.0.2:6379", "REDIS_PORT=6379"),
			func(c Config) bool { return c.Redis.Port == 6379 },
		},
		"ports chosen by the system": {
			withRedis("LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0"),
			func(c Config) bool { return c.ListenAddr == c.MetricsAddr },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := loadConfig(test.env)
			if err != nil {
				t.Fatal(err)
			}
			if !test.want(cfg) {
				t.Errorf("got %+v", cfg)
			}
		})
	}
}

func TestLoadConfigRejects(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	noPEM := writeFile(t, "no certificate")
	tests := map[string]struct {
		env  []string
		want []string // parts of the message
	}{
		"nothing set": {nil, []string{"REDIS_HOST: not set, want a host name or IP address"}},
		"host with scheme": {
			[]string{"REDIS_HOST=redis://r"},
			[]string{`REDIS_HOST="redis://r"`, "without scheme or port"},
		},
		"host with port": {
			[]string{"REDIS_HOST=r:6379"},
			[]string{`REDIS_HOST="r:6379"`, "without scheme or port"},
		},
		"port is a word": {
			withRedis("REDIS_PORT=redis"),
			[]string{`REDIS_PORT="redis": want a number from 1 to 65535`},
		},
		"port is zero":      {withRedis("REDIS_PORT=0"), []string{`REDIS_PORT="0"`}},
		"port is too large": {withRedis("REDIS_PORT=65536"), []string{`REDIS_PORT="65536"`}},
		"port is negative":  {withRedis("REDIS_PORT=-1"), []string{`REDIS_PORT="-1"`}},
		"port from Kubernetes": {
			withRedis("REDIS_PORT=tcp://10.0.0.1:6379"),
			[]string{`REDIS_PORT="tcp://10.0.0.1:6379"`, "Service named redis", "enableServiceLinks: false"},
		},
		"TLS is a number": {withRedis("REDIS_TLS=1"), []string{`REDIS_TLS="1": want true or false`}},
		"CA without TLS": {
			withRedis("REDIS_TLS_CA_FILE=" + noPEM),
			[]string{"REDIS_TLS_CA_FILE: has no effect without REDIS_TLS=true"},
		},
		"CA file is missing": {
			withRedis("REDIS_TLS=true", "REDIS_TLS_CA_FILE="+missing),
			[]string{"REDIS_TLS_CA_FILE=", "want a readable file of PEM certificates", "no such file"},
		},
		"CA file is no PEM": {
			withRedis("REDIS_TLS=true", "REDIS_TLS_CA_FILE="+noPEM),
			[]string{"REDIS_TLS_CA_FILE=", "holds no certificate"},
		},
		"two passwords": {
			withRedis("REDIS_PASSWORD=a", "REDIS_PASSWORD_FILE="+noPEM),
			[]string{"REDIS_PASSWORD and REDIS_PASSWORD_FILE: both are set"},
		},
		"password file gone": {
			withRedis("REDIS_PASSWORD_FILE=" + missing),
			[]string{"REDIS_PASSWORD_FILE=", missing, "want a readable file", "no such file"},
		},
		"password file empty": {
			withRedis("REDIS_PASSWORD_FILE=" + writeFile(t, "\n")),
			[]string{"REDIS_PASSWORD_FILE=", "the file is empty"},
		},
		"timeout without unit": {
			withRedis("REDIS_TIMEOUT=500"),
			[]string{`REDIS_TIMEOUT="500": want a duration such as 500ms or 5s, from 40ms to 900ms`},
		},
		"timeout of a second": {withRedis("REDIS_TIMEOUT=1s"), []string{`REDIS_TIMEOUT="1s"`, "to 900ms"}},
		"timeout too short":   {withRedis("REDIS_TIMEOUT=39ms"), []string{`REDIS_TIMEOUT="39ms"`}},
		"address without port": {
			withRedis("LISTEN_ADDR=localhost"),
			[]string{`LISTEN_ADDR="localhost": want [host]:port`},
		},
		"address, port name": {withRedis("METRICS_ADDR=:http"), []string{`METRICS_ADDR=":http"`}},
		"same address twice": {
			withRedis("METRICS_ADDR=:5000"),
			[]string{`LISTEN_ADDR and METRICS_ADDR: both are ":5000"`},
		},
		"negative drain":      {withRedis("DRAIN_DELAY=-1s"), []string{`DRAIN_DELAY="-1s"`}},
		"no shutdown timeout": {withRedis("SHUTDOWN_TIMEOUT=0s"), []string{`SHUTDOWN_TIMEOUT="0s"`}},
		"unknown level": {
			withRedis("LOG_LEVEL=INFO"),
			[]string{`LOG_LEVEL="INFO": want debug, info, warn or error`},
		},
		"misspelt variable": {withRedis("REDIS_TSL=true"), []string{"REDIS_TSL: no such setting"}},
		"all at once": {
			[]string{"REDIS_PORT=x", "LOG_LEVEL=y", "REDIS_TSL=z"},
			[]string{"REDIS_HOST: not set", "REDIS_PORT=", "LOG_LEVEL=", "REDIS_TSL:"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(test.env)
			if err == nil {
				t.Fatalf("got no error, want one with %q", test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want it to contain %q", err, part)
				}
			}
		})
	}
}

func TestMessagesDoNotShowSecrets(t *testing.T) {
	const secret = "hunter2"
	tests := map[string][]string{
		"password beside a file": withRedis("REDIS_PASSWORD="+secret, "REDIS_PASSWORD_FILE=/nowhere"),
		"misspelt variable":      withRedis("REDIS_PASWORD=" + secret),
		"URL as host":            {"REDIS_HOST=redis://app:" + secret + "@redis:6379"},
		"URL as port":            withRedis("REDIS_PORT=redis://app:" + secret + "@redis:6379"),
		"unreadable file":        withRedis("REDIS_PASSWORD="+secret, "REDIS_TLS=true", "REDIS_TLS_CA_FILE=/nowhere"),
	}
	for name, env := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(env)
			if err == nil {
				t.Fatal("got no error")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("got %q, which contains the secret", err)
			}
		})
	}
}

func TestSettingsAreComplete(t *testing.T) {
	var help bytes.Buffer
	writeHelp(&help)
	seen := map[string]bool{}
	for _, s := range new(Config).settings() {
		if seen[s.name] {
			t.Errorf("%s is listed twice", s.name)
		}
		seen[s.name] = true
		if s.meaning == "" || s.form == "" || s.to == nil {
			t.Errorf("%s: got %+v, want a meaning, a form and where to store it", s.name, s)
		}
		if problem := s.set(s.fallback); s.fallback != "" && problem != "" {
			t.Errorf("default: %s", problem)
		}
		if d, ok := s.to.(bounded); ok && !strings.HasSuffix(s.form, fmt.Sprintf("from %v to %v", d.low, d.high)) {
			t.Errorf("%s: got the form %q, want %v to %v", s.name, s.form, d.low, d.high)
		}
		for _, part := range []string{s.name, s.meaning, s.form, s.fallback} {
			if !strings.Contains(help.String(), part) {
				t.Errorf("help lacks %q of %s", part, s.name)
			}
		}
	}
}

func FuzzLoadConfig(f *testing.F) {
	f.Add("REDIS_PORT", "6379")
	f.Add("REDIS_TIMEOUT", "0.5s")
	f.Add("LISTEN_ADDR", "[::1]:80")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.HasSuffix(name, "_FILE") {
			t.Skip("reads files")
		}
		cfg, err := loadConfig(withRedis(name + "=" + value))
		if err != nil {
			return
		}
		if cfg.Redis.Port < 1 || cfg.Redis.Port > 65535 || cfg.Redis.Timeout < minRedisTimeout ||
			cfg.Redis.Timeout > maxRedisTimeout || cfg.DrainDelay < 0 || cfg.ShutdownTimeout <= 0 || cfg.Redis.Host == "" {
			t.Errorf("%s=%q: accepted as %+v", name, value, cfg)
		}
	})
}
