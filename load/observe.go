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
			if ctx.Err() == nil { // the last response may arrive before the last second is over
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
		failed := 0 // responses arrive after their requests, so all seconds are updated
		for i := range r.Samples {
			_, r.Samples[i].Summary = load.Second(i)
			failed += r.Samples[i].Failed()
		}
		// By time and not by ticks, because ticks are dropped while the cluster or the terminal blocks.
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

// Seconds between two lines, and between two headings.
const (
	lineEvery    = 5
	headingEvery = 20 * lineEvery
)

// view shows the progress of a load.
type view struct {
	out      io.Writer
	settings *record.Settings // nil without an autoscaler
	rates    []int
	failed   int // up to the last line
}

// second shows second i: the requests sent in it, their outcome, and the number of failures so far.
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

// spark returns the rate of the last seconds as a row of blocks.
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
