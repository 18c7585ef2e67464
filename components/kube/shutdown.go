package kube

import (
	"cmp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Shutdown holds the times, in seconds, of a graceful shutdown. They are only correct together, so all follow from two:
// a pod must serve until the load balancer stops sending it requests, and be killed only after its last response.
//
//	0             the pod is marked for deletion, its deregistration starts; the container sleeps (PreStop)
//	PreStop       SIGTERM: /readyz fails, connections are closed after their current requests (AppDrain)
//	+ AppDrain    the listener closes, requests in flight may finish (InFlight)
//	+ InFlight    the process exits
//	Grace         the kubelet kills the process if it still runs
type Shutdown struct {
	// LoadBalancerDelay is the time for which the load balancer may keep sending new requests to a terminating pod:
	// about 5 s for an ingress controller that watches endpoints, up to 25 s for an AWS load balancer.
	// https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1064
	LoadBalancerDelay int
	// LongestRequest is the maximum duration of a request, and thus the time for the app to finish. 0 for 10 s. An ALB
	// answers 504 if nothing is sent for 60 s, so a longer response must be streamed.
	LongestRequest int
}

const (
	defaultLongestRequest = 10
	// The sum stays within the hour that an AWS target group waits at most.
	maxLongestRequest, maxLoadBalancerDelay = 3000, 300
	// killMargin is time for the kubelet and the process beyond the times above.
	killMargin = 5
)

// Validate reports every invalid time.
func (d Shutdown) Validate() field.ErrorList {
	problems := check.Range("loadBalancerDelay", d.LoadBalancerDelay, 1, maxLoadBalancerDelay)
	return append(problems, check.Range("longestRequest", d.LongestRequest, 0, maxLongestRequest)...)
}

// PreStop returns the time for which a container keeps serving before it gets SIGTERM.
func (d Shutdown) PreStop() int { return d.LoadBalancerDelay }

// AppDrain returns the time after SIGTERM during which the app still accepts requests on open connections.
func (d Shutdown) AppDrain() int { return (d.LoadBalancerDelay + 4) / 5 } // a fifth, rounded up

// InFlight returns the time for requests in flight after that.
func (d Shutdown) InFlight() int { return cmp.Or(d.LongestRequest, defaultLongestRequest) }

// Grace returns the pod's terminationGracePeriodSeconds.
func (d Shutdown) Grace() int { return d.Deregistration() + killMargin }

// Deregistration returns the deregistration delay of an AWS target group. It equals the time that the pod can serve:
// a shorter delay cuts requests off, and a longer one keeps connections to a terminated pod.
func (d Shutdown) Deregistration() int { return d.PreStop() + d.AppDrain() + d.InFlight() }
