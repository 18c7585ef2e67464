package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stoppable is a server that can be stopped, like an app by SIGTERM.
type stoppable struct {
	server   *httptest.Server
	stopping atomic.Bool
}

// newStoppable starts a server that uses the handler after once it is stopping.
func newStoppable(t *testing.T, after http.HandlerFunc) *stoppable {
	s := &stoppable{}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			after(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.server.Close)
	return s
}

// stop calls stopUnder on the server, with stop in place of SIGTERM.
func (s *stoppable) stop(t *testing.T, stop func()) account {
	t.Helper()
	return stopUnder(t.Context(), s.server.Listener.Addr().String(), "/", func() {
		s.stopping.Store(true)
		stop()
		time.Sleep(100 * time.Millisecond) // as long as Docker takes
	})
}

// abort sends the beginning of a response and closes the connection, with a reset if nothing was sent.
func abort(w http.ResponseWriter, beginning string) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buffered.WriteString(beginning)
	_ = buffered.Flush()
	if beginning == "" {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	_ = c.Close()
}

func TestKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after http.HandlerFunc
		lost  string // reason; empty if nothing is to be lost
	}{
		"goes on": {func(http.ResponseWriter, *http.Request) {}, ""},
		"goes on, closing": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		}, ""},
		"resets": {func(w http.ResponseWriter, _ *http.Request) { abort(w, "") },
			"sent after SIGTERM: closed without an answer (reset)"},
		"closes": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"sent after SIGTERM: closed without an answer"},
		"cuts the body": {func(w http.ResponseWriter, _ *http.Request) {
			abort(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		}, "sent after SIGTERM: closed within the answer"},
		"cuts chunks": {func(w http.ResponseWriter, _ *http.Request) {
			abort(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
		}, "sent after SIGTERM: closed within the answer"},
		"cuts the header": {func(w http.ResponseWriter, _ *http.Request) { abort(w, "HTTP/1.1 200") },
			"sent after SIGTERM: closed within the answer"},
		"says no": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"sent after SIGTERM: answered 503"},
		"redirects": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newStoppable(t, test.after).stop(t, func() {})
			if a.kept != keptConns || a.asked < keptConns {
				t.Errorf("got %s, want requests on all %d connections", a, keptConns)
			}
			if test.lost == "" && len(a.lost) > 0 {
				t.Errorf("got %s, want none lost", a)
			}
			if test.lost != "" && (len(a.lost) != 1 || a.lost[test.lost] < keptConns) {
				t.Errorf("got %s, want one lost on each connection, as %q", a, test.lost)
			}
		})
	}
}

// TestClosedInTime: an app that closes its port and its idle connections at SIGTERM loses nothing, because nothing is
// sent on them afterward.
func TestClosedInTime(t *testing.T) {
	t.Parallel()
	s := newStoppable(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived after SIGTERM") })
	a := s.stop(t, func() { _ = s.server.Config.Shutdown(context.Background()) })
	if a.kept != keptConns || a.asked != 0 || len(a.lost) > 0 {
		t.Errorf("got %s, want %d connections closed in time and none lost", a, keptConns)
	}
}

// TestWithoutKeepAlive: an app that closes each connection after its response cannot lose a request on a kept one.
func TestWithoutKeepAlive(t *testing.T) {
	t.Parallel()
	s := newStoppable(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived after SIGTERM") })
	s.server.Config.SetKeepAlivesEnabled(false)
	if a := s.stop(t, func() {}); a.kept != 0 || a.asked != 0 || len(a.lost) > 0 {
		t.Errorf("got %s, want no connection kept and none lost", a)
	}
}

// TestRefused: an app that cannot be reached loses everything.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newStoppable(t, nil)
	s.server.Close()
	a := s.stop(t, func() {})
	got := a.String()
	if len(a.lost) != 1 || !strings.Contains(got, "8 sent before SIGTERM: ") || !strings.Contains(got, "refused") {
		t.Errorf("got %s, want all lost before SIGTERM: refused", got)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{"/ok": 204, "/elsewhere": 302, "/no": 503}[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	proxy, err := net.Listen("tcp", "127.0.0.1:0") // accepts and closes, like Docker's proxy if the app does not listen
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	go func() {
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for _, test := range []struct {
		address, path string
		ok            bool
		seen          string
	}{
		{address, "/ok", true, "204"},
		{address, "/elsewhere", true, "302"},
		{address, "/no", false, "503"},
		{proxy.Addr().String(), "/ok", false, "closed without an answer"},
		{"127.0.0.1:1", "/ok", false, "refused"},
	} {
		if ok, seen := probe(t.Context(), test.address, test.path); ok != test.ok || !strings.Contains(seen, test.seen) {
			t.Errorf("%s%s: got %t, %q, want %t, %q", test.address, test.path, ok, seen, test.ok, test.seen)
		}
	}
}

// TestNoAnswer: a response that does not arrive in time is reported as such.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(server.Close)
	begun := time.Now()
	e := get(t.Context(), server.Listener.Addr().String(), "/", 50*time.Millisecond)
	if e.lost() != "no answer in 50ms" || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("got %q after %v, want no answer in 50ms", e.lost(), time.Since(begun))
	}
}
