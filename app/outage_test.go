package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// In these tests every response to testApp.get must arrive within a second.

// tooMany exceeds the concurrent calls of the Redis client (2^8, see openRedis), so that some calls wait for a slot
// before they wait for Redis.
const tooMany = 600

func TestRedisIsDownAtStart(t *testing.T) {
	redis := startRedis(t)
	redis.kill()
	a := startApp(t, redis.config())

	for range 3 {
		if code, body := a.get(t, a.url+"/"); code != http.StatusServiceUnavailable {
			t.Errorf("/: got %d %q, want 503", code, body)
		}
	}
	if code, _ := a.get(t, a.url+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: got %d, want 200", code)
	}
	if code, body := a.get(t, a.url+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: got %d %q, want 503", code, body)
	}

	redis.start()
	// No request is needed: the program probes Redis by itself.
	a.eventuallyAnswers(t, "/readyz", http.StatusOK)
	a.eventuallyAnswers(t, "/", http.StatusOK)
}

func TestRedisOutage(t *testing.T) {
	tests := map[string]struct{ begin, end func(*redisServer) }{
		"killed and restarted": {(*redisServer).kill, (*redisServer).start},
		"hangs":                {(*redisServer).pause, (*redisServer).resume},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			redis := startRedis(t)
			a := startApp(t, redis.config())
			a.eventuallyAnswers(t, "/", http.StatusOK)

			test.begin(redis)
			a.eventuallyAnswers(t, "/", http.StatusServiceUnavailable)
			if got := a.burst(t, tooMany); got[http.StatusServiceUnavailable] != tooMany {
				t.Errorf("/ in the outage: got %v, want only 503", got)
			}
			if code, body := a.get(t, a.url+"/"); code != http.StatusServiceUnavailable {
				t.Errorf("/ in the outage: got %d %q, want 503", code, body)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if code, body := a.get(t, a.url+path); code != http.StatusOK {
					t.Errorf("%s in the outage: got %d %q, want 200", path, code, body)
				}
			}

			test.end(redis)
			a.eventuallyAnswers(t, "/", http.StatusOK)
			for _, line := range []string{"redis is not available", "redis is available again"} {
				if got := strings.Count(a.logs.String(), line); got != 1 {
					t.Errorf("%q: got %d lines, want 1: %s", line, got, a.logs)
				}
			}
			_, metrics := a.get(t, a.metricsURL+"/metrics")
			if !regexp.MustCompile(`redis_call_errors_total\{reason="\w+"\} [1-9]`).MatchString(metrics) {
				t.Errorf("got %s\nwant errors counted", metrics)
			}
		})
	}
}

// TestOutageThatChangesItsReason: if Redis is restarted with another password, the log reports the new reason, too.
func TestOutageThatChangesItsReason(t *testing.T) {
	redis := startRedis(t)
	a := startApp(t, redis.config())
	a.eventuallyAnswers(t, "/", http.StatusOK)
	redis.kill()
	a.eventuallyAnswers(t, "/", http.StatusServiceUnavailable)
	redis.args = append(redis.args, "--requirepass", "new")
	redis.start()
	eventually(t, "the log to name the new reason", func() bool {
		a.get(t, a.url+"/")
		return containsAll(a.logs.String(), []string{"redis is still not available", "NOAUTH"})
	})
}

// TestLogSaysWhatIsWrong: the log has the phase, the address, the error that Redis sent before it closed the
// connection, and a possible cause.
func TestLogSaysWhatIsWrong(t *testing.T) {
	cert, key := writeCertificate(t, "127.0.0.1")
	tlsPort := strconv.Itoa(freePort(t))
	secure := []string{"--tls-port", tlsPort, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert}
	tests := map[string]struct {
		redis      []string
		tls, toTLS bool     // whether the program uses TLS, and whether the port does
		hangs      bool     // whether Redis hangs from the start
		want       []string // in one line of the log; ADDR stands for the address
		metric     string
	}{
		"too many clients": {
			[]string{"--maxclients", "1"}, false, false, false,
			[]string{"ADDR: max number of clients reached"}, reasonReply,
		},
		"too many clients, TLS": {
			append([]string{"--maxclients", "1", "--tls-auth-clients", "no"}, secure...), true, true, false,
			[]string{"ADDR: TLS handshake: ", "maxclients"}, reasonConnection,
		},
		"TLS to a plain port": {
			nil, true, false, false,
			[]string{"ADDR: TLS handshake: ", "no answer within 100ms", "does that port speak TLS?"}, reasonTimeout,
		},
		"plain text to a TLS port": {
			secure, false, true, false,
			[]string{"ADDR: greeting: ", "does that port want TLS (REDIS_TLS=true)?"}, reasonConnection,
		},
		"client certificate": {
			secure, true, true, false,
			[]string{"ADDR: greeting: ", "certificate required"}, reasonConnection,
		},
		"hangs": {
			nil, false, false, true,
			[]string{"ADDR: greeting: ", "i/o timeout\""}, reasonTimeout,
		},
		"hangs, TLS": {
			append([]string{"--tls-auth-clients", "no"}, secure...), true, true, true,
			[]string{"ADDR: TLS handshake: no answer within 100ms"}, reasonTimeout,
		},
		"nobody may do anything without a login": {
			[]string{"--user", "default", "off"}, false, false, false,
			[]string{"ADDR: NOAUTH"}, reasonReply,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			redis := startRedis(t, test.redis...)
			occupy(t, redis)
			if test.hangs {
				redis.pause()
			}
			cfg := redis.config()
			cfg.Redis.TLS, cfg.Redis.CAFile = test.tls, cert
			if test.toTLS {
				cfg.Redis.Port, _ = strconv.Atoi(tlsPort)
			}
			a := startApp(t, cfg)
			eventually(t, fmt.Sprintf("the log to contain %q", test.want), func() bool {
				a.get(t, a.url+"/")
				for line := range strings.Lines(a.logs.String()) {
					if containsAll(strings.ReplaceAll(line, cfg.Redis.address(), "ADDR"), test.want) {
						return true
					}
				}
				return false
			})
			_, metrics := a.get(t, a.metricsURL+"/metrics")
			if strings.Contains(metrics, `redis_call_errors_total{reason="`+test.metric+`"} 0`) {
				t.Errorf("got %s\nwant reason %s counted", metrics, test.metric)
			}
		})
	}
}

func containsAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

// occupy opens a connection that Redis counts as a client.
func occupy(t *testing.T, redis *redisServer) {
	t.Helper()
	eventually(t, "a free client slot", func() bool {
		conn, err := net.Dial("tcp", redis.address())
		if err != nil {
			return false
		}
		t.Cleanup(func() { conn.Close() })
		answer := make([]byte, 5)
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			return false
		}
		_, err = io.ReadFull(conn, answer)
		return err == nil && !strings.HasPrefix(string(answer), "-ERR")
	})
}

// TestHangUnderLoad suspends Redis while hundreds of calls are in flight. All must get a response, and none may be
// retried: the total never exceeds the number of requests.
func TestHangUnderLoad(t *testing.T) {
	redis := startRedis(t)
	a := startApp(t, redis.config())
	a.eventuallyAnswers(t, "/", http.StatusOK)

	redis.pause()
	if got := a.burst(t, tooMany); got[http.StatusServiceUnavailable] != tooMany {
		t.Errorf("/ in the hang: got %v, want only 503", got)
	}
	redis.resume()

	requests := int64(1 + tooMany)
	eventually(t, "an answer after the hang", func() bool {
		requests++
		code, _ := a.get(t, a.url+"/")
		return code == http.StatusOK
	})
	total, err := strconv.ParseInt(redis.do("GET", hitsKey), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if total > requests {
		t.Errorf("got a total of %d, want at most the %d requests made", total, requests)
	}
}

func TestAddressThatDoesNotAnswer(t *testing.T) {
	a := startApp(t, configFor(silentAddress(t)))
	if code, body := a.get(t, a.url+"/"); code != http.StatusServiceUnavailable {
		t.Errorf("/: got %d %q, want 503", code, body)
	}
	if got := a.burst(t, tooMany); got[http.StatusServiceUnavailable] != tooMany {
		t.Errorf("/: got %v, want only 503", got)
	}
	_, metrics := a.get(t, a.metricsURL+"/metrics")
	if strings.Contains(metrics, `redis_call_errors_total{reason="timeout"} 0`) {
		t.Errorf("got %s\nwant timeouts counted", metrics)
	}
}

func TestAddressOfAnotherProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(l, http.NotFoundHandler()) }()
	defer l.Close()
	a := startApp(t, configFor(l.Addr().(*net.TCPAddr).Port))
	if code, body := a.get(t, a.url+"/"); code != http.StatusServiceUnavailable {
		t.Errorf("/: got %d %q, want 503", code, body)
	}
	a.eventuallyLogs(t, fmt.Sprintf(`%s: greeting: \"HTTP/1.1 400 Bad Request`, l.Addr()))
}

// TestFailover simulates the failover of a managed Redis: the old primary becomes a read-only replica but keeps its
// connections, and its DNS name resolves to the new primary.
func TestFailover(t *testing.T) {
	old, promoted := startRedis(t), startRedis(t)
	var target atomic.Pointer[redisServer]
	target.Store(old)
	a := startApp(t, configFor(startProxy(t, &target)))
	a.eventuallyAnswers(t, "/", http.StatusOK)

	promoted.do("SET", hitsKey, "1000")
	old.do("REPLICAOF", "127.0.0.1", fmt.Sprint(promoted.port))
	target.Store(promoted)

	if body := a.eventuallyAnswers(t, "/", http.StatusOK); !strings.Contains(body, "seen 1001 times") {
		t.Errorf("got %q, want the hit counted by the new primary", body)
	}
}

