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

// Limits of one request.
const (
	// answerLimit is the longest that a visitor waits; components/kube/drain.go gives requests under way as long.
	answerLimit = 10 * time.Second
	// probeLimit is the timeout of WebApp's probes.
	probeLimit = 2 * time.Second
	// refuseLimit is how long a connection must last to count as accepted. Docker's proxy accepts every connection, and
	// closes it when it finds that nobody listens in the container.
	refuseLimit = 500 * time.Millisecond
	// keptBody is as much of an answer as is looked at; the rest is read and dropped.
	keptBody = 1 << 20
)

// conn is a connection of HTTP/1.1. net/http's client is of no use here: it repeats a GET by itself when a kept
// connection breaks under it, which is the very loss that is looked for.
type conn struct {
	net.Conn
	reader *bufio.Reader
}

func dial(ctx context.Context, address string) (*conn, error) {
	c, err := (&net.Dialer{Timeout: probeLimit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// closed tells whether the other side has closed the connection, or sent what nobody asked for (408, before it closes).
// It takes a millisecond if not.
func (c *conn) closed() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.reader.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange is a request and what came of it.
type exchange struct {
	sent, ended time.Time
	afterTerm   bool // sent after SIGTERM
	status      int  // 0 unless the answer is complete
	keeps       bool // the connection can be used again
	body        string
	failure     string // why there is no complete answer
}

// lost says why the visitor did not get what was asked for, or "".
func (e exchange) lost() string {
	if e.failure == "" && e.status >= http.StatusInternalServerError {
		return fmt.Sprintf("answered %d", e.status)
	}
	return e.failure
}

// String is the outcome in a few words.
func (e exchange) String() string {
	if e.failure != "" {
		return e.failure
	}
	return fmt.Sprintf("%d after %s", e.status, seconds(e.ended.Sub(e.sent)))
}

// send sends a request.
func (c *conn) send(path string) error {
	_ = c.SetWriteDeadline(time.Now().Add(probeLimit))
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: contract\r\nAccept: */*\r\n\r\n", path,
		c.RemoteAddr())
	return err
}

// receive reads the answer to the request that was sent at e.sent, and completes e. An answer without a length that
// ends with the connection counts as complete, since nothing tells where it should have ended.
func (c *conn) receive(e *exchange, limit time.Duration) {
	defer func() { e.ended = time.Now() }()
	_ = c.SetReadDeadline(e.sent.Add(limit))
	if _, err := c.reader.Peek(1); err != nil {
		e.failure = explain(err, "closed without an answer", limit)
		return
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodGet})
	if err != nil {
		e.failure = explain(err, "closed within the answer", limit)
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, keptBody))
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
	}
	if err != nil {
		e.failure = explain(err, "closed within the answer", limit)
		return
	}
	e.status, e.body, e.keeps = response.StatusCode, string(body), !response.Close
}

// explain says what a failed read means. A reset is named as such: it says that the app had not read all that was sent.
func explain(err error, closed string, limit time.Duration) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in " + seconds(limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return closed
	case strings.Contains(err.Error(), "reset by peer"):
		return closed + " (reset)"
	}
	return err.Error()
}

// get asks once, on a connection of its own.
func get(ctx context.Context, address, path string, limit time.Duration) exchange {
	e := exchange{sent: time.Now()}
	c, err := dial(ctx, address)
	if err == nil {
		defer func() { _ = c.Close() }()
		e.sent = time.Now()
		err = c.send(path)
	}
	if err != nil {
		e.ended, e.failure = time.Now(), err.Error()
		return e
	}
	c.receive(&e, limit)
	return e
}

// probe asks as the kubelet does: 2xx and 3xx are a success, and without a path a connection is.
func probe(ctx context.Context, address, path string) (ok bool, seen string) {
	if path == "" {
		return accepts(ctx, address)
	}
	e := get(ctx, address, path, probeLimit)
	if e.failure != "" {
		return false, e.failure
	}
	return e.status >= 200 && e.status < 400, fmt.Sprint(e.status)
}

// accepts tells whether somebody listens.
func accepts(ctx context.Context, address string) (bool, string) {
	c, err := dial(ctx, address)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(refuseLimit))
	if _, err := c.reader.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, "nobody listens"
	}
	return true, "connected"
}

// seconds prints short times to a hundredth and others to a tenth.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
