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

// observe sends the load of a run and looks once a second at what came of it; w is nil without an autoscaler.
func observe(ctx context.Context, r *record.Run, out io.Writer, w *watch.Watcher) {
	v := &view{out: out, settings: r.Autoscaler}
	load := traffic.Start(ctx, r.Profile, r.URL, r.Host)
	r.Started = load.Started
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ticker.C:
		case <-load.Done:
			ended = true
			if ctx.Err() == nil { // the last answer can be there before the last second is over
				time.Sleep(time.Until(r.Started.Add(r.Profile.Duration())))
			}
		}
		state, events := record.State{CPU: record.Unknown}, []record.Event(nil)
		if w != nil {
			state, events = w.Look(ctx)
		}
		for _, e := range events {
			e.At = max(0, e.Time.Sub(r.Started).Seconds())
			r.Events = append(r.Events, e)
			_, _ = fmt.Fprintf(out, "         autoscaler: %s\n", e.Message)
		}
		failed := 0 // answers come later than their requests, so all seconds are looked at again
		for i := range r.Samples {
			_, r.Samples[i].Summary = load.Second(i)
			failed += r.Samples[i].Failed()
		}
		// By time and not by ticks: those that come while the cluster or the terminal does not answer are dropped.
		for i := len(r.Samples); i < int(time.Since(r.Started)/time.Second); i++ {
			at := float64(i + 1)
			planned := r.Profile.Sent(at) - r.Profile.Sent(at-1)
			begun, sum := load.Second(i)
			r.Samples = append(r.Samples, record.Sample{At: at, Planned: planned, Summary: sum, State: state})
			failed += sum.Failed()
			v.second(i, begun, sum, failed, state)
		}
	}
	r.Total, r.Interrupted = load.Total(), ctx.Err() != nil
}

// Every how many seconds there is a line, and how many of them pass until the heading comes again.
const (
	lineEvery    = 5
	headingEvery = 20 * lineEvery
)

// view shows a load while it goes on.
type view struct {
	out      io.Writer
	settings *record.Settings // nil without an autoscaler
	rates    []int
	failed   int // until the last line
}

// second shows second i: how many requests were sent in it, what has come of them, and how many have failed so far.
func (v *view) second(i, sent int, sum traffic.Summary, failed int, state record.State) {
	v.rates = append(v.rates, sent)
	if i%lineEvery != lineEvery-1 {
		return
	}
	if i%headingEvery == lineEvery-1 {
		heading := "   time   sent/s   failed      p50     p95     p99"
		if s := v.settings; s != nil {
			heading += fmt.Sprintf("      CPU  pods  wanted  (target %d %%, %d to %d pods)", s.Target, s.Min, s.Max)
		}
		_, _ = fmt.Fprintln(v.out, heading)
	}
	line := fmt.Sprintf("%4d:%02d  %7d  %7d  %7s %7s %7s", (i+1)/60, (i+1)%60, sent, failed-v.failed,
		record.Milliseconds(sum.P50), record.Milliseconds(sum.P95), record.Milliseconds(sum.P99))
	v.failed = failed
	if v.settings != nil {
		cpu := "unknown"
		if state.CPU != record.Unknown {
			cpu = fmt.Sprintf("%d %%", state.CPU)
		}
		line += fmt.Sprintf("  %7s  %3d %7d", cpu, state.Ready, state.Desired)
	}
	_, _ = fmt.Fprintf(v.out, "%s  %s\n", line, v.spark())
}

// spark is the rate of the last seconds as a row of blocks.
func (v *view) spark() string {
	const width = 24
	blocks := []rune("▁▂▃▄▅▆▇█")
	top := max(slices.Max(v.rates), 1)
	var b strings.Builder
	for _, rate := range v.rates[max(0, len(v.rates)-width):] {
		b.WriteRune(blocks[min(rate*len(blocks)/top, len(blocks)-1)])
	}
	return b.String()
}
