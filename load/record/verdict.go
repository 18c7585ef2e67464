package record

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Row is a number of a verdict with its meaning.
type Row struct{ Name, Value, Meaning string }

// Rows returns the numbers of the verdict as text, in the same rows for each run, so that two can be compared. goal is
// the highest acceptable 95th percentile, in milliseconds.
func (r *Run) Rows(goal float64) []Row {
	t := r.Total
	failed := "0"
	if t.Failed() > 0 {
		failed = fmt.Sprintf("%d (%.2f %%)", t.Failed(), 100*float64(t.Failed())/float64(t.Sent))
	}
	trouble, longest := 0., 0.
	for _, s := range r.Samples {
		trouble++
		if !s.bad(goal) {
			trouble = 0
		}
		longest = max(longest, trouble)
	}
	quantiles := fmt.Sprintf("%s, %s, %s", Milliseconds(t.P50), Milliseconds(t.P95), Milliseconds(t.P99))
	rows := []Row{
		{"requests", fmt.Sprint(t.Sent), "sent at the profile's pace, however slow the answers"},
		{"failed", failed, "no response, or a status other than 2xx"},
		{"late requests", fmt.Sprintf("%.1f %%", r.late()*100), "above 1 % the load generator was the limit"},
		{"latency p50, p95, p99", quantiles, "of the successful requests"},
		{"longest answer", Milliseconds(t.Max), ""},
		{"longest degradation", seconds(longest), "seconds in a row with a failure or a p95 above " + Milliseconds(goal)},
	}
	if r.Autoscaler == nil {
		return rows
	}
	return append(rows, r.scalingRows()...)
}

func (r *Run) scalingRows() []Row {
	start, most, mostWanted := r.Samples[0], 0, 0
	podSeconds, atMax, decisions, reversals := 0, 0., 0, 0
	wanted, direction := start.Desired, 0
	for _, s := range r.Samples {
		most, mostWanted = max(most, s.Ready), max(mostWanted, s.Desired)
		podSeconds += s.Ready
		if s.Desired >= r.Autoscaler.Max {
			atMax++
		}
		if turn := cmp.Compare(s.Desired, wanted); turn != 0 && s.Desired != 0 {
			decisions++
			if turn == -direction {
				reversals++
			}
			wanted, direction = s.Desired, turn
		}
	}
	after := func(from float64, otherwise string, reached func(Sample) bool) string {
		i := slices.IndexFunc(r.Samples, func(s Sample) bool { return s.At >= from && reached(s) })
		if i < 0 {
			return otherwise
		}
		return seconds(r.Samples[i].At - from)
	}
	rise, fall := r.edges()
	capacity := after(rise, "not needed, or not reached", func(s Sample) bool {
		return mostWanted > start.Desired && s.Ready >= mostWanted
	})
	back := after(fall, "not seen", func(s Sample) bool { return most > start.Ready && s.Ready <= start.Ready })
	turns := "changes of the desired number of pods; back is a change in the opposite direction to the one before"
	cost := fmt.Sprintf("%d, %.1f for 1,000 requests", podSeconds, float64(podSeconds)/float64(max(r.Total.Sent, 1))*1000)
	return []Row{
		{"pods", fmt.Sprintf("%d to %d", start.Ready, most), "ready, at the start and at most"},
		{"time to capacity", capacity, "from the first rise of the load until all pods desired for it were ready"},
		{"scale-in time", back, "from the end of the highest load until no more pods than at the start were ready"},
		{"decisions", fmt.Sprintf("%d, %d of them back", decisions, reversals), turns},
		{"at the maximum", seconds(atMax), "time in which the autoscaler could not request more pods"},
		{"pod seconds", cost, "what the run cost"},
		{"over-provisioned", r.over(), "pod seconds beyond what the measured CPU needed at the target"},
	}
}

// bad reports whether a second had a failure or missed the goal.
func (s Sample) bad(goal float64) bool { return s.Failed() > 0 || s.P95 > goal }

// late returns the part of the planned requests that were not sent by the end of their second, each counted once.
func (r *Run) late() float64 {
	planned, sent, behind, late := 0., 0., 0., 0.
	for _, s := range r.Samples {
		planned += s.Planned
		sent += float64(s.Sent)
		now := max(0, planned-sent-2) // two are tolerated for fractions in the plan
		late, behind = late+max(0, now-behind), now
	}
	return late / planned
}

// edges returns the times at which the load leaves its first rate, and finally leaves its peak.
func (r *Run) edges() (rise, fall float64) {
	first, peak := r.Profile.Points[0].Rate, 0.
	for _, p := range r.Profile.Points {
		if p.Rate >= peak {
			peak, fall = p.Rate, p.At
		}
		if peak <= first {
			rise = p.At
		}
	}
	return rise, fall
}

// over compares the ready pods with those that would have kept the CPU at the target, within minimum and maximum.
func (r *Run) over() string {
	had, needed := 0., 0.
	cpu, measured := Unknown, 0 // the last measurement, and the number of pods in its mean
	for _, s := range r.Samples {
		if s.CPU != cpu {
			cpu, measured = s.CPU, s.Ready
		}
		if s.CPU == Unknown || r.Autoscaler.Target == 0 {
			continue
		}
		had += float64(s.Ready)
		pods := math.Ceil(float64(cpu*measured) / float64(r.Autoscaler.Target))
		needed += min(max(pods, float64(r.Autoscaler.Min)), float64(r.Autoscaler.Max))
	}
	if needed == 0 {
		return "CPU not measured"
	}
	return fmt.Sprintf("%+.0f %%", (had/needed-1)*100)
}

// Milliseconds formats a latency with two digits or more, or as a dash if there is none.
func Milliseconds(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func seconds(s float64) string { return fmt.Sprintf("%.0f s", s) }
