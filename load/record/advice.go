package record

import (
	"fmt"
	"math"
	"slices"

	"example.com/scaleout/load/profile"
)

// metricsDelay is the maximum age of a load in seconds when the autoscaler sees it: metrics-server queries the nodes
// every 15 s (https://kubernetes-sigs.github.io/metrics-server/), and the autoscaler queries metrics-server every 15
// s (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/).
const metricsDelay = 30

// calm is the number of seconds for which load and pods must be unchanged for a measurement of CPU to match them:
// metricsDelay plus the time over which the node measures.
const calm = 45

// Bounds of the proposed target. Below 30 % most of a pod is paid for and idle; above 90 % the autoscaler's tolerance
// of 10 % reaches the capacity of a pod.
const minTarget, maxTarget = 30, 90

// Advice is the proposal for the settings of the autoscaler that results from a run.
type Advice struct {
	Settings Settings // the proposed ones, without Limit
	Reasons  []string // for them, step by step
	Problem  string   // why there is no proposal; empty if there is one
}

// Advise proposes settings for the load of this run; goal is the highest acceptable 95th percentile, in milliseconds.
func (r *Run) Advise(goal float64) (a Advice) {
	if r.Autoscaler == nil {
		a.Problem = "the stack has no autoscaler"
		return a
	}
	late := r.late()
	rest, request := r.cost()
	rate, limited := r.capacity(goal)
	switch {
	case late > 0.01:
		a.Problem = fmt.Sprintf("the load generator sent %.0f %% less than planned, so this machine was the limit, "+
			"not the app", late*100)
	case request == 0:
		a.Problem = fmt.Sprintf("load and pods were never the same for %d s, so no CPU could be assigned to a load; "+
			"make a longer run (a lower -speed)", calm)
	case rate == 0:
		a.Problem = fmt.Sprintf("there were no ten seconds without failures and with a p95 of at most %g ms", goal)
	default:
		a.because("A pod uses %.1fm of CPU at rest and %.0f µs for each request.", rest, request*1000)
		full := rest + request*rate
		did := fmt.Sprintf("The highest rate of a pod for ten seconds without a failure and with a p95 of at most %g ms "+
			"was %.0f requests a second, which takes %.0fm", goal, rate, full)
		if limited {
			a.Settings.Request = int64(math.Ceil(full/5) * 5)
			a.because("%s, and it could not do more: a request of %dm, so that 100 %% is the capacity of a pod.",
				did, a.Settings.Request)
		} else {
			a.Settings.Request = r.Autoscaler.Request
			rate = (float64(a.Settings.Request) - rest) / request
			a.because("%s. It received no more, so its request stays at %dm, which is enough for %.0f; "+
				"a larger load (-scale) would show its capacity.", did, a.Settings.Request, rate)
		}
		r.propose(&a, rate, limited)
	}
	return a
}

func (a *Advice) because(format string, args ...any) {
	a.Reasons = append(a.Reasons, fmt.Sprintf(format, args...))
}

// propose derives the other settings from rate, for which a pod's request is enough. With the target, the existing
// pods can handle the growth of the load until new ones serve. limited reports whether rate is the capacity of a pod.
func (r *Run) propose(a *Advice, rate float64, limited bool) {
	first, peak := r.Profile.Points[0].Rate, r.Profile.Peak()
	atOnce := 0 // pods that can handle the fastest growth from the first rate
	if start, found := r.startTime(); found {
		reaction := metricsDelay + start
		growth := growth(r.Profile, reaction)
		reserve, whence := 1., ""
		if limit := float64(r.Autoscaler.Limit); !limited && limit > float64(a.Settings.Request) {
			reserve = limit / float64(a.Settings.Request)
			whence = fmt.Sprintf(", and the limit of %dm allows %.1f times the request while the node has "+
				"that much idle", r.Autoscaler.Limit, reserve)
		}
		a.Settings.Target = int(min(max(100*reserve/growth, minTarget), maxTarget))
		a.because("A new pod served %.0f s after it was desired, and the need is detected after up to %d s: within %.0f s "+
			"this load grows %.1f-fold. The existing pods must handle that%s: a target of %d %%.",
			start, metricsDelay, reaction, growth, whence, a.Settings.Target)
		atOnce = int(math.Ceil(first * growth / (rate * reserve)))
	} else {
		a.Settings.Target = r.Autoscaler.Target
		a.because("No new pod was seen from being desired until it served, so the reserve that the load needs is "+
			"unknown: the target stays at %d %%.", a.Settings.Target)
	}
	perPod := rate * float64(a.Settings.Target) / 100
	a.Settings.Min = max(2, int(math.Ceil(first/perPod)))
	a.because("The load begins with %.0f requests a second, and a pod at the target handles %.0f: a minimum of %d, and "+
		"never less than two, so that one can be evicted.", first, perPod, a.Settings.Min)
	if atOnce > a.Settings.Min {
		a.because("Until new pods serve, only %d existing pods can handle a load that grows this fast: "+
			"raise the minimum to that if its first moments matter.", atOnce)
	}
	a.Settings.Max = max(a.Settings.Min, int(math.Ceil(peak/perPod*1.25)))
	a.because("Its peak of %.0f requests a second needs %.0f pods at the target; with a quarter more as headroom: "+
		"a maximum of %d.", peak, math.Ceil(peak/perPod), a.Settings.Max)
}

