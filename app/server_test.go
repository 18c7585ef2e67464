package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeCounter counts in memory, or fails with err.
type fakeCounter struct {
	n   atomic.Int64
	err error
}

func (c *fakeCounter) Add(_ context.Context, hits int64) (int64, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.n.Add(hits), nil
}

// newTestHandler returns the public handler with counter, in the ready state.
func newTestHandler(counter Counter) (http.Handler, *health, *metrics) {
	h, m := &health{}, newMetrics()
	h.reached.Store(true)
	return newHandler(&hitHandler{counter, "pod-1"}, h, m, slog.New(slog.DiscardHandler)), h, m
}

func TestHit(t *testing.T) {
	counter := &fakeCounter{}
	counter.n.Store(41)
	handler, _, _ := newTestHandler(counter)

	got := httptest.NewRecorder()
	handler.ServeHTTP(got, httptest.NewRequest("GET", "/", nil))

	if got.Code != http.StatusOK {
		t.Errorf("code: got %d, want 200", got.Code)
	}
	if want := "Hello from container! I have been seen 42 times.\n"; got.Body.String() != want {
		t.Errorf("body: got %q, want %q", got.Body, want)
	}
	for name, want := range map[string]string{
		"Content-Type":  "text/plain; charset=utf-8",
		"X-Served-By":   "pod-1",
		"Cache-Control": "no-store",
		"Connection":    "",
	} {
		if got := got.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestHitWithoutRedis(t *testing.T) {
	handler, _, _ := newTestHandler(&fakeCounter{err: errors.New("dial tcp 10.0.0.1:6379: refused")})

	got := httptest.NewRecorder()
	handler.ServeHTTP(got, httptest.NewRequest("GET", "/", nil))

	if got.Code != http.StatusServiceUnavailable {
		t.Errorf("code: got %d, want 503", got.Code)
	}
	if want := "The counter is not available right now. Please try again.\n"; got.Body.String() != want {
		t.Errorf("body: got %q, want %q", got.Body, want)
	}
	if got, want := got.Header().Get("Retry-After"), "1"; got != want {
		t.Errorf("Retry-After: got %q, want %q", got, want)
	}
}

func TestRoutes(t *testing.T) {
	tests := map[string]struct {
		method, target string
		wantCode       int
		wantAllow      string
		wantHits       int64
	}{
		"hit":                    {"GET", "/", 200, "", 1},
		"hit with query":         {"GET", "/?utm=1", 200, "", 1},
		"HEAD does not count":    {"HEAD", "/", 405, "GET", 0},
		"POST":                   {"POST", "/", 405, "GET", 0},
		"PUT":                    {"PUT", "/", 405, "GET", 0},
		"DELETE":                 {"DELETE", "/", 405, "GET", 0},
		"OPTIONS":                {"OPTIONS", "/", 405, "GET", 0},
		"made-up method":         {"BREW", "/", 405, "GET", 0},
		"other path":             {"GET", "/favicon.ico", 404, "", 0},
		"below a known path":     {"GET", "/healthz/x", 404, "", 0},
		"metrics are elsewhere":  {"GET", "/metrics", 404, "", 0},
		"POST to another path":   {"POST", "/other", 404, "", 0},
		"liveness":               {"GET", "/healthz", 200, "", 0},
		"liveness, HEAD":         {"HEAD", "/healthz", 200, "", 0},
		"liveness, POST":         {"POST", "/healthz", 405, "GET, HEAD", 0},
		"readiness":              {"GET", "/readyz", 200, "", 0},
		"readiness, POST":        {"POST", "/readyz", 405, "GET, HEAD", 0},
		"liveness with a suffix": {"GET", "/healthz2", 404, "", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			counter := &fakeCounter{}
			handler, _, _ := newTestHandler(counter)
			got := httptest.NewRecorder()
			handler.ServeHTTP(got, httptest.NewRequest(test.method, test.target, nil))
			if got.Code != test.wantCode {
				t.Errorf("code: got %d, want %d", got.Code, test.wantCode)
			}
			if allow := got.Header().Get("Allow"); allow != test.wantAllow {
				t.Errorf("Allow: got %q, want %q", allow, test.wantAllow)
			}
			if hits := counter.n.Load(); hits != test.wantHits {
				t.Errorf("hits: got %d, want %d", hits, test.wantHits)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	tests := map[string]struct {
		reached, stopping bool
		wantReady         int
		wantText          string
	}{
		"at start":                       {false, false, 503, "redis was not reached yet\n"},
		"after Redis was reached":        {true, false, 200, "ready\n"},
		"shutting down":                  {true, true, 503, "shutting down\n"},
		"shutting down before any Redis": {false, true, 503, "shutting down\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// A nil counter panics if it is used, which proves that probes do not call Redis.
			handler, health, _ := newTestHandler(nil)
			health.reached.Store(test.reached)
			health.stopping.Store(test.stopping)

			got := httptest.NewRecorder()
			handler.ServeHTTP(got, httptest.NewRequest("GET", "/readyz", nil))
			if got.Code != test.wantReady || got.Body.String() != test.wantText {
				t.Errorf("/readyz: got %d %q, want %d %q", got.Code, got.Body, test.wantReady, test.wantText)
			}
			got = httptest.NewRecorder()
			handler.ServeHTTP(got, httptest.NewRequest("GET", "/healthz", nil))
			if got.Code != http.StatusOK {
				t.Errorf("/healthz: got %d, want 200", got.Code)
			}
		})
	}
}

func TestServerLimits(t *testing.T) {
	const albIdleTimeout = 60 * time.Second // also nginxIdle in components/docker/nginx.go
	s := newHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.IdleTimeout <= albIdleTimeout {
		t.Errorf("IdleTimeout: got %v, want more than the load balancer's %v", s.IdleTimeout, albIdleTimeout)
	}
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 {
		t.Errorf("read timeouts: got %v and %v, want limits", s.ReadHeaderTimeout, s.ReadTimeout)
	}
	if s.WriteTimeout <= maxRedisTimeout {
		t.Errorf("WriteTimeout: got %v, want more than the longest response's %v", s.WriteTimeout, maxRedisTimeout)
	}

	server := httptest.NewUnstartedServer(nil)
	server.Config = s
	server.Start()
	defer server.Close()
	request, err := http.NewRequest("GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	// nginx accepts lines of 16 KB (components/docker/nginx.conf.tmpl). net/http reads 4 KB more than
	// MaxHeaderBytes.
	const nginxLine = 16 << 10
	request.Header.Set("X-Long", strings.Repeat("x", nginxLine+4<<10))
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long header: got %d, want 431", answer.StatusCode)
	}
}
