package record

import (
	"fmt"
	"math"
	"time"

	"example.com/scaleout/load/profile"
	"example.com/scaleout/load/watch"
)

// metricsDelay is how old a load may be when the autoscaler sees it: metrics-server asks the nodes every 15 s
// (https://kubernetes-sigs.github.io/metrics-server/), and the autoscaler asks metrics-server every 15 s
// (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/).
const metricsDelay = 30 * time.Second

// calm is how long load and pods must not have changed for a measurement of CPU to belong to them: metricsDelay, and the
// time over which the node measures.
const calm = 45

// Bounds of what is proposed. Below 30 % most of a pod is paid for and idle; above 90 % the 10 % by which the autoscaler
// tolerates a deviation reach to what a pod can do.
const minTarget, maxTarget = 30, 90

// Advice is what a run says about the settings of its autoscaler.
type Advice struct {
	// Settings are those proposed; Limit is not.
	Settings watch.Settings
	// Reasons are the steps to them, in order.
	Reasons []string
	// Problem is why there is no proposal; empty if there is one.
	Problem string
}

// costs is what pods need, from a line through the measurements: so much at rest, and so much for each request.
type costs struct{ rest, request float64 }

// Advise proposes settings for the load of this run; goal is the 95th percentile that is still good, in milliseconds.
func (r *Run) Advise(goal float64) Advice {
	if r.Autoscaler == nil {
		return Advice{Problem: "the stack has no autoscaler"}
	}
	if v := r.Judge(goal); v.Short > 0.01 {
		return Advice{Problem: fmt.Sprintf("the load generator sent %.0f %% less than planned, so this machine was the limit and not the app", v.Short*100)}
	}
	cost, found := r.cost()
	if !found {
		return Advice{Problem: fmt.Sprintf("load and pods were never the same for %d s, so no CPU could be told from another; take a longer run (a lower -speed)", calm)}
	}
	rate, found := r.capacity(goal)
	if rate == 0 {
		return Advice{Problem: fmt.Sprintf("there were no ten seconds without failures and with a p95 of at most %g ms", goal)}
	}
	return r.propose(cost, rate, found, goal)
}

// propose goes from what a pod needs to the settings. limited tells whether rate is all that a pod can do.
func (r *Run) propose(cost costs, rate float64, limited bool, goal float64) Advice {
	var a Advice
	because := func(format string, args ...any) { a.Reasons = append(a.Reasons, fmt.Sprintf(format, args...)) }

	because("A pod uses %.1fm of CPU at rest and %.0f µs for each request.", cost.rest, cost.request*1000)
	full := cost.rest + cost.request*rate
	did := fmt.Sprintf("The most that a pod did for ten seconds without a failure and with a p95 of at most %g ms was %.0f requests a second, which takes %.0fm",
		goal, rate, full)
	a.Settings.Request = int64(math.Ceil(full/5) * 5)
	if limited {
		because("%s, and it could not do more: a request of %dm, so that 100 %% is what a pod can do.", did, a.Settings.Request)
	} else {
		a.Settings.Request = r.Autoscaler.Request
		rate = (float64(a.Settings.Request) - cost.rest) / cost.request
		because("%s. It was not asked for more, so its request stays at %dm, which is enough for %.0f; a larger load (-scale) would show what it can do.",
			did, a.Settings.Request, rate)
	}

	first := r.Profile.Points[0].Rate
	needed := 0 // pods for the first moments of a rise
	if start, found := r.startTime(); found {
		needed = r.proposeTarget(&a, start, rate, limited)
	} else {
		a.Settings.Target = r.Autoscaler.Target
		because("No new pod was seen from being wanted until it served, so nothing tells how much reserve the load needs: the target stays at %d %%.",
			a.Settings.Target)
	}

	perPod := rate * float64(a.Settings.Target) / 100
	a.Settings.Min = max(2, int(math.Ceil(first/perPod)))
	because("The load begins with %.0f requests a second, and a pod at the target takes %.0f: a minimum of %d, and never less than two, so that one can go.",
		first, perPod, a.Settings.Min)
	if needed > a.Settings.Min {
		because("A load that grows this fast before new pods serve is borne only by %d pods that are there already: raise the minimum to that if its first moments matter.",
			needed)
	}
	a.Settings.Max = max(a.Settings.Min, int(math.Ceil(r.Profile.Peak()/perPod*1.25)))
	because("Its peak of %.0f requests a second takes %.0f pods at the target; a quarter more is the head-room: a maximum of %d.",
		r.Profile.Peak(), math.Ceil(r.Profile.Peak()/perPod), a.Settings.Max)
	return a
}

