package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The stream is what an app with one worker process can still serve, so that nothing waits in its listen queue: a
// request there is lost at the end of many servers, but no load balancer that stopped D seconds ago has one there.
const (
	streamRate  = 40 // requests a second
	streamConns = 8  // connections, each with a request every 0.2 s
)

// stream sends a steady stream of requests over kept connections, as a load balancer does, and counts what is lost when
// the app gets SIGTERM.
//
// The rule is that of a pod under WebApp. Its preStop sleep lasts until the load balancer sends no new requests; only
// then comes SIGTERM. What may still come are requests on the connections that the load balancer keeps open, for a
// moment. So:
//
//   - A request sent before SIGTERM must get its complete answer.
//   - A request sent within the settle time after SIGTERM, on a connection that is still open, must get one too. An app
//     that will not answer there has to close the connection before the request is sent: the load balancer then takes
//     another one. A connection that closes after the request was sent is a loss: the load balancer cannot know whether
//     it had an effect, and answers 502.
//   - New connections after SIGTERM are not tried. The app may close its port at once.
//   - An answer of 500 or more is a loss, for the visitor sees it.
//
// Nothing is sent while SIGTERM is on its way, which takes Docker a tenth of a second. A request of that time could be
// neither before nor after it; and one that crosses with the close of an idle connection would be counted by chance.
type stream struct {
	address, path string

	gate       sync.RWMutex // read-locked to send, locked while SIGTERM is on its way
	terminated bool         // SIGTERM was sent
	over       chan struct{}
	senders    sync.WaitGroup

	mu        sync.Mutex // guards what follows
	exchanges []exchange
	closed    int // connections that the app closed after SIGTERM, in time
	open      []*conn
}

// startStream begins to send.
func startStream(ctx context.Context, address, path string) *stream {
	s := &stream{address: address, path: path, over: make(chan struct{})}
	for n := range streamConns {
		s.senders.Go(func() {
			if sleep(ctx, time.Duration(n)*time.Second/streamRate) == nil {
				s.sender(ctx)
			}
		})
	}
	return s
}

// sender sends the requests of one connection, and of its successors.
func (s *stream) sender(ctx context.Context) {
	tick := time.NewTicker(streamConns * time.Second / streamRate)
	defer tick.Stop()
	var c *conn
	for alive := true; alive; {
		select {
		case <-s.over:
			s.keep(c)
			return
		case <-ctx.Done():
			s.keep(c)
			return
		case <-tick.C:
			c, alive = s.step(ctx, c)
		}
	}
}

// step makes one request. It returns the connection for the next one, and whether there can be a next one.
func (s *stream) step(ctx context.Context, c *conn) (*conn, bool) {
	e := exchange{}
	c, after, err := s.send(ctx, c, &e)
	switch {
	case err != nil:
		e.ended, e.failure = time.Now(), err.Error()
	case c == nil:
		return nil, false
	default:
		c.receive(&e, answerLimit)
	}
	s.mu.Lock()
	s.exchanges = append(s.exchanges, e)
	s.mu.Unlock()
	if c != nil && !e.keeps {
		_ = c.Close()
		c = nil
	}
	return c, c != nil || !after
}

// send sends a request on c if it is open, else on a new connection unless SIGTERM was sent: then it returns none.
func (s *stream) send(ctx context.Context, c *conn, e *exchange) (_ *conn, after bool, err error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	e.afterTerm = s.terminated
	if c != nil && c.closed() {
		_ = c.Close()
		c = nil
		if e.afterTerm {
			s.mu.Lock()
			s.closed++
			s.mu.Unlock()
		}
	}
	if c == nil && e.afterTerm {
		return nil, true, nil
	}
	e.sent = time.Now()
	if c == nil {
		if c, err = dial(ctx, s.address); err != nil {
			return nil, e.afterTerm, err
		}
	}
	return c, e.afterTerm, c.send(s.path)
}

// keep leaves a connection open. A load balancer does not close its idle connections because an app was told to stop,
// so an app that waits for that never ends.
func (s *stream) keep(c *conn) {
	if c != nil {
		s.mu.Lock()
		s.open = append(s.open, c)
		s.mu.Unlock()
	}
}

// terminate has signal send SIGTERM, and goes on with what is allowed after it for the settle time.
func (s *stream) terminate(ctx context.Context, settle time.Duration, signal func() error) error {
	s.gate.Lock()
	s.terminated = true
	err := signal()
	s.gate.Unlock()
	if err != nil {
		return err
	}
	return sleep(ctx, settle)
}

// finish waits for the answers that are still to come. The connections stay open.
func (s *stream) finish() {
	close(s.over)
	s.senders.Wait()
}

// close closes the connections.
func (s *stream) close() {
	for _, c := range s.open {
		_ = c.Close()
	}
}

// account is the stream in numbers.
type account struct {
	before, after int            // requests
	closed        int            // connections that the app closed in time
	lost          map[string]int // by reason
}

func (s *stream) account() account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := account{closed: s.closed, lost: map[string]int{}}
	for _, e := range s.exchanges {
		when := "before SIGTERM"
		if e.afterTerm {
			when = "after SIGTERM"
			a.after++
		} else {
			a.before++
		}
		if why := e.lost(); why != "" {
			a.lost["sent "+when+": "+why]++
		}
	}
	return a
}

// String is the account in a line.
func (a account) String() string {
	line := fmt.Sprintf("%d requests before SIGTERM, %d after it on kept connections", a.before, a.after)
	if a.closed > 0 {
		line += fmt.Sprintf(" (%d were closed in time)", a.closed)
	}
	if len(a.lost) == 0 {
		return line + ": none lost"
	}
	var lost []string
	for _, why := range slices.Sorted(maps.Keys(a.lost)) {
		lost = append(lost, fmt.Sprintf("%d %s", a.lost[why], why))
	}
	return line + "; lost: " + strings.Join(lost, ", ")
}

// lostBefore tells whether requests were lost that were sent before SIGTERM.
func (a account) lostBefore() bool {
	for why := range a.lost {
		if strings.HasPrefix(why, "sent before") {
			return true
		}
	}
	return false
}
