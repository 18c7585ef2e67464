package components

import "testing"

// The order of events that loses no request, for every delay that is accepted.
func TestDrainHoldsForEveryDelay(t *testing.T) {
	for delay := 1; delay <= maxLoadBalancerDelay; delay++ {
		d := Drain{LoadBalancerDelay: delay}
		if problems := d.Validate(); len(problems) > 0 {
			t.Fatalf("delay %d: %v", delay, problems)
		}
		lastAnswer := d.PreStop() + d.AppDrain() + d.Shutdown()
		for claim, holds := range map[string]bool{
			"the container serves until the load balancer has stopped asking":      d.PreStop() >= delay,
			"the app still answers on open connections after SIGTERM":              d.AppDrain() >= 1,
			"the longest request fits into the shutdown":                           d.Shutdown() >= longestRequest,
			"the kubelet does not kill before the last answer":                     d.Grace() > lastAnswer,
			"the load balancer does not cut a request that the pod can answer":     d.Deregistration() >= lastAnswer,
			"the load balancer does not hold connections to a pod that was killed": d.Deregistration() < d.Grace(),
			"an AWS target group accepts the delay (0 to 3600 s)":                  d.Deregistration() <= 3600,
			"deregistration leaves a request that began at the very end its time":  d.Deregistration()-d.PreStop() >= longestRequest,
		} {
			if !holds {
				t.Errorf("delay %d: it does not hold that %s (%+v)", delay, claim, d)
			}
		}
	}
}

func TestDrainRefuses(t *testing.T) {
	for _, delay := range []int{-1, 0, maxLoadBalancerDelay + 1} {
		if problems := (Drain{LoadBalancerDelay: delay}).Validate(); len(problems) != 1 {
			t.Errorf("delay %d: got %d problems, want 1", delay, len(problems))
		}
	}
}
