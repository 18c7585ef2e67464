package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/traffic"
	"example.com/scaleout/load/watch"
)

// observe sends the load of a run and samples its outcome once a second; w is nil without an autoscaler.
func observe(ctx context.Context, r *record.Run, out io.Writer, w *watch.Watcher) {
	load := traffic.Start(ctx, r.Profile, r.URL, r.Host)
	r.Started = load.Started
	failed := 0
	ticks := time.Tick(time.Second)
	for ended := false; !ended; {
		select {
		case <-ticks:
		case <-load.Done:
			ended = true
			if ctx.Err() == nil { // the last response may arrive before the last second is over
				time.Sleep(time.Until(r.Started.Add(r.Profile.Duration())))
			}
		}
		state, events := w.Look(ctx)
		for _, e := range events {
			e.At = max(0, e.Time.Sub(r.Started).Seconds())
			r.Events = append(r.Events, e)
			_, _ = fmt.Fprintf(out, "         autoscaler: %s\n", e.Message)
		}
		for i := range r.Samples { // responses arrive after their requests
			r.Samples[i].Summary = load.Second(i)
		}
		// By time and not by ticks, because ticks are dropped while the cluster or the terminal blocks.
		for i := len(r.Samples); i < int(time.Since(r.Started)/time.Second); i++ {
			at := float64(i + 1)
			planned := r.Profile.Sent(at) - r.Profile.Sent(at-1)
			r.Samples = append(r.Samples, record.Sample{At: at, Planned: planned, Summary: load.Second(i), State: state})
			failed = show(out, r, failed)
		}
	}
	r.Total, r.Interrupted = load.Total(), ctx.Err() != nil
}

// show prints every fifth second of a run, the last one so far. shown is the number of failures until the previous
// line, and the result is that until this one.
func show(out io.Writer, r *record.Run, shown int) (failed int) {
	const lineEvery, headingEvery = 5, 100 // seconds
	n := len(r.Samples)
	if n%lineEvery != 0 {
		return shown
	}
	if n%headingEvery == lineEvery {
		heading := "   time   sent/s   failed      p50     p95     p99"
		if s := r.Autoscaler; s != nil {
			heading += fmt.Sprintf("      CPU  pods  wanted  (target %d %%, %d to %d pods)", s.Target, s.Min, s.Max)
		}
		_, _ = fmt.Fprintln(out, heading)
	}
	for _, s := range r.Samples {
		failed += s.Failed()
	}
	s := r.Samples[n-1]
	line := fmt.Sprintf("%4d:%02d  %7d  %7d  %7s %7s %7s", n/60, n%60, s.Begun, failed-shown,
		record.Milliseconds(s.P50), record.Milliseconds(s.P95), record.Milliseconds(s.P99))
	if r.Autoscaler != nil {
		cpu := "unknown"
		if s.CPU != record.Unknown {
			cpu = fmt.Sprintf("%d %%", s.CPU)
		}
		line += fmt.Sprintf("  %7s  %3d %7d", cpu, s.Ready, s.Desired)
	}
	_, _ = fmt.Fprintf(out, "%s  %s\n", line, spark(r.Samples))
	return failed
}

// spark returns the rate of the last seconds as a row of blocks.
func spark(samples []record.Sample) string {
	const width = 24
	blocks := []rune("▁▂▃▄▅▆▇█")
	busiest := slices.MaxFunc(samples, func(a, b record.Sample) int { return a.Begun - b.Begun })
	var b strings.Builder
	for _, s := range samples[max(0, len(samples)-width):] {
		b.WriteRune(blocks[min(s.Begun*len(blocks)/max(busiest.Begun, 1), len(blocks)-1)])
	}
	return b.String()
}