// proposeTarget finds the target at which the pods that are there bear the load until others, which take so long to start,
// serve. It returns how many pods bear that from the load's first rate on.
func (r *Run) proposeTarget(a *Advice, start time.Duration, rate float64, limited bool) (needed int) {
	reaction := metricsDelay + start
	growth := growth(r.Profile, reaction.Seconds())
	reserve, whence := 1., ""
	if limit := float64(r.Autoscaler.Limit); !limited && limit > float64(a.Settings.Request) {
		reserve = limit / float64(a.Settings.Request)
		whence = fmt.Sprintf(", and its limit of %dm lets it use %.1f times its request while its node has that much idle", r.Autoscaler.Limit, reserve)
	}
	a.Settings.Target = int(min(max(100*reserve/growth, minTarget), maxTarget))
	a.Reasons = append(a.Reasons, fmt.Sprintf("A new pod served %.0f s after it was wanted, and its need is seen after up to %.0f s: "+
		"within %.0f s this load grows %.1f-fold. The pods that are there must bear that%s: a target of %d %%.",
		start.Seconds(), metricsDelay.Seconds(), reaction.Seconds(), growth, whence, a.Settings.Target))
	return int(math.Ceil(r.Profile.Points[0].Rate * growth / (rate * reserve)))
}

// cost fits a line through the CPU of a pod over its rate, where both were steady.
func (r *Run) cost() (c costs, found bool) {
	var n, x, y, xx, xy float64
	for i, s := range r.Samples {
		if !r.steady(i) || s.CPU == watch.Unknown || s.Ready == 0 {
			continue
		}
		rate, cpu := s.Planned/float64(s.Ready), float64(s.CPUMilli)
		n, x, y, xx, xy = n+1, x+rate, y+cpu, xx+rate*rate, xy+rate*cpu
	}
	if x == 0 || y == 0 {
		return costs{}, false
	}
	if spread := n*xx - x*x; spread > 0.01*x*x { // else there was one rate only
		c.request = (n*xy - x*y) / spread
		c.rest = (y - c.request*x) / n
	}
	if c.request <= 0 || c.rest < 0 {
		c = costs{request: y / x}
	}
	return c, true
}

// steady tells whether load and pods have been the same for calm seconds before a sample.
func (r *Run) steady(i int) bool {
	if i < calm {
		return false
	}
	now := r.Samples[i]
	for _, s := range r.Samples[i-calm : i] {
		if s.Ready != now.Ready || math.Abs(s.Planned-now.Planned) > 0.05*now.Planned {
			return false
		}
	}
	return true
}

// capacity is the highest rate that a pod has borne for ten seconds within the goal, in requests per second. It is limited
// if a pod that was asked for a tenth more did not keep the goal.
func (r *Run) capacity(goal float64) (best float64, limited bool) {
	const span = 10
	sum, good, worst := 0., 0, 0.
	share := func(s Sample) float64 { return float64(s.Sent) / float64(s.Ready) }
	for i, s := range r.Samples {
		if s.Ready == 0 || s.Failed() > 0 || s.P95 > goal {
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

// startTime is the longest time from a pod being wanted until it served, if that was seen.
func (r *Run) startTime() (longest time.Duration, found bool) {
	for i := 1; i < len(r.Samples); i++ {
		wanted := r.Samples[i].Desired
		if wanted <= r.Samples[i-1].Desired {
			continue
		}
		for _, s := range r.Samples[i:] {
			if s.Desired < wanted {
				break
			}
			if s.Ready >= wanted {
				longest, found = max(longest, seconds(s.At-r.Samples[i].At)), true
				break
			}
		}
	}
	return longest, found
}

// growth is by how much the load is multiplied within a time, at most.
func growth(p profile.Profile, within float64) float64 {
	most := 1.
	for t := 0.; t <= p.Duration().Seconds(); t++ {
		if now := p.At(t); now > 0 {
			most = max(most, p.At(min(t+within, p.Duration().Seconds()))/now)
		}
	}
	return most
}
