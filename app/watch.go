package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// probeInterval is how often a Redis that was never reached is tried.
const probeInterval = 500 * time.Millisecond

// checkedCounter is a Counter that can also be tried without counting.
type checkedCounter interface {
	Counter
	Check(ctx context.Context) error
}

// watchedCounter tells operators how its counter fares: in metrics per call, in the log once when it fails and once
// when it works again, and to health when it worked for the first time.
type watchedCounter struct {
	counter checkedCounter
	metrics *metrics
	health  *health
	log     *slog.Logger

	failedAt atomic.Pointer[time.Time] // when the present outage was noticed; nil if there is none
}

// Increment implements Counter.
func (w *watchedCounter) Increment(ctx context.Context) (int64, error) {
	start := time.Now()
	n, err := w.counter.Increment(ctx)
	w.note(start, err)
	return n, err
}

// Check tells whether Increment would work.
func (w *watchedCounter) Check(ctx context.Context) error {
	start := time.Now()
	err := w.counter.Check(ctx)
	w.note(start, err)
	return err
}

func (w *watchedCounter) note(start time.Time, err error) {
	w.metrics.redisCalls.Observe(time.Since(start).Seconds())
	if err != nil {
		w.metrics.redisErrors.WithLabelValues(failureReason(err)).Inc()
		now := time.Now()
		if w.failedAt.CompareAndSwap(nil, &now) {
			w.log.Error("redis is not available", "error", err)
		}
		return
	}
	if !w.health.reached.Load() && w.health.reached.CompareAndSwap(false, true) {
		w.log.Info("redis was reached for the first time")
	}
	if failedAt := w.failedAt.Load(); failedAt != nil && w.failedAt.CompareAndSwap(failedAt, nil) {
		w.log.Info("redis is available again", "after", time.Since(*failedAt).Round(time.Millisecond).String())
	}
}

// probe tries the counter until it worked once, or until ctx ends. Without it a program that is not ready, and so
// gets no visitors, would never find out.
func (w *watchedCounter) probe(ctx context.Context) {
	for w.Check(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeInterval):
		}
	}
}
