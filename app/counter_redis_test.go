package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHitsAreCountedOnceEach(t *testing.T) {
	redis := startRedis(t)
	cfg := redis.config()
	cfg.Redis.Timeout = maxRedisTimeout // a busy machine must not count as an outage
	// Two instances of the program on one Redis, like two pods.
	apps := []*testApp{startApp(t, cfg), startApp(t, cfg)}
	for _, a := range apps {
		a.eventuallyAnswers(t, "/readyz", http.StatusOK)
	}
	const visitors, visits = 20, 50

	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for i := range visitors {
		a := apps[i%len(apps)]
		group.Go(func() {
			for range visits {
				code, body := a.get(t, a.url+"/")
				if code != http.StatusOK {
					t.Errorf("got %d %q, want 200", code, body)
				}
				mu.Lock()
				seen[body]++
				mu.Unlock()
			}
		})
	}
	group.Wait()

	for n := 1; n <= visitors*visits; n++ {
		if body := fmt.Sprintf("Hello from container! I have been seen %d times.\n", n); seen[body] != 1 {
			t.Errorf("%q: got %d times, want once", body, seen[body])
		}
	}
	stats := redis.do("INFO", "commandstats")
	if want := fmt.Sprintf("cmdstat_incrby:calls=%d,", len(apps)+visitors*visits); !strings.Contains(stats, want) {
		t.Errorf("got %s\nwant %s", stats, want)
	}
	if strings.Contains(stats, "cmdstat_get:") {
		t.Errorf("got %s\nwant no GET", stats)
	}
	if a := apps[0]; strings.Contains(a.logs.String(), `"request"`) {
		t.Errorf("got %s\nwant no line per request", a.logs)
	}
}

func TestRequestsAreLoggedAtDebug(t *testing.T) {
	redis := startRedis(t)
	cfg := redis.config()
	cfg.LogLevel = slog.LevelDebug
	a := startApp(t, cfg)
	a.get(t, a.url+"/missing")
	eventually(t, "a line per request", func() bool {
		return strings.Contains(a.logs.String(), `"msg":"request","method":"GET","path":"/missing","code":404`)
	})
}

func TestLogin(t *testing.T) {
	redis := startRedis(t, "--requirepass", "pass word",
		"--user", "app", "on", ">app-secret", "~hits", "+incrby",
		"--user", "reader", "on", ">reader-secret", "~hits", "+get")
	tests := map[string]struct {
		username, password string
		wantReady          bool
	}{
		"password":                   {"", "pass word", true},
		"user with least privileges": {"app", "app-secret", true},
		"no password":                {"", "", false},
		"wrong password":             {"", "guess", false},
		"wrong password of a user":   {"app", "pass word", false},
		"user who may not count":     {"reader", "reader-secret", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := redis.config()
			cfg.Redis.Username, cfg.Redis.Password = test.username, test.password
			a := startApp(t, cfg)
			if test.wantReady {
				a.eventuallyAnswers(t, "/readyz", http.StatusOK)
				a.eventuallyAnswers(t, "/", http.StatusOK)
			} else {
				a.eventuallyLogs(t, "redis is not available")
				a.eventuallyAnswers(t, "/", http.StatusServiceUnavailable)
				if code, body := a.get(t, a.url+"/readyz"); code != http.StatusServiceUnavailable {
					t.Errorf("/readyz: got %d %q, want 503", code, body)
				}
			}
			if test.password != "" && strings.Contains(a.logs.String(), test.password) {
				t.Errorf("got %s, which contains the password", a.logs)
			}
		})
	}
}

// TestReadyMeansThatVisitsCount: a rollout replaces working pods with ready ones, so a ready pod must be able to
// count.
func TestReadyMeansThatVisitsCount(t *testing.T) {
	tests := map[string]struct {
		redis  []string // arguments
		before []string // a command
		want   string   // in the log; empty if the program becomes ready
	}{
		"no INCR":   {[]string{"--rename-command", "INCR", ""}, nil, ""},
		"no INCRBY": {[]string{"--rename-command", "INCRBY", ""}, nil, "unknown command"},
		"no number": {nil, []string{"SET", hitsKey, "many"}, "not an integer"},
		"no text":   {nil, []string{"LPUSH", hitsKey, "1"}, "WRONGTYPE"},
		"no memory": {[]string{"--maxmemory", "1"}, nil, "OOM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			redis := startRedis(t, test.redis...)
			if test.before != nil {
				redis.do(test.before...)
			}
			a := startApp(t, redis.config())
			if test.want == "" {
				a.eventuallyAnswers(t, "/readyz", http.StatusOK)
				a.eventuallyAnswers(t, "/", http.StatusOK)
				return
			}
			a.eventuallyLogs(t, test.want)
			for _, path := range []string{"/readyz", "/"} {
				if code, body := a.get(t, a.url+path); code != http.StatusServiceUnavailable {
					t.Errorf("%s: got %d %q, want 503", path, code, body)
				}
			}
			_, metrics := a.get(t, a.metricsURL+"/metrics")
			if strings.Contains(metrics, `redis_call_errors_total{reason="reply"} 0`) {
				t.Errorf("got %s\nwant replies counted", metrics)
			}
		})
	}
}

