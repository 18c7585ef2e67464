package record

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"example.com/scaleout/load/profile"
)

// verdict holds the results of a run. Times are in seconds; Rows explains each number.
type verdict struct {
	late           float64 // part of the planned requests
	worstP95       float64
	longestTrouble float64

	// The rest is 0 without an autoscaler.
	startPods, peakPods  int
	capacity, rise       float64 // 0 if no more pods were desired; rise is the part in which the load itself still rose
	back                 float64 // 0 if that was not seen
	decisions, reversals int
	atMax, podSeconds    float64
	over                 float64 // NaN if the CPU was not measured
}

// minCount is the number of requests from which a percentile of a second is meaningful.
const minCount = 20

// judge computes the verdict; goal is the highest acceptable 95th percentile, in milliseconds.
func (r *Run) judge(goal float64) (v verdict) {
	planned, sent, behind, trouble := 0., 0., 0., 0.
	for _, s := range r.Samples {
		planned += s.Planned
		sent += float64(s.Sent)
		// Requests not sent by the end of their second, counted once each. Two are tolerated for fractions in the plan.
		now := max(0, planned-sent-2)
		v.late, behind = v.late+max(0, now-behind), now
		if s.Sent >= minCount {
			v.worstP95 = max(v.worstP95, s.P95)
		}
		trouble++
		if s.Failed() == 0 && s.P95 <= goal {
			trouble = 0
		}
		v.longestTrouble = max(v.longestTrouble, trouble)
	}
	if planned > 0 {
		v.late /= planned
	}
	if r.Autoscaler != nil && len(r.Samples) > 0 {
		r.judgeScaling(&v)
		r.judgeTimes(&v)
		v.over = r.over()
	}
	return v
}

func (r *Run) judgeScaling(v *verdict) {
	v.startPods = r.Samples[0].Ready
	wanted, direction := r.Samples[0].Desired, 0
	for _, s := range r.Samples {
		v.peakPods = max(v.peakPods, s.Ready)
		v.podSeconds += float64(s.Ready)
		if s.Desired >= r.Autoscaler.Max {
			v.atMax++
		}
		if turn := cmp.Compare(s.Desired, wanted); turn != 0 && s.Desired != 0 {
			v.decisions++
			if turn == -direction {
				v.reversals++
			}
			wanted, direction = s.Desired, turn
		}
	}
}

// judgeTimes computes when the pods followed the load up and down.
func (r *Run) judgeTimes(v *verdict) {
	rise, top, fall := r.edges()
	first := func(from float64, reached func(Sample) bool) (at float64, found bool) {
		i := slices.IndexFunc(r.Samples, func(s Sample) bool { return s.At >= from && reached(s) })
		if i < 0 {
			return 0, false
		}
		return r.Samples[i].At, true
	}
	most := 0
	for _, s := range r.Samples {
		most = max(most, s.Desired)
	}
	at, found := first(rise, func(s Sample) bool { return s.Ready >= most })
	if found && most > r.Samples[0].Desired {
		v.capacity, v.rise = at-rise, min(at, top)-rise
	}
	at, found = first(fall, func(s Sample) bool { return s.Ready <= v.startPods })
	if found && v.peakPods > v.startPods {
		v.back = at - fall
	}
}

// edges returns the times at which the load leaves its first rate, first reaches its peak, and finally leaves its
// peak.
func (r *Run) edges() (rise, top, fall float64) {
	points, peak := r.Profile.Points, r.Profile.Peak()
	for _, p := range points {
		if p.Rate > points[0].Rate {
			break
		}
		rise = p.At
	}
	top = points[slices.IndexFunc(points, func(p profile.Point) bool { return p.Rate == peak })].At
	for _, p := range points {
		if p.Rate == peak {
			fall = p.At
		}
	}
	return rise, top, fall
}

// over compares the ready pods with the number that would have kept the measured CPU at the target, within minimum
// and maximum.
func (r *Run) over() float64 {
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
	return had/needed - 1 // NaN if nothing was measured
}

// Row is a number of a verdict with its meaning.
type Row struct{ Name, Value, Meaning string }

// Rows returns the numbers of the verdict as text, in the same rows for each run, so that two can be compared.
func (r *Run) Rows(goal float64) []Row {
	v, t := r.judge(goal), r.Total
	failed := "0"
	if t.Failed() > 0 {
		failed = fmt.Sprintf("%d (%.2f %%)", t.Failed(), 100*float64(t.Failed())/float64(t.Sent))
	}
	worst := fmt.Sprintf("of those with at least %d requests", minCount)
	trouble := "seconds in a row with a failure or a p95 above " + Milliseconds(goal)
	quantiles := fmt.Sprintf("%s, %s, %s", Milliseconds(t.P50), Milliseconds(t.P95), Milliseconds(t.P99))
	rows := []Row{
		{"requests", fmt.Sprint(t.Sent), "sent at the profile's pace, however slow the answers"},
		{"failed", failed, "no response, or a status other than 2xx"},
		{"not sent in time", fmt.Sprintf("%.1f %%", v.late*100), "above 1 % the load generator was the limit"},
		{"latency p50, p95, p99", quantiles, "of the successful requests"},
		{"longest answer", Milliseconds(t.Max), ""},
		{"p95 of the worst second", Milliseconds(v.worstP95), worst},
		{"longest trouble", seconds(v.longestTrouble), trouble},
	}
	if r.Autoscaler == nil {
		return rows
	}
	capacity, back, over := "not needed, or not reached", "not seen", "CPU not measured"
	if v.capacity > 0 {
		capacity = seconds(v.capacity)
		if v.rise >= 1 {
			capacity += ", of which the load rose for " + seconds(v.rise)
		}
	}
	if v.back > 0 {
		back = seconds(v.back)
	}
	if !math.IsNaN(v.over) && !math.IsInf(v.over, 0) {
		over = fmt.Sprintf("%+.0f %%", v.over*100)
	}
	pods := fmt.Sprintf("%d to %d", v.startPods, v.peakPods)
	turns := "changes of the desired number of pods; back is a change in the opposite direction to the one before"
	decisions := fmt.Sprintf("%d, %d of them back", v.decisions, v.reversals)
	cost := fmt.Sprintf("%.0f, %.1f for 1,000 requests", v.podSeconds, v.podSeconds/float64(max(t.Sent, 1))*1000)
	return append(rows, []Row{
		{"pods", pods, "ready, at the start and at most"},
		{"time to capacity", capacity, "from the first rise of the load until all pods desired for it were ready"},
		{"time back", back, "from the end of the highest load until no more pods than at the start were ready"},
		{"decisions", decisions, turns},
		{"at the maximum", seconds(v.atMax), "time in which the autoscaler could not request more pods"},
		{"pod seconds", cost, "what the run cost"},
		{"over-provisioned", over, "pod seconds beyond what the measured CPU needed at the target"},
	}...)
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
