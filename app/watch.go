package main

import (
	"context"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"
)

// probeInterval is the interval between attempts to reach Redis for the first time.
const probeInterval = 500 * time.Millisecond

// reasonPause is the minimum time between lines on further reasons of an outage, which may alternate with every visit.
const reasonPause = time.Second

// watchedCounter reports the state of its counter to operators: every call in metrics; outages, their further reasons
// and their ends in the log. It also reports the first success to health.
type watchedCounter struct {
	counter Counter
	metrics *metrics
	health  *health
	log     *slog.Logger

	outage atomic.Pointer[outage] // the current one; nil if there is none
}

// outage is a period in which calls fail, as it was logged.
type outage struct {
	began   time.Time
	reason  string    // of the newest line
	changed time.Time // time of that line if it reported another reason; zero if it is the first one
}

// Add implements Counter.
func (w *watchedCounter) Add(ctx context.Context, hits int64) (int64, error) {
	start := time.Now()
	total, err := w.counter.Add(ctx, hits)
	w.metrics.redisCalls.Observe(time.Since(start).Seconds())
	if err != nil {
		w.metrics.redisErrors.WithLabelValues(failureReason(err)).Inc()
		w.failed(err)
	} else {
		w.worked()
	}
	return total, err
}

var digits = regexp.MustCompile(`[0-9]`)

// failed logs err if it begins an outage or is another reason for it, apart from digits, such as ports and times.
func (w *watchedCounter) failed(err error) {
	now, last := time.Now(), w.outage.Load()
	reason := digits.ReplaceAllString(err.Error(), "")
	switch {
	case last == nil:
		if w.outage.CompareAndSwap(nil, &outage{began: now, reason: reason}) {
			w.log.Error("redis is not available", "error", err)
		}
	case reason != last.reason && now.Sub(last.changed) >= reasonPause:
		if w.outage.CompareAndSwap(last, &outage{began: last.began, reason: reason, changed: now}) {
			w.log.Error("redis is still not available", "error", err)
		}
	}
}

func (w *watchedCounter) worked() {
	if !w.health.reached.Load() && w.health.reached.CompareAndSwap(false, true) {
		w.log.Info("redis was reached for the first time")
	}
	if last := w.outage.Load(); last != nil && w.outage.CompareAndSwap(last, nil) {
		w.log.Info("redis is available again", "after", time.Since(last.began).Round(time.Millisecond).String())
	}
}

// probe tries the counter until it succeeds once, or until ctx is done. Without it a program that is not ready, and
// so gets no visitors, would never become ready.
func (w *watchedCounter) probe(ctx context.Context) {
	for {
		if _, err := w.Add(ctx, 0); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeInterval):
		}
	}
}
