package main

import (
	"context"
	"time"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/traffic"
	"example.com/scaleout/load/watch"
)

// workers is how many requests may wait at once. At the default -max-rate that is half a second's.
const workers = 500

// observe sends the load, and looks once a second at what came of it.
func observe(ctx context.Context, r *record.Run, v *view, w *watch.Watcher, settings traffic.Settings) {
	var states []watch.State
	load := traffic.Start(ctx, r.Profile, settings)
	r.Started = load.Started
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	look := func() {
		state := watch.State{CPU: watch.Unknown}
		if w != nil {
			state = w.State()
			v.decisions(w.Events())
		}
		// By time and not by ticks: those that come while a terminal stands still are dropped.
		for i := len(states); i < int(time.Since(load.Started)/time.Second); i++ {
			v.second(i, load.Begun(i), load.Second(i), load.Failed(), state)
			states = append(states, state)
		}
	}
	for under := true; under; {
		select {
		case <-ticker.C:
			look()
		case <-load.Done():
			under = false
		}
	}
	if last := load.Started.Add(r.Profile.Duration()); ctx.Err() == nil && time.Until(last) < time.Second {
		time.Sleep(time.Until(last)) // the last answer can be there before the last second is over
	}
	look()
	v.print("\n")
	r.Interrupted = ctx.Err() != nil
	for i, state := range states {
		at := float64(i + 1)
		r.Samples = append(r.Samples, record.Sample{
			At: at, Planned: r.Profile.Sent(at) - r.Profile.Sent(at-1), Summary: load.Second(i), State: state,
		})
	}
	r.Total = load.Total()
	if w != nil {
		for _, e := range w.Events() {
			r.Events = append(r.Events, record.Event{At: max(0, e.Time.Sub(r.Started).Seconds()), Reason: e.Reason, Message: e.Message})
		}
	}
}
