package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/scaleout/internal/componenttest"
)

var testNginx = NginxArgs{
	PublicPort: 8090, Balancing: RoundRobin, MaxBodyKilobytes: 16, LongestRequestSeconds: 10,
}

// nginxCommand returns a command of nginx with the configuration in dir.
func nginxCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	always := []string{"-p", dir + "/", "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf")}
	return exec.Command(componenttest.Command(t, "nginx"), append(always, args...)...)
}

// configured writes a configuration to a new folder.
func configured(t *testing.T, s NginxArgs, upstreams []Upstream) (dir, http, status string) {
	t.Helper()
	dir, http, status = t.TempDir(), freeAddr(t), freeAddr(t)
	s.Upstreams = upstreams
	conf := strings.NewReplacer("listen 8080;", "listen "+http+";", "listen 8081;", "listen "+status+";").
		Replace(s.configuration())
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, http, status
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// nginx must accept every configuration that the arguments allow.
func TestNginxTakesTheConfiguration(t *testing.T) {
	for name, change := range map[string]func(*NginxArgs){
		"as in the stack":   func(*NginxArgs) {},
		"least connections": func(s *NginxArgs) { s.Balancing = LeastConnections },
		"smallest":          func(s *NginxArgs) { s.MaxBodyKilobytes, s.LongestRequestSeconds = 1, 1 },
		"largest":           func(s *NginxArgs) { s.MaxBodyKilobytes, s.LongestRequestSeconds = 4096, 3000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := testNginx
			change(&s)
			if problems := s.Validate(); len(problems) > 0 {
				t.Fatal(problems)
			}
			dir, _, _ := configured(t, s, []Upstream{{"10.0.0.1", 5000}, {"10.0.0.2", 65535}})
			if out, err := nginxCommand(t, dir, "-t").CombinedOutput(); err != nil || bytes.Contains(out, []byte("[warn]")) {
				t.Errorf("nginx -t: %v\n%s", err, out)
			}
		})
	}
}

// backend is a server behind nginx that counts its requests and answers as the test specifies.
type backend struct {
	addr  string
	got   atomic.Int32
	serve http.HandlerFunc
}

func startBackend(t *testing.T, serve http.HandlerFunc) *backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{addr: listener.Addr().String(), serve: serve}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.got.Add(1)
		b.serve(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return b
}

func ok(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(w, r.Body)
	_, _ = io.WriteString(w, "ok")
}

// die closes the connection without an answer: the request was read, and may have been counted.
func die(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func upstreamOf(t *testing.T, addr string) Upstream {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return Upstream{Host: host, Port: port}
}

// proxy is a running nginx.
type proxy struct {
	url, status string
	log         *os.File
}

func startProxy(t *testing.T, s NginxArgs, upstreams ...Upstream) *proxy {
	t.Helper()
	dir, addr, status := configured(t, s, upstreams)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	global := "daemon off;"
	if os.Getuid() == 0 { // otherwise nginx switches to a user without write access to this folder
		global += " user root;"
	}
	cmd := nginxCommand(t, dir, "-g", global)
	// The log is a pipe, as in a container: if /dev/stdout is a file, each process that opens it starts at the
	// beginning.
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = writer
	if testing.Verbose() { // its messages about failing servers are expected
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(log, reader)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		<-copied
		_ = log.Close()
	})
	p := &proxy{url: "http://" + addr + "/", status: "http://" + status, log: log}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if code, _, _ := p.ask(t, http.MethodGet, p.status+"/healthz", ""); code == http.StatusOK {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not start")
		}
	}
}

func (p *proxy) ask(t *testing.T, method, url, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

func (p *proxy) get(t *testing.T) (int, string, http.Header) {
	t.Helper()
	return p.ask(t, http.MethodGet, p.url, "")
}

// accessLog returns the lines of the log once it has that many.
func (p *proxy) accessLog(t *testing.T, lines int) []map[string]any {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(p.log.Name())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(content, []byte("\n")) < lines && time.Now().Before(deadline) {
			continue
		}
		var found []map[string]any
		for _, line := range bytes.Split(bytes.TrimSpace(content), []byte("\n")) {
			entry := map[string]any{}
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatalf("the log line is not JSON: %v\n%s", err, line)
			}
			found = append(found, entry)
		}
		return found
	}
}

// startBehindProxy starts several equal servers, and nginx in front of them.
func startBehindProxy(t *testing.T, serve http.HandlerFunc, count int) (backends []*backend, p *proxy) {
	t.Helper()
	var upstreams []Upstream
	for range count {
		b := startBackend(t, serve)
		backends = append(backends, b)
		upstreams = append(upstreams, upstreamOf(t, b.addr))
	}
	return backends, startProxy(t, testNginx, upstreams...)
}