// startProxy stands in for a name whose address changes: it forwards each new connection to the current target.
func startProxy(t *testing.T, target *atomic.Pointer[redisServer]) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target.Load().address())
			if err != nil {
				client.Close()
				continue
			}
			go func() { io.Copy(server, client); server.Close() }()
			go func() { io.Copy(client, server); client.Close() }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// silentAddress returns a port on which connections are never established, as behind a firewall that drops packets:
// the accept queue of the listening socket is full, so the kernel ignores further attempts.
func silentAddress(t *testing.T) (port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port = name.(*syscall.SockaddrInet4).Port
	for range 10 {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 100*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("connections are still accepted")
	return 0
}

// TestOneDialStandsForManyCalls: every dial resolves the name, which takes many DNS queries in a cluster.
func TestOneDialStandsForManyCalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dials atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			conn.Close() // fails the TLS handshake
		}
	}()
	cfg := configFor(l.Addr().(*net.TCPAddr).Port)
	cfg.Redis.TLS = true
	begun := time.Now()
	c, err := openRedis(cfg.Redis)
	if err != nil {
		t.Fatal(err)
	}
	defer c.client.Close()
	const visitors, calls = 100, 10
	var group sync.WaitGroup
	for range visitors {
		group.Go(func() {
			for range calls {
				if _, err := c.Add(t.Context(), 1); err == nil {
					t.Error("got a count, want none")
				}
			}
		})
	}
	group.Wait()
	if most := 1 + int64(time.Since(begun)/(cfg.Redis.Timeout/4)); dials.Load() > most {
		t.Errorf("got %d dials for %d calls, want at most %d", dials.Load(), visitors*calls, most)
	}
}

// TestSilence: a connection is broken when calls have waited for three intervals to four without data from Redis,
// whenever they begin, and never while no call waits.
func TestSilence(t *testing.T) {
	const interval, least, most = time.Second, 3 * time.Second, 4 * time.Second
	tests := map[string]struct {
		let    func(*redisCounter) // runs half an interval after a call began
		silent bool                // from the last data in let on, or since the call began
	}{
		"nothing comes": {func(*redisCounter) {}, true},
		"nothing comes, others call": {func(c *redisCounter) {
			c.begin()
			time.Sleep(interval)
			c.begin()
		}, true},
		"received, then nothing": {func(c *redisCounter) {
			for range 10 {
				c.received.Add(1)
				time.Sleep(interval)
			}
			c.received.Add(1)
		}, true},
		"answered":          {func(c *redisCounter) { c.received.Add(1); c.calls.Add(-1) }, false},
		"given up":          {func(c *redisCounter) { c.calls.Add(-1) }, false},
		"rest, then a call": {func(c *redisCounter) { c.calls.Add(-1); time.Sleep(9 * interval); c.begin() }, true},
		"a call after rest": {func(c *redisCounter) { c.calls.Add(-1); c.begin() }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // time is simulated
				near, far := net.Pipe()
				defer far.Close()
				c := &redisCounter{cfg: RedisConfig{Timeout: checksPerTimeout * interval}, begun: make(chan struct{}, 1)}
				c.conn.Store(&redisConn{Conn: near, received: &c.received})
				go c.watch()
				c.begin()
				last := time.Now()
				time.Sleep(interval / 2)
				received := c.received.Load()
				test.let(c)
				if c.received.Load() != received {
					last = time.Now()
				}
				broken := make(chan time.Duration, 1)
				go func() {
					_, err := near.Read(make([]byte, 1))
					if errors.Is(err, os.ErrDeadlineExceeded) {
						broken <- time.Since(last)
					}
				}()
				time.Sleep(10 * interval)
				select {
				case took := <-broken:
					if !test.silent || took < least || took > most {
						t.Errorf("broken after %v, want silence %t", took, test.silent)
					}
				default:
					if test.silent {
						t.Error("not broken in ten intervals")
					}
				}
				near.Close()
				close(c.begun)
				for c.calls.Load() > 0 {
					c.calls.Add(-1)
				}
				time.Sleep(interval) // for the last check
			})
		})
	}
}

// TestRest: an idle program sends no commands to Redis, because the CPU that they take would count as load for the
// autoscaler.
func TestRest(t *testing.T) {
	redis := startRedis(t)
	a := startApp(t, redis.config())
	a.eventuallyAnswers(t, "/", http.StatusOK)
	commands := func() int {
		_, after, _ := strings.Cut(redis.do("INFO", "stats"), "total_commands_processed:")
		n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := commands()
	again := commands() - before // commands of the query itself
	time.Sleep(5 * redis.config().Redis.Timeout)
	if got := commands() - before - 2*again; got > 0 {
		t.Errorf("got %d commands at rest, want none", got)
	}
}