// cost fits a line to the CPU of a pod over its rate, where both were steady. It returns the CPU at rest and that for
// each request a second, in thousandths of a core; 0 if nothing was steady.
func (r *Run) cost() (rest, request float64) {
	var n, x, y, xx, xy float64
	for i, s := range r.Samples {
		if s.CPU != Unknown && s.Ready > 0 && r.steady(i) {
			rate, cpu := s.Planned/float64(s.Ready), float64(s.CPUMilli)
			n, x, y, xx, xy = n+1, x+rate, y+cpu, xx+rate*rate, xy+rate*cpu
		}
	}
	if x == 0 {
		return 0, 0
	}
	if spread := n*xx - x*x; spread > 0.01*x*x { // otherwise there was only one rate
		request = (n*xy - x*y) / spread
		rest = (y - request*x) / n
	}
	if request <= 0 || rest < 0 {
		return 0, y / x
	}
	return rest, request
}

// steady reports whether load and pods were the same for calm seconds before a sample.
func (r *Run) steady(i int) bool {
	if i < calm {
		return false
	}
	now := r.Samples[i]
	return !slices.ContainsFunc(r.Samples[i-calm:i], func(s Sample) bool {
		return s.Ready != now.Ready || math.Abs(s.Planned-now.Planned) > 0.05*now.Planned
	})
}

// capacity returns the highest rate that a pod has handled for ten seconds within the goal, in requests per second.
// It is limited if a pod with a rate more than a tenth higher missed the goal.
func (r *Run) capacity(goal float64) (best float64, limited bool) {
	const span = 10
	sum, good, worst := 0., 0, 0.
	share := func(s Sample) float64 { return float64(s.Sent) / float64(s.Ready) }
	for i, s := range r.Samples {
		if s.Ready == 0 || s.bad(goal) {
			if s.Ready > 0 {
				worst = max(worst, share(s))
			}
			sum, good = 0, 0
			continue
		}
		sum, good = sum+share(s), good+1
		if good > span {
			sum, good = sum-share(r.Samples[i-span]), span
		}
		if good == span {
			best = max(best, sum/span)
		}
	}
	return best, worst > 1.1*best
}

// startTime returns the longest time in seconds from a pod being desired until it served, if that was seen.
func (r *Run) startTime() (longest float64, found bool) {
	for i := 1; i < len(r.Samples); i++ {
		wanted := r.Samples[i].Desired
		if wanted <= r.Samples[i-1].Desired {
			continue
		}
		rest := r.Samples[i:]
		end := slices.IndexFunc(rest, func(s Sample) bool { return s.Desired < wanted || s.Ready >= wanted })
		if end >= 0 && rest[end].Desired >= wanted {
			longest, found = max(longest, rest[end].At-rest[0].At), true
		}
	}
	return longest, found
}

// growth returns the largest factor by which the load grows within a number of seconds.
func growth(p profile.Profile, within float64) float64 {
	most, end := 1., p.Duration().Seconds()
	for t := 0.; t <= end; t++ {
		most = max(most, p.At(min(t+within, end))/p.At(t))
	}
	return most
}
