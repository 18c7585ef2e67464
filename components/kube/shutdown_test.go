package kube

import (
	"fmt"
	"testing"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// The order of events of a shutdown that loses no request, for every delay and longest request.
func TestShutdownHoldsForEveryDelay(t *testing.T) {
	for delay := 1; delay <= maxLoadBalancerDelay; delay++ {
		for _, longest := range []int{0, 1, 10, 60, 900, maxLongestRequest} {
			d := Shutdown{LoadBalancerDelay: delay, LongestRequest: longest}
			if problems := d.Validate(); len(problems) > 0 {
				t.Fatalf("%+v: %v", d, problems)
			}
			request := longest
			if request == 0 {
				request = defaultLongestRequest
			}
			lastAnswer := d.PreStop() + d.AppDrain() + d.InFlight()
			for claim, holds := range map[string]bool{
				"the container serves until the load balancer sends no more requests": d.PreStop() >= delay,
				"the app still answers on open connections after SIGTERM":             d.AppDrain() >= 1,
				"the longest request fits into the shutdown":                          d.InFlight() >= request,
				"the kubelet does not kill the pod before its last answer":            d.Grace() > lastAnswer,
				"the load balancer waits as long as the pod can answer":               d.Deregistration() >= lastAnswer,
				"the load balancer closes connections before the pod is killed":       d.Deregistration() < d.Grace(),
				"an AWS target group accepts the delay (0 to 3600 s)":                 d.Deregistration() <= 3600,
				"a request that begins last gets its full time":                       d.Deregistration()-d.PreStop() >= request,
			} {
				if !holds {
					t.Errorf("%+v: does not hold: %s", d, claim)
				}
			}
		}
	}
}

func TestShutdownRefuses(t *testing.T) {
	for _, d := range []Shutdown{
		{LoadBalancerDelay: -1}, {}, {LoadBalancerDelay: maxLoadBalancerDelay + 1}, {LoadBalancerDelay: 5,
			LongestRequest: -1},
		{LoadBalancerDelay: 5, LongestRequest: maxLongestRequest + 1},
	} {
		if problems := d.Validate(); len(problems) != 1 {
			t.Errorf("%+v: got %d problems, want 1", d, len(problems))
		}
	}
}

// The pod, the app and the load balancer get their times from the same two numbers.
func TestShutdownReachesEveryPlace(t *testing.T) {
	web := testWeb()
	web.Shutdown = Shutdown{LoadBalancerDelay: 25, LongestRequest: 40}
	spec := podSpec(t, recordWeb(t, web))
	sleep := offline.Lookup(spec, "containers", 0, "lifecycle", "preStop", "sleep", "seconds")
	grace := offline.Lookup(spec, "terminationGracePeriodSeconds")
	if sleep != int64(web.Shutdown.PreStop()) || grace != int64(web.Shutdown.Grace()) {
		t.Errorf("got sleep %v and grace %v, want %d and %d", sleep, grace, web.Shutdown.PreStop(), web.Shutdown.Grace())
	}
	for name, want := range map[string]string{
		"DRAIN_DELAY": fmt.Sprintf("%ds", web.Shutdown.AppDrain()), "SHUTDOWN_TIMEOUT": "40s",
	} {
		if got := variable(spec, name); got != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
}

// podSpec returns the pod spec of the web app "web".
func podSpec(t *testing.T, result *offline.Result) any {
	t.Helper()
	return componenttest.Value(t, result, "Deployment", "web", "spec", "template", "spec")
}

// variable returns the value of an environment variable of the pods' container; nil if there is none.
func variable(podSpec any, name string) any {
	vars, _ := offline.Lookup(podSpec, "containers", 0, "env").([]any)
	for _, v := range vars {
		if offline.Lookup(v, "name") == name {
			return offline.Lookup(v, "value")
		}
	}
	return nil
}
