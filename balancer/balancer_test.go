package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// nginxBinary returns the path of nginx. It skips the test if there is none, or fails it in CI.
func nginxBinary(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("needs nginx on PATH")
	} else if err != nil {
		t.Fatal("needs nginx on PATH: CI is set, so this is not skipped")
	}
	return path
}

// app is a server that returns its address, with status 503 on /readyz if it is not ready.
type app struct {
	ready  atomic.Bool
	delay  atomic.Int64
	server *http.Server
}

func startApp(t *testing.T, addr string) *app {
	t.Helper()
	a := &app{}
	a.ready.Store(true)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	a.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !a.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		time.Sleep(time.Duration(a.delay.Load()))
		_, _ = io.WriteString(w, addr)
	})}
	go func() { _ = a.server.Serve(listener) }()
	t.Cleanup(func() { _ = a.server.Close() })
	return a
}

// freePort returns a port that is free on all loopback addresses that the tests use.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// setup is a balancer with a real nginx and upstream addresses chosen by the test.
type setup struct {
	*balancer
	url    string
	log    *os.File
	result chan error
	stop   context.CancelFunc

	mutex     sync.Mutex
	addresses []netip.Addr
}

func (s *setup) logged(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func (s *setup) set(addresses ...string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.addresses = nil
	for _, a := range addresses {
		s.addresses = append(s.addresses, netip.MustParseAddr(a))
	}
}

func start(t *testing.T, appPort string, addresses ...string) *setup {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{log: log, url: "http://127.0.0.1:" + port + "/", result: make(chan error, 1)}
	s.set(addresses...)
	s.balancer = newBalancer(fmt.Sprintf(`
pid nginx.pid;
error_log stderr;
include extra*.conf;
worker_shutdown_timeout 5s;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    upstream app {
        zone app 64k;
        server web:%s max_fails=0;
    }
    server {
        listen 127.0.0.1:%s;
        location / { proxy_pass http://app; }
    }
}
`, appPort, port), "/readyz", slog.New(slog.NewJSONHandler(log, nil)))
	s.interval, s.nginx, s.dir, s.stdout, s.stderr = 20*time.Millisecond, nginxBinary(t), dir, log, log
	s.finders["web:"+appPort].lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return append([]netip.Addr{}, s.addresses...), nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.result <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			t.Log(s.logged(t))
		}
	})
	return s
}

func (s *setup) get() (int, string) {
	res, err := http.Get(s.url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// expect sends requests until ten in a row were served by exactly these servers.
func (s *setup) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		served := map[string]int{}
		for range 10 {
			_, by := s.get()
			served[by]++
		}
		ok := len(served) == len(want)
		for _, w := range want {
			ok = ok && served[w] > 0
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: served by %v, want %v", when, served, want)
		}
	}
}

func TestBalancerFollowsTheServers(t *testing.T) {
	port := freePort(t)
	first, second := "127.0.0.1:"+port, "127.0.0.2:"+port
	a := startApp(t, first)
	s := start(t, port, "127.0.0.1")
	s.expect(t, "at first", first)
	startApp(t, second).ready.Store(false)
	s.set("127.0.0.1", "127.0.0.2")
	time.Sleep(100 * time.Millisecond)
	s.expect(t, "a second one, not ready", first)
	startApp(t, "127.0.0.3:"+port)
	s.set("127.0.0.1", "127.0.0.2", "127.0.0.3")
	s.expect(t, "a third one", first, "127.0.0.3:"+port)
	a.ready.Store(false)
	s.expect(t, "the first one stops", "127.0.0.3:"+port)
	s.set()
	deadline := time.Now().Add(10 * time.Second)
	for status, _ := s.get(); status != http.StatusBadGateway; status, _ = s.get() {
		if time.Now().After(deadline) {
			t.Fatalf("without servers: got status %d, want 502", status)
		}
	}
}

