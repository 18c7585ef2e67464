package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// stuckCounter blocks its first caller until release is closed. All other calls return at once.
type stuckCounter struct {
	calls   atomic.Int64
	entered chan struct{} // closed when the first caller waits
	release chan struct{} // to be closed by the test
}

func (c *stuckCounter) Add(context.Context, int64) (int64, error) {
	n := c.calls.Add(1)
	if n == 1 {
		close(c.entered)
		<-c.release
	}
	return n, nil
}

// testService is a service whose counter and drain the test controls.
type testService struct {
	*service
	counter *stuckCounter
	url     string
	address string
	signals chan os.Signal
	drained chan time.Time
	result  chan error
}

func startService(t *testing.T, cfg Config) *testService {
	t.Helper()
	counter := &stuckCounter{entered: make(chan struct{}), release: make(chan struct{})}
	handler, health, metrics := newTestHandler(counter)
	log := slog.New(slog.DiscardHandler)
	s := &testService{
		counter: counter, signals: make(chan os.Signal, 2), drained: make(chan time.Time), result: make(chan error, 1),
	}
	s.service = &service{
		cfg: cfg, log: log, health: health,
		public: newHTTPServer(handler, log), private: newHTTPServer(metrics.handler(), log),
		after: func(time.Duration) <-chan time.Time { return s.drained },
	}
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = public.Addr().String()
	s.url = "http://" + s.address
	go func() { s.result <- s.run(public, private, s.signals) }()
	return s
}

// get sends a request on a new connection.
func (s *testService) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func (s *testService) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.result:
		return err
	case <-time.After(patience):
		t.Fatal("the service did not stop")
		return nil
	}
}

// keepAlive is a connection that is used for several requests.
type keepAlive struct {
	net.Conn
	reader *bufio.Reader
}

func dialKeepAlive(t *testing.T, address string) *keepAlive {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &keepAlive{conn, bufio.NewReader(conn)}
}

func (c *keepAlive) get(t *testing.T, path string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: app\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer
}
