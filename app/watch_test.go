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

func newWatched(counter checkedCounter) (*watchedCounter, *logBuffer) {
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
			group.Go(func() { _, _ = watched.Increment(t.Context()) })
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

// failingCounter counts how often it is tried in vain.
type failingCounter struct {
	fakeCounter
	checks atomic.Int64
}

func (c *failingCounter) Check(context.Context) error {
	c.checks.Add(1)
	return errors.New("refused")
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