// The workers share one state, so the distribution is exact whichever worker accepts a connection.
func TestNginxTakesTurns(t *testing.T) {
	backends, p := startBehindProxy(t, ok, 3)
	http.DefaultClient.CloseIdleConnections() // a new connection may go to another worker
	for i := range 300 {
		if code, body, _ := p.get(t); code != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, code, body)
		}
		if i%3 == 0 {
			http.DefaultClient.CloseIdleConnections()
		}
	}
	for i, b := range backends {
		if got := b.got.Load(); got != 100 {
			t.Errorf("server %d got %d of 300 requests, want a third", i, got)
		}
	}
}

func TestNginxPrefersTheIdle(t *testing.T) {
	release := make(chan struct{})
	busy := startBackend(t, func(w http.ResponseWriter, r *http.Request) { <-release; ok(w, r) })
	idle := startBackend(t, ok)
	s := testNginx
	s.Balancing = LeastConnections
	p := startProxy(t, s, upstreamOf(t, busy.addr), upstreamOf(t, idle.addr))
	var group sync.WaitGroup
	defer group.Wait()
	defer close(release)
	for busy.got.Load() == 0 {
		group.Go(func() { p.get(t) })
		time.Sleep(20 * time.Millisecond)
	}
	before := idle.got.Load()
	for range 20 {
		p.get(t)
	}
	if got := idle.got.Load() - before; got != 20 {
		t.Errorf("%d of 20 requests went to the idle server, want all", got)
	}
}

// A server that refuses the connection was sent nothing, so any request may go to another server.
func TestNginxAsksAnotherServerIfNothingWasSent(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, freeAddr(t)), upstreamOf(t, freeAddr(t)), upstreamOf(t, b.addr))
	for i, method := range []string{"GET", "POST", "GET", "GET", "PUT", "GET"} {
		body := ""
		if method != "GET" {
			body = "once"
		}
		if code, text, _ := p.ask(t, method, p.url, body); code != http.StatusOK || text != body+"ok" {
			t.Errorf("request %d: %s got %d %q, want 200 %q", i, method, code, text, body+"ok")
		}
	}
	if got := b.got.Load(); got != 6 {
		t.Errorf("the server got %d requests, want 6", got)
	}
}

// A killed container does not answer at all, and does not refuse the connection either.
func TestNginxAsksAnotherServerIfOneIsSilent(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, silentAddr(t)), upstreamOf(t, b.addr))
	for i := range 3 {
		if code, text, _ := p.get(t); code != http.StatusOK {
			t.Errorf("request %d got %d %q", i, code, text)
		}
	}
	if !slices.ContainsFunc(p.accessLog(t, 3), func(line map[string]any) bool {
		return strings.Contains(fmt.Sprint(line["upstream"]), " : ")
	}) {
		t.Error("no request met the silent server, so this proves nothing")
	}
}

// silentAddr returns an address that neither accepts nor refuses connections: its accept queue is full.
func silentAddr(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	loopback := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(syscall.Bind(socket, loopback), syscall.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for range 8 {
		connection, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = connection.Close() })
	}
	t.Skip("this system accepts more connections than it was asked to")
	return ""
}

func TestNginxTakesHTTP10(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	connection, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(connection); err != nil || !bytes.Contains(answer, []byte(" 200 ")) {
		t.Errorf("got %q, %v", answer, err)
	}
}

// A server that died during a request may have counted it. Another server would count it a second time.
func TestNginxRepeatsNothingThatWasSent(t *testing.T) {
	backends, p := startBehindProxy(t, die, 3)
	code, body, header := p.get(t)
	if code != http.StatusBadGateway || !strings.Contains(body, "may have been counted") ||
		header.Get("Retry-After") != "" {
		t.Errorf("got %d %q, Retry-After %q; want 502 and a warning", code, body, header.Get("Retry-After"))
	}
	total := int32(0)
	for _, b := range backends {
		total += b.got.Load()
	}
	if total != 1 {
		t.Errorf("the servers got the request %d times, want once", total)
	}
}

// A second attempt that fails is as final as a first one.
func TestNginxRepeatsNothingThatASecondServerGot(t *testing.T) {
	b := startBackend(t, die)
	p := startProxy(t, testNginx, upstreamOf(t, freeAddr(t)), upstreamOf(t, b.addr))
	if code, body, _ := p.get(t); code != http.StatusBadGateway || b.got.Load() != 1 {
		t.Errorf("got %d %q, the server got %d requests; want 502 and one", code, body, b.got.Load())
	}
}

func TestNginxWithoutServers(t *testing.T) {
	p := startProxy(t, testNginx, upstreamOf(t, freeAddr(t)), upstreamOf(t, freeAddr(t)))
	for range 3 {
		code, body, header := p.get(t)
		if code != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" ||
			!strings.Contains(body, "nothing was counted") {
			t.Errorf("got %d %q, Retry-After %q; want 503 and 1", code, body, header.Get("Retry-After"))
		}
	}
}

