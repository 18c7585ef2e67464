package record

import (
	"math"
	"slices"
	"time"

	"example.com/scaleout/load/watch"
)

// Verdict is what the numbers of a run come to.
type Verdict struct {
	// Sent and Failed are requests. Short is the part of the planned ones that the load generator sent a second late or
	// later, if at all: above a hundredth, the run says more about its machine than about the app.
	Sent, Failed int
	Short        float64
	// P50, P95, P99 and Max are of the good answers, in milliseconds.
	P50, P95, P99, Max float64
	// WorstP95 is that of the worst second in which at least minCount requests were sent.
	WorstP95 float64
	// LongestTrouble is the longest time in which each second had a failure or a 95th percentile above the goal.
	LongestTrouble time.Duration

	// Scaled tells whether there was an autoscaler; what follows is 0 without one.
	Scaled bool
	// StartPods were ready at the start, PeakPods at most.
	StartPods, PeakPods int
	// Capacity is the time from the first rise of the load until all pods that were wanted for it were ready; 0 if no more
	// were wanted.
	Capacity time.Duration
	// Rise is the part of Capacity in which the load itself still rose.
	Rise time.Duration
	// Back is the time from the last fall of the load until no more than StartPods were ready; 0 if that was not seen.
	Back time.Duration
	// Decisions are the changes of the number of wanted pods, Reversals those of them in the other direction than the one
	// before.
	Decisions, Reversals int
	// AtMax is how long as many pods were wanted as there may be.
	AtMax time.Duration
	// PodSeconds is the sum over all pods of the time for which each was ready; PerThousand is that for a thousand requests.
	PodSeconds, PerThousand float64
	// Over is how many pod seconds there were for each one needed, less one: 0.5 is half as much again. NaN if the CPU was
	// not measured.
	Over float64
}

// minCount is how many requests make a percentile of a second worth looking at.
const minCount = 20

// Judge computes the verdict; goal is the 95th percentile that is still good, in milliseconds.
func (r *Run) Judge(goal float64) Verdict {
	v := Verdict{
		Sent: r.Total.Sent, Failed: r.Total.Failed(), Over: math.NaN(),
		P50: r.Total.P50, P95: r.Total.P95, P99: r.Total.P99, Max: r.Total.Max,
	}
	planned, sent, behind, late, trouble := 0., 0., 0., 0., 0
	for _, s := range r.Samples {
		planned += s.Planned
		sent += float64(s.Sent)
		// What was not sent by the end of its second, once each. Two are due to the planned ones having fractions.
		now := max(0, planned-sent-2)
		late, behind = late+max(0, now-behind), now
		if s.Sent >= minCount {
			v.WorstP95 = max(v.WorstP95, s.P95)
		}
		if s.Failed() > 0 || s.P95 > goal {
			trouble++
		} else {
			trouble = 0
		}
		v.LongestTrouble = max(v.LongestTrouble, seconds(float64(trouble)))
	}
	if planned > 0 {
		v.Short = late / planned
	}
	if r.Autoscaler != nil && len(r.Samples) > 0 {
		r.judgeScaling(&v)
	}
	return v
}

func (r *Run) judgeScaling(v *Verdict) {
	first := r.Samples[0]
	v.Scaled, v.StartPods, v.PeakPods = true, first.Ready, first.Ready
	wanted, direction := first.Desired, 0
	for _, s := range r.Samples {
		v.PeakPods = max(v.PeakPods, s.Ready)
		v.PodSeconds += float64(s.Ready)
		if s.Desired >= r.Autoscaler.Max {
			v.AtMax += time.Second
		}
		if s.Desired != wanted && s.Desired != 0 {
			turn := 1
			if s.Desired < wanted {
				turn = -1
			}
			v.Decisions++
			if turn == -direction {
				v.Reversals++
			}
			wanted, direction = s.Desired, turn
		}
	}
	if r.Total.Sent > 0 {
		v.PerThousand = v.PodSeconds / float64(r.Total.Sent) * 1000
	}
	r.judgeTimes(v)
	v.Over = r.over()
}

// judgeTimes finds when the pods followed the load up and down.
func (r *Run) judgeTimes(v *Verdict) {
	rise, top, fall := r.edges()
	most := slices.MaxFunc(r.Samples, func(a, b Sample) int { return a.Desired - b.Desired }).Desired
	if most > r.Samples[0].Desired {
		for _, s := range r.Samples {
			if s.At >= rise && s.Ready >= most {
				v.Capacity = seconds(s.At - rise)
				v.Rise = seconds(min(s.At, top) - rise)
				break
			}
		}
	}
	if v.PeakPods > v.StartPods {
		for _, s := range r.Samples {
			if s.At >= fall && s.Ready <= v.StartPods {
				v.Back = seconds(s.At - fall)
				break
			}
		}
	}
}

// edges are when the load leaves its first rate, when it first reaches its peak, and when it leaves its peak for good.
func (r *Run) edges() (rise, top, fall float64) {
	points, peak := r.Profile.Points, r.Profile.Peak()
	for _, p := range points {
		if p.Rate <= points[0].Rate {
			rise = p.At
			continue
		}
		break
	}
	for _, p := range slices.Backward(points) {
		if p.Rate == peak {
			fall = p.At
			break
		}
	}
	top = fall
	for _, p := range points {
		if p.Rate == peak {
			top = p.At
			break
		}
	}
	return rise, top, fall
}

// over compares the pods that were there with as many as use, together, what was measured without any of them above the
// target, and no fewer than the minimum.
func (r *Run) over() float64 {
	had, needed := 0., 0.
	cpu, measured := watch.Unknown, 0 // the last measurement, and of how many pods it is the mean
	for _, s := range r.Samples {
		if s.CPU != cpu {
			cpu, measured = s.CPU, s.Ready
		}
		if s.CPU == watch.Unknown || r.Autoscaler.Target == 0 {
			continue
		}
		had += float64(s.Ready)
		pods := math.Ceil(float64(cpu*measured) / float64(r.Autoscaler.Target))
		needed += min(max(pods, float64(r.Autoscaler.Min)), float64(r.Autoscaler.Max))
	}
	return had/needed - 1 // NaN if nothing was measured
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
