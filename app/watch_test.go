package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// logBuffer collects log lines from several goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newWatched(counter Counter) (*watchedCounter, *logBuffer) {
	logs := &logBuffer{}
	return &watchedCounter{
		counter: counter, metrics: newMetrics(), health: &health{}, log: slog.New(slog.NewJSONHandler(logs, nil)),
	}, logs
}

func TestOutageIsLoggedOnceAtEachEnd(t *testing.T) {
	fake := &fakeCounter{}
	watched, logs := newWatched(fake)
	increment := func() {
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { _, _ = watched.Add(t.Context(), 1) })
		}
		group.Wait()
	}

	for _, err := range []error{nil, errors.New("refused"), nil, errors.New("refused"), nil} {
		fake.err = err
		increment()
	}

	for line, want := range map[string]int{
		"redis was reached for the first time": 1, "redis is not available": 2, "redis is available again": 2,
	} {
		if got := strings.Count(logs.String(), line); got != want {
			t.Errorf("%q: got %d lines, want %d", line, got, want)
		}
	}
	if got := strings.Count(logs.String(), "\n"); got != 5 {
		t.Errorf("got %d lines, want 5: %s", got, logs)
	}
	if got := testutil.ToFloat64(watched.metrics.redisErrors.WithLabelValues(reasonConnection)); got != 200 {
		t.Errorf("errors: got %v, want 200", got)
	}
}

// TestEachReasonOfAnOutageIsLogged: whoever fixes the first reason must see the next one. A reason that recurs at
// once, or that differs only in a port or a time, is not logged again.
func TestEachReasonOfAnOutageIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time is simulated
		fake := &fakeCounter{}
		watched, logs := newWatched(fake)
		fail := func(after time.Duration, reason string) {
			time.Sleep(after)
			fake.err = errors.New(reason)
			_, _ = watched.Add(t.Context(), 1)
		}
		fail(0, "dial: refused")
		fail(time.Millisecond, "NOAUTH")
		for range 1500 { // two alternating reasons
			fail(time.Millisecond, "read 127.0.0.1:1234: reset")
			fail(time.Millisecond, "NOAUTH")
		}
		fail(reasonPause, "read 127.0.0.1:1235: reset")
		fail(reasonPause, "read 127.0.0.1:1236: reset")
		fake.err = nil
		_, _ = watched.Add(t.Context(), 1)

		if got := strings.Count(logs.String(), "redis is not available"); got != 1 {
			t.Errorf("got %d outages, want 1: %s", got, logs)
		}
		if got := strings.Count(logs.String(), "redis is still not available"); got != 4 {
			t.Errorf("got %d further reasons, want 4, one a second: %s", got, logs)
		}
		for _, reason := range []string{"refused", "NOAUTH", "reset"} {
			if !strings.Contains(logs.String(), reason) {
				t.Errorf("got no %q: %s", reason, logs)
			}
		}
		if !strings.Contains(logs.String(), `"after":"5.0`) {
			t.Errorf("got a wrong duration of the outage, want 5 s: %s", logs)
		}
	})
}

func TestFailureReason(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"deadline of a connection": {os.ErrDeadlineExceeded, reasonTimeout},
		"deadline of a context":    {context.DeadlineExceeded, reasonTimeout},
		"anything else":            {errors.New("refused"), reasonConnection},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := failureReason(test.err); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestProbeStops(t *testing.T) {
	t.Run("when Redis was reached", func(t *testing.T) {
		watched, _ := newWatched(&fakeCounter{})
		watched.probe(t.Context())
		if !watched.health.reached.Load() {
			t.Error("got not reached, want reached")
		}
	})
	t.Run("when the program stops", func(t *testing.T) {
		watched, _ := newWatched(&fakeCounter{err: errors.New("refused")})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		watched.probe(ctx)
		if watched.health.reached.Load() {
			t.Error("got reached, want not reached")
		}
	})
}

// failingCounter fails, and counts the attempts.
type failingCounter struct{ checks atomic.Int64 }

func (c *failingCounter) Add(context.Context, int64) (int64, error) {
	c.checks.Add(1)
	return 0, errors.New("refused")
}

func TestProbeDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time is simulated
		counter := &failingCounter{}
		watched, _ := newWatched(counter)
		ctx, cancel := context.WithCancel(t.Context())
		go watched.probe(ctx)
		time.Sleep(10*probeInterval - time.Nanosecond)
		cancel()
		synctest.Wait()
		if got := counter.checks.Load(); got != 10 {
			t.Errorf("got %d checks in 10 intervals, want 10", got)
		}
	})
}