func TestNginxForwardsWhoAsks(t *testing.T) {
	var got http.Header
	var host string
	b := startBackend(t, func(w http.ResponseWriter, r *http.Request) { got, host = r.Header, r.Host })
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	req, err := http.NewRequest(http.MethodGet, p.url+"path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "app.example.com:8090"
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Forwarded-Port", "X-Real-IP"} {
		req.Header.Set(name, "a lie")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "app.example.com:8090", "Connection": "", "Forwarded": "", "X-Forwarded-Port": "",
	} {
		if value := got.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if host != "app.example.com:8090" || len(got.Get("X-Request-Id")) != 32 {
		t.Errorf("host %q, request ID %q", host, got.Get("X-Request-Id"))
	}
	entry := p.accessLog(t, 1)[0]
	if entry["uri"] != "/path?q=1" || entry["upstream"] != b.addr || entry["id"] != got.Get("X-Request-Id") ||
		entry["status"] != "200" || entry["upstream_seconds"] == "" {
		t.Errorf("got the log entry %v", entry)
	}
	if res.Header.Get("Server") != "nginx" {
		t.Errorf("the answer contains the version: %q", res.Header.Get("Server"))
	}
}

func TestNginxLimitsRequests(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	if code, _, _ := p.ask(t, http.MethodPost, p.url, strings.Repeat("x", 16<<10)); code != http.StatusOK {
		t.Errorf("a body at the limit got %d", code)
	}
	tooMuch := strings.Repeat("x", 16<<10+1)
	if code, _, _ := p.ask(t, http.MethodPost, p.url, tooMuch); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body above the limit got %d, want 413", code)
	}
	longURL := p.url + strings.Repeat("x", 17<<10)
	if code, _, _ := p.ask(t, http.MethodGet, longURL, ""); code != http.StatusRequestURITooLong {
		t.Errorf("a long address got %d, want 414", code)
	}
	if got := b.got.Load(); got != 1 {
		t.Errorf("the server got %d requests, want 1", got)
	}
}

// nginx accepts every header line that the app accepts: TestServerLimits in app/ observes the app's limit.
func TestNginxTakesTheHeadsThatTheAppTakes(t *testing.T) {
	if !strings.Contains(testNginx.configuration(), "large_client_header_buffers 4 16k;") {
		t.Error("nginx accepts header lines of another length than the app, which accepts 16 KB of headers")
	}
}

// Cookies are one header line, and those of localhost come from all programs on the machine.
func TestNginxTakesLongCookies(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	for length, want := range map[int]int{5000: http.StatusOK, 15000: http.StatusOK, 17000: http.StatusBadRequest} {
		req, err := http.NewRequest(http.MethodGet, p.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "other="+strings.Repeat("x", length))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("a cookie of %d bytes got %d, want %d", length, res.StatusCode, want)
		}
	}
}

func TestNginxKeepsConnections(t *testing.T) {
	const workers = 2
	var mutex sync.Mutex
	from := map[string]bool{}
	b := startBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		from[r.RemoteAddr] = true
	})
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	for range 50 {
		if code, body, _ := p.get(t); code != http.StatusOK {
			t.Fatalf("got %d %q", code, body)
		}
	}
	if len(from) == 0 || len(from) > workers {
		t.Errorf("50 requests came on %d connections, want at most one for each worker", len(from))
	}
}

func TestNginxStatus(t *testing.T) {
	b := startBackend(t, ok)
	p := startProxy(t, testNginx, upstreamOf(t, b.addr))
	p.get(t)
	code, body, _ := p.ask(t, http.MethodGet, p.status+"/stub_status", "")
	if code != http.StatusOK || !strings.Contains(body, "Active connections") {
		t.Errorf("got %d %q", code, body)
	}
	for _, path := range []string{"stub_status", ".lost", ".unavailable"} {
		_, body, _ := p.ask(t, http.MethodGet, p.url+path, "")
		if path == "stub_status" && body != "ok" { // on the public port, a path of the app
			t.Errorf("%s is answered by nginx: %q", path, body)
		}
		if path != "stub_status" && !strings.Contains(body, "404") {
			t.Errorf("%s is reachable: %q", path, body)
		}
	}
	if got := len(p.accessLog(t, 4)); got != 4 {
		t.Errorf("%d lines in the log, want 4: the status port writes none", got)
	}
}

// The timeouts must be consistent: the client of a connection must wait longer than its server.
func TestNginxTimes(t *testing.T) {
	const idle = 60 // the app keeps idle connections for longer: TestServerLimits in app/
	for _, longest := range []int{1, 10, 3000} {
		s := testNginx
		s.LongestRequestSeconds, s.Upstreams = longest, []Upstream{{"web", 80}}
		conf := s.configuration()
		for name, seconds := range map[string]int{"proxy_read_timeout": longest, "keepalive_timeout": idle} {
			want := fmt.Sprintf("%s %ds;", name, seconds)
			if !strings.Contains(conf, want) {
				t.Errorf("the configuration has no %s", want)
			}
		}
		if shutdown := s.shutdownSeconds(); shutdown < nginxAttempts*nginxConnect+longest {
			t.Errorf("a reload ends requests of %d s after %d s", longest, shutdown)
		}
	}
}
