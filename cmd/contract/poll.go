package main

import (
	"context"
	"errors"
	"time"
)

// poll calls try until it says yes, returns an error, or the limit is over, which is errTimeout.
func poll(ctx context.Context, limit time.Duration, try func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		done, err := try()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errTimeout
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// pollInterval is short beside what a person notices, and long beside what a command of Docker costs.
const pollInterval = 250 * time.Millisecond

// errTimeout is the end of the limit of poll. It is a finding about the image, where every other error ends the run.
var errTimeout = errors.New("took too long")

// sleep waits, but not longer than ctx lasts.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