// TestNoRequestIsLostWhenAServerLeaves: a server shuts down under continuous load. It becomes not ready, serves until
// the balancer has removed it, and only then closes. A request in flight survives the reload.
func TestNoRequestIsLostWhenAServerLeaves(t *testing.T) {
	port := freePort(t)
	leaving := startApp(t, "127.0.0.1:"+port)
	startApp(t, "127.0.0.2:"+port)
	s := start(t, port, "127.0.0.1", "127.0.0.2")
	s.expect(t, "at first", "127.0.0.1:"+port, "127.0.0.2:"+port)

	leaving.delay.Store(int64(200 * time.Millisecond))
	var group sync.WaitGroup
	var failed atomic.Int32
	for range 8 { // some of these are in flight at the stopping server when nginx reloads
		group.Go(func() {
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				if status, _ := s.get(); status != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	leaving.ready.Store(false)
	time.Sleep(400 * time.Millisecond) // 20 intervals of the balancer
	if err := leaving.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d requests were lost", failed.Load())
	}
	s.expect(t, "in the end", "127.0.0.2:"+port)
}

func TestRefusedConfigurationChangesNothing(t *testing.T) {
	port := freePort(t)
	startApp(t, "127.0.0.1:"+port)
	startApp(t, "127.0.0.2:"+port)
	s := start(t, port, "127.0.0.1")
	s.expect(t, "at first", "127.0.0.1:"+port)
	if err := os.WriteFile(filepath.Join(s.dir, "extra.conf"), []byte("nonsense;"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Add a server: a removed one would take effect only after DNS has omitted it twice.
	s.set("127.0.0.1", "127.0.0.2")
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(s.logged(t), "unknown directive") {
		if time.Now().After(deadline) {
			t.Fatal("the rejection is not in the log")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.expect(t, "afterwards", "127.0.0.1:"+port)
	if n := strings.Count(s.logged(t), "unknown directive"); n != 1 {
		t.Errorf("the rejection is in the log %d times, want once", n)
	}
	startApp(t, "127.0.0.3:"+port)
	if err := os.Remove(filepath.Join(s.dir, "extra.conf")); err != nil {
		t.Fatal(err)
	}
	s.set("127.0.0.1", "127.0.0.2", "127.0.0.3")
	s.expect(t, "once nginx accepts it again", "127.0.0.1:"+port, "127.0.0.2:"+port, "127.0.0.3:"+port)
}

func TestStopLetsNginxFinish(t *testing.T) {
	port := freePort(t)
	a := startApp(t, "127.0.0.1:"+port)
	s := start(t, port, "127.0.0.1")
	s.expect(t, "at first", "127.0.0.1:"+port)
	a.delay.Store(int64(300 * time.Millisecond))
	answered := make(chan int, 1)
	go func() {
		status, _ := s.get()
		answered <- status
	}()
	time.Sleep(100 * time.Millisecond)
	s.stop()
	if err := <-s.result; !errors.Is(err, context.Canceled) {
		t.Errorf("stopping: got %v, want the error of the context", err)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request in flight got %d, want 200", status)
	}
}

func TestNginxThatEndsEndsTheBalancer(t *testing.T) {
	port := freePort(t)
	startApp(t, "127.0.0.1:"+port)
	s := start(t, port, "127.0.0.1")
	s.expect(t, "at first", "127.0.0.1:"+port)
	pid, err := os.ReadFile(filepath.Join(s.dir, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", "-TERM", strings.TrimSpace(string(pid))).CombinedOutput(); err != nil {
		t.Fatalf("ending nginx: %v: %s", err, out)
	}
	select {
	case err := <-s.result:
		if err == nil || !strings.Contains(err.Error(), "nginx ended by itself") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the balancer runs on without nginx, so nothing would restart the container")
	}
}

func TestHealthcheck(t *testing.T) {
	port := freePort(t)
	a := startApp(t, "127.0.0.1:"+port)
	url := "http://127.0.0.1:" + port + "/readyz"
	if err := healthcheck(url); err != nil {
		t.Errorf("healthy: %v", err)
	}
	a.ready.Store(false)
	if err := healthcheck(url); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("not ready: got %v, want the status", err)
	}
}