// TestRenewedFiles: an administrator changes the password or the certificate authority of Redis, and then the file that
// the program reads it from.
func TestRenewedFiles(t *testing.T) {
	oldCert, oldKey := writeCertificate(t, "127.0.0.1")
	newCert, newKey := writeCertificate(t, "127.0.0.1")
	secured := func(cert, key string) func(port string) []string {
		return func(port string) []string {
			return []string{"--port", "0", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
				"--tls-ca-cert-file", cert, "--tls-auth-clients", "no"}
		}
	}
	login := func(password string) func(string) []string {
		return func(string) []string { return []string{"--requirepass", password} }
	}
	tests := map[string]struct {
		old, renewed func(port string) []string // arguments of Redis
		variable     string
		before       string // in the file
		after        string
		want         string // in the log
		env          []string
	}{
		"password": {login("before"), login("after"), "REDIS_PASSWORD_FILE", "before\n", "after\n", "WRONGPASS", nil},
		"certificate authority": {secured(oldCert, oldKey), secured(newCert, newKey), "REDIS_TLS_CA_FILE",
			readFile(t, oldCert), readFile(t, newCert), "TLS handshake: tls: failed to verify certificate",
			[]string{"REDIS_TLS=true"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			redis := startRedis(t)
			restart := func(args func(string) []string) {
				redis.kill()
				redis.args = append(slices.Clone(redis.args), args(strconv.Itoa(redis.port))...)
				redis.start()
			}
			restart(test.old)
			file := writeFile(t, test.before)
			cfg, err := loadConfig(append(test.env, "REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", redis.port),
				test.variable+"="+file, "REDIS_TIMEOUT=900ms", "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0"))
			if err != nil {
				t.Fatal(err)
			}
			a := startApp(t, cfg)
			a.eventuallyAnswers(t, "/", http.StatusOK)

			restart(test.renewed)
			eventually(t, "the log to contain "+test.want, func() bool {
				a.get(t, a.url+"/")
				return strings.Contains(a.logs.String(), test.want)
			})
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the log to name the missing file", func() bool {
				a.get(t, a.url+"/")
				return strings.Contains(a.logs.String(), test.variable+": open "+file)
			})
			if err := os.WriteFile(file, []byte(test.after), 0o600); err != nil {
				t.Fatal(err)
			}
			a.eventuallyAnswers(t, "/", http.StatusOK)
			if strings.Contains(a.logs.String(), "before") {
				t.Errorf("got %s, which contains the password", a.logs)
			}
		})
	}
}

// TestManagedRedis: a managed Redis requires TLS and a user with minimal permissions, which are those that the Pulumi
// program grants.
func TestManagedRedis(t *testing.T) {
	source, err := os.ReadFile("../Pulumi.yaml")
	if err != nil {
		t.Skip("there is no Pulumi program next to the app: ", err)
	}
	_, access, _ := strings.Cut(string(source), "  elasticacheAccess:\n    type: string\n    default: ")
	access, _, found := strings.Cut(access, "\n")
	if !found {
		t.Fatal("the Pulumi program grants the app no permissions")
	}
	certFile, keyFile := writeCertificate(t, "127.0.0.1")
	port := freePort(t)
	redis := startRedis(t, append([]string{
		"--tls-port", fmt.Sprint(port), "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", certFile, "--tls-auth-clients", "no", "--user", "scaleout", ">app-secret",
	}, strings.Fields(access)...)...)
	cfg, err := loadConfig([]string{"REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", port),
		"REDIS_TLS=true", "REDIS_TLS_CA_FILE=" + certFile, "REDIS_USERNAME=scaleout", "REDIS_TIMEOUT=900ms",
		"LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Redis.Password = "app-secret"
	a := startApp(t, cfg)
	a.eventuallyAnswers(t, "/readyz", http.StatusOK)
	a.eventuallyAnswers(t, "/", http.StatusOK)
	if answer := redis.do("ACL", "DRYRUN", "scaleout", "GET", "hits"); !strings.Contains(answer, "no permissions") {
		t.Errorf("the user may read: %s", answer)
	}
}

func TestTLS(t *testing.T) {
	certFile, keyFile := writeCertificate(t, "127.0.0.1")
	port := freePort(t)
	startRedis(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", certFile, "--tls-auth-clients", "no")
	tests := map[string]struct {
		tls, trusted bool
		host         string
		wantCode     int
		wantBlame    bool // the log names the certificate
	}{
		"trusted authority":        {true, true, "127.0.0.1", http.StatusOK, false},
		"unknown authority":        {true, false, "127.0.0.1", http.StatusServiceUnavailable, true},
		"certificate for another":  {true, true, "localhost", http.StatusServiceUnavailable, true},
		"plain text to a TLS port": {false, false, "127.0.0.1", http.StatusServiceUnavailable, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			env := []string{"REDIS_HOST=" + test.host, fmt.Sprintf("REDIS_PORT=%d", port),
				fmt.Sprintf("REDIS_TLS=%t", test.tls), "REDIS_TIMEOUT=900ms",
				"LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0"}
			if test.trusted {
				env = append(env, "REDIS_TLS_CA_FILE="+certFile)
			}
			cfg, err := loadConfig(env)
			if err != nil {
				t.Fatal(err)
			}
			a := startApp(t, cfg)
			a.eventuallyAnswers(t, "/", test.wantCode)
			if test.wantBlame {
				a.eventuallyLogs(t, "certificate")
			} else if strings.Contains(a.logs.String(), "certificate") {
				t.Errorf("got %s, want no mention of the certificate", a.logs)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// writeCertificate makes a self-signed certificate for an IP address.
func writeCertificate(t *testing.T, ip string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", private)
}
