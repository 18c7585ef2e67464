package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/scaleout/load/traffic"
	"example.com/scaleout/load/watch"
)

// Every how many seconds a line stays, and how many of them pass until the heading comes again.
const (
	keepEvery    = 5
	headingEvery = 20 * keepEvery
	sparkWidth   = 24
)

// view shows a load while it goes on, a line for a second. On a terminal the line is written over, and every fifth one
// stays; elsewhere only those are written, so that a log has the same lines.
type view struct {
	out      io.Writer
	terminal bool
	settings *watch.Settings // nil without an autoscaler
	rates    []float64
	failed   int // until the last line that stayed
	events   int // shown already
}

// second shows second i: how many requests were sent in it, what has come of them, and how many have failed so far.
func (v *view) second(i, sent int, sum traffic.Summary, failed int, state watch.State) {
	v.rates = append(v.rates, float64(sent))
	keep := i%keepEvery == keepEvery-1
	if !keep && !v.terminal {
		return
	}
	if i%headingEvery == keepEvery-1 {
		v.print("%s\n", v.heading())
	}
	line := fmt.Sprintf("%4d:%02d  %7d  %7d  %7s %7s %7s", (i+1)/60, (i+1)%60, sent, failed-v.failed, took(sum.P50), took(sum.P95), took(sum.P99))
	if v.settings != nil {
		cpu := "unknown"
		if state.CPU != watch.Unknown {
			cpu = fmt.Sprintf("%d %%", state.CPU)
		}
		line += fmt.Sprintf("  %7s  %3d %7d", cpu, state.Ready, state.Desired)
	}
	v.print("%s  %s", line, v.spark())
	if keep {
		v.failed = failed
		v.print("\n")
	}
}

func (v *view) heading() string {
	text := "   time   sent/s   failed      p50     p95     p99"
	if v.settings != nil {
		text += fmt.Sprintf("      CPU  pods  wanted  (target %d %%, %d to %d pods)", v.settings.Target, v.settings.Min, v.settings.Max)
	}
	return text
}

// decisions shows what the autoscaler has done since the last call.
func (v *view) decisions(events []watch.Event) {
	for ; v.events < len(events); v.events++ {
		v.print("         autoscaler: %s\n", events[v.events].Message)
	}
}

// print writes over the line that is there, if it may.
func (v *view) print(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.terminal && text != "\n" {
		text = "\r\x1b[K" + text
	}
	_, _ = io.WriteString(v.out, text)
}

// spark is the rate of the last seconds as a row of blocks.
func (v *view) spark() string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	rates := v.rates[max(0, len(v.rates)-sparkWidth):]
	top := max(slices.Max(v.rates), 1)
	var b strings.Builder
	for _, r := range rates {
		b.WriteRune(blocks[min(int(r/top*float64(len(blocks))), len(blocks)-1)])
	}
	return b.String()
}

func took(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
