package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait in these tests. It matters only if a test fails.
const patience = 20 * time.Second

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s after %v", what, patience)
		}
	}
}

func TestGracefulStop(t *testing.T) {
	s := startService(t, Config{ShutdownTimeout: patience})

	// Two keep-alive connections of a load balancer: one is idle until the drain, one until the end.
	used, idle := dialKeepAlive(t, s.address), dialKeepAlive(t, s.address)
	for _, conn := range []*keepAlive{used, idle} {
		if answer := conn.get(t, "/readyz"); answer.StatusCode != http.StatusOK || answer.Close {
			t.Fatalf("before: got %d, close %t, want 200 on a connection that stays open", answer.StatusCode, answer.Close)
		}
	}
	// A request that is still in flight when the drain ends.
	inFlight := make(chan string, 1)
	go func() {
		answer, err := http.Get(s.url + "/")
		if err != nil {
			inFlight <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		inFlight <- string(body)
	}()
	<-s.counter.entered

	s.signals <- syscall.SIGTERM
	eventually(t, "the drain to begin", s.health.stopping.Load)

	// During the drain: not ready, but all requests are answered, old connections and new ones alike.
	answer, body := s.get(t, "/readyz")
	if answer.StatusCode != http.StatusServiceUnavailable || body != "shutting down\n" {
		t.Errorf("/readyz in the drain: got %d %q, want 503", answer.StatusCode, body)
	}
	if answer, _ := s.get(t, "/healthz"); answer.StatusCode != http.StatusOK {
		t.Errorf("/healthz in the drain: got %d, want 200", answer.StatusCode)
	}
	if answer := used.get(t, "/"); answer.StatusCode != http.StatusOK || !answer.Close {
		t.Errorf("old connection: got %d, close %t, want 200 and a close", answer.StatusCode, answer.Close)
	}
	if answer, body := s.get(t, "/"); answer.StatusCode != http.StatusOK {
		t.Errorf("late connection: got %d %q, want 200", answer.StatusCode, body)
	}

	close(s.drained)
	eventually(t, "new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if n, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("idle connection: got %d bytes and %v, want EOF", n, err)
	}
	close(s.counter.release)
	if got := <-inFlight; got != "Hello from container! I have been seen 1 times.\n" {
		t.Errorf("in flight: got %q, want the greeting", got)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("result: got %v, want none", err)
	}
}

func TestStopGivesUp(t *testing.T) {
	tests := map[string]struct {
		timeout time.Duration
		force   func(*testService)
		want    error
	}{
		"second signal in the drain": {
			patience, func(s *testService) { s.signals <- syscall.SIGTERM }, errSecondSignal,
		},
		"second signal in the shutdown": {
			patience, func(s *testService) { close(s.drained); s.signals <- syscall.SIGTERM }, errSecondSignal,
		},
		"shutdown timeout": {
			time.Millisecond, func(s *testService) { close(s.drained) }, context.DeadlineExceeded,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := startService(t, Config{ShutdownTimeout: test.timeout})
			go func() { _, _ = http.Get(s.url + "/") }() // never answered
			<-s.counter.entered
			s.signals <- syscall.SIGTERM
			eventually(t, "the drain to begin", s.health.stopping.Load)
			test.force(s)
			if err := s.wait(t); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			close(s.counter.release)
		})
	}
}

// TestBodyThatNeverComes: neither the response nor the shutdown waits for the body. net/http would wait until
// readTimeout.
func TestBodyThatNeverComes(t *testing.T) {
	for name, test := range map[string]struct {
		request  string
		wantCode int
	}{
		"GET":        {"GET / HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nabc", http.StatusOK},
		"no bytes":   {"GET / HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\n", http.StatusOK},
		"chunked":    {"GET / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", http.StatusOK},
		"large":      {"GET / HTTP/1.1\r\nHost: app\r\nContent-Length: 1000000\r\n\r\nabc", http.StatusOK},
		"continue":   {"GET / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", http.StatusOK},
		"HTTP/1.0":   {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 100\r\n\r\nabc", http.StatusOK},
		"probe":      {"GET /readyz HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nabc", http.StatusOK},
		"POST":       {"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nabc", http.StatusMethodNotAllowed},
		"other path": {"PUT /x HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nabc", http.StatusNotFound},
		"OPTIONS *":  {"OPTIONS * HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nabc", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := startService(t, Config{ShutdownTimeout: readTimeout / 2})
			close(s.counter.release)
			close(s.drained)
			conn := dialKeepAlive(t, s.address)
			if err := conn.SetDeadline(time.Now().Add(readTimeout / 2)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(conn.reader, nil)
			if err != nil {
				t.Fatalf("got no answer: %v", err)
			}
			if answer.StatusCode != test.wantCode || !answer.Close {
				t.Errorf("got %d, close %t, want %d and a close", answer.StatusCode, answer.Close, test.wantCode)
			}
			s.signals <- syscall.SIGTERM
			if err := s.wait(t); err != nil {
				t.Errorf("stop: got %v, want none", err)
			}
		})
	}
}

// TestBodyUnderWay: a client that sends its whole body before it reads the response gets the response.
func TestBodyUnderWay(t *testing.T) {
	s := startService(t, Config{ShutdownTimeout: patience})
	close(s.counter.release)
	close(s.drained)
	const size = 200 << 10 // less than net/http reads anyway
	for range 20 {
		conn := dialKeepAlive(t, s.address)
		header := fmt.Sprintf("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := io.WriteString(conn, header+strings.Repeat("x", size)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn.reader)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 405") {
			t.Errorf("got %q and %v, want 405 and then the end", answer, err)
		}
	}
	s.signals <- syscall.SIGTERM
	if err := s.wait(t); err != nil {
		t.Errorf("stop: got %v, want none", err)
	}
}

func TestMetricsStayUntilTheEnd(t *testing.T) {
	cfg := configFor(1) // nothing listens there
	cfg.DrainDelay = time.Hour
	a := startApp(t, cfg)
	a.signals <- syscall.SIGTERM
	eventually(t, "the drain to begin", func() bool { return strings.Contains(a.logs.String(), "draining") })
	code, body := a.get(t, a.metricsURL+"/metrics")
	if code != http.StatusOK || !strings.Contains(body, "http_requests_in_flight") {
		t.Errorf("got %d %q, want 200 with metrics", code, body)
	}
	a.signals <- syscall.SIGTERM
	if err := a.wait(t); !errors.Is(err, errSecondSignal) {
		t.Errorf("got %v, want %v", err, errSecondSignal)
	}
}

func TestServeReportsAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, cfg := range map[string]Config{
		"listening for visitors": {ListenAddr: taken.Addr().String(), MetricsAddr: "127.0.0.1:0"},
		"listening for metrics":  {ListenAddr: "127.0.0.1:0", MetricsAddr: taken.Addr().String()},
	} {
		err := serve(cfg, slog.New(slog.DiscardHandler), nil)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s: address in use", err, name)
		}
	}
}
