package main

import (
	"context"
	"fmt"
	"time"
)

// What to do after a FAIL.
const (
	todoUnderWay = "on SIGTERM stop accepting, finish what is under way, and only then end"
	todoKept     = "on SIGTERM answer on open connections for a moment more, each time with `Connection: close`, or " +
		"close idle ones at once"
	todoBefore = "find out why it fails without being stopped: its log says more"
	todoEnds   = "handle SIGTERM: process 1 of a container ignores it unless it has a handler. Start a server that has " +
		"one, without a shell around it (CMD in the form [\"program\", \"argument\"], `exec` in a script)"
	todoOpen = "if it has one: do not wait for idle connections to be closed, the load balancer keeps them open"
)

// enter is how long a request gets to arrive in the app before SIGTERM is sent.
const enter = 100 * time.Millisecond

// checkUnderWay stops the second instance while it works on a request. To have one that certainly is under way when
// SIGTERM arrives, it must take longer than Docker takes to send it: one to -slow, or one that waits for a paused
// Redis.
func (b *bench) checkUnderWay(ctx context.Context, i *instance) error {
	path := b.slow
	switch {
	case path != "":
	case b.redisID == "":
		b.report.add(skip, pointUnderWay, "no path that takes longer than to send SIGTERM (-slow), and no Redis to pause")
		return nil
	default:
		path = b.path
		if _, err := b.do(ctx, "pause", b.redisID); err != nil {
			return err
		}
	}
	b.report.note("sending SIGTERM to one instance with a request to %s under way", path)
	answer := make(chan exchange, 1)
	go func() { answer <- get(ctx, i.address, path, b.grace) }()
	gone, err := "", sleep(ctx, enter)
	if err == nil {
		gone, err = i.terminate(ctx)
	}
	terminated := time.Now()
	if b.slow == "" { // in any case, or Redis cannot be stopped
		if _, unpauseErr := b.docker.run(ctx, "", "unpause", b.redisID); err == nil {
			err = unpauseErr
		}
	}
	if err != nil {
		return err
	}
	if gone != "" {
		b.report.add(fail, pointUnderWay, "ended before SIGTERM: "+gone, todoBefore)
		return nil
	}
	select {
	case e := <-answer:
		b.reportUnderWay(path, e, terminated)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reportUnderWay judges the request that was under way. Without Redis any complete answer is right: it is one of the
// app.
func (b *bench) reportUnderWay(path string, e exchange, terminated time.Time) {
	why := e.failure
	if b.slow != "" {
		why = e.lost()
	}
	switch {
	case why != "":
		b.report.add(fail, pointUnderWay, fmt.Sprintf("GET %s, sent before SIGTERM: %s", path, why), todoUnderWay)
	case e.ended.Before(terminated):
		b.report.add(skip, pointUnderWay, fmt.Sprintf("GET %s took %s, and was over before SIGTERM had been sent: "+
			"name a path that takes longer (-slow)", path, seconds(e.ended.Sub(e.sent))))
	default:
		b.report.add(pass, pointUnderWay, fmt.Sprintf("GET %s, sent before SIGTERM: complete answer %d, %s after it", path,
			e.status, seconds(e.ended.Sub(terminated))))
	}
}

// checkStop stops the first instance under a stream of requests, in the order of Kubernetes: the instance gets requests
// for as long as the load balancer takes to notice (WebApp's preStop sleep), then SIGTERM, then what comes on kept
// connections.
func (b *bench) checkStop(ctx context.Context, i *instance) error {
	b.report.note("sending %d requests per second to %s, for %v, then SIGTERM", streamRate, b.path, b.drain)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := i.end(waiting)
	s := startStream(waiting, i.address, b.path)
	defer s.close()
	if err := sleep(ctx, b.drain); err != nil {
		return err
	}
	var terminated time.Time
	var gone string
	if err := s.terminate(ctx, b.settle, func() (err error) {
		gone, err = i.terminate(ctx)
		terminated = time.Now()
		return err
	}); err != nil {
		return err
	}
	if gone != "" {
		b.report.add(fail, pointKept, "ended before SIGTERM: "+gone, todoBefore)
		b.report.add(skip, pointEnds, "it ended before SIGTERM")
		return nil
	}
	b.report.note("waiting for its end, for up to %v", b.grace)
	s.finish()
	b.reportStream(s.account())
	end, over := within(ended, time.Until(terminated.Add(b.grace)))
	switch took := end.at.Sub(terminated); {
	case over && end.err != nil:
		return end.err
	case !over || took > b.grace:
		b.report.add(fail, pointEnds, fmt.Sprintf("still runs %v after SIGTERM, when Kubernetes kills it", b.grace),
			todoEnds, todoOpen)
	default:
		b.report.add(pass, pointEnds, fmt.Sprintf("%s after SIGTERM, exit code %s", seconds(max(0, took)), end.code))
	}
	return nil
}

// within waits for the end of a process, and tells whether it came.
func within(ended <-chan exit, limit time.Duration) (exit, bool) {
	select { // what is there already counts, also if the limit is over
	case e := <-ended:
		return e, true
	default:
	}
	select {
	case e := <-ended:
		return e, true
	case <-time.After(limit):
		return exit{}, false
	}
}

func (b *bench) reportStream(a account) {
	switch {
	case len(a.lost) == 0:
		b.report.add(pass, pointKept, a.String())
	case a.lostBefore():
		b.report.add(fail, pointKept, a.String(), todoKept, todoBefore)
	default:
		b.report.add(fail, pointKept, a.String(), todoKept)
	}
}
