package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	answerLimit = 10 * time.Second // as long as components/kube/shutdown.go gives requests in flight
	probeLimit  = 2 * time.Second  // the timeout of WebApp's probes
)

// conn is an HTTP/1.1 connection. net/http's client is not suitable: it retries a GET when a kept-alive connection
// breaks, which is exactly the loss to be detected.
type conn struct {
	net.Conn
	reader *bufio.Reader
}

// connect opens a connection, which is closed when ctx is done, and sends a first request.
func connect(ctx context.Context, address, path string, limit time.Duration) (*conn, answer) {
	plain, err := (&net.Dialer{Timeout: probeLimit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, answer{failure: err.Error()}
	}
	context.AfterFunc(ctx, func() { _ = plain.Close() })
	c := &conn{plain, bufio.NewReader(plain)}
	return c, c.ask(path, limit)
}

// closed reports whether the other side has closed the connection or sent an unsolicited response (408, before it
// closes). It takes a millisecond if not.
func (c *conn) closed() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.reader.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// answer is the outcome of a request.
type answer struct {
	ended   time.Time
	status  int
	body    string
	keeps   bool   // the connection can be used again
	failure string // why there is no complete answer
}

// lost returns why the request counts as lost, or "".
func (a answer) lost() string {
	if a.failure == "" && a.status >= http.StatusInternalServerError {
		return fmt.Sprintf("answered %d", a.status)
	}
	return a.failure
}

// String returns the outcome in a few words.
func (a answer) String() string {
	if a.failure != "" {
		return a.failure
	}
	return fmt.Sprint(a.status)
}

// ask sends a request and reads the response. One without a length counts as complete when the connection ends.
func (c *conn) ask(path string, limit time.Duration) (a answer) {
	_ = c.SetDeadline(time.Now().Add(limit))
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: contract\r\n\r\n", path, c.RemoteAddr())
	closed := "closed without an answer"
	if err == nil {
		if _, err = c.reader.Peek(1); err == nil {
			closed = "closed within the answer"
			err = a.read(c.reader)
		}
	}
	a.ended = time.Now()
	switch {
	case err == nil:
		return a
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.failure = fmt.Sprintf("no answer in %v", limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		a.failure = closed
	case strings.Contains(err.Error(), "reset by peer"): // the app had not read the whole request
		a.failure = closed + " (reset)"
	default:
		a.failure = err.Error()
	}
	a.keeps = false
	return a
}

func (a *answer) read(r *bufio.Reader) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a.status, a.body, a.keeps = response.StatusCode, string(body), !response.Close
	return err
}

// get sends one request on a connection of its own.
func get(ctx context.Context, address, path string, limit time.Duration) answer {
	ctx, closeConn := context.WithCancel(ctx)
	defer closeConn()
	_, a := connect(ctx, address, path, limit)
	return a
}

// probe sends a probe as the kubelet does: 2xx and 3xx are a success.
func probe(ctx context.Context, address, path string) (ok bool, seen string) {
	a := get(ctx, address, path, probeLimit)
	return a.failure == "" && a.status >= 200 && a.status < 400, fmt.Sprintf("GET %s: %s", path, a)
}
