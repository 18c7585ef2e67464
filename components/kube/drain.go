package kube

import (
	"cmp"
	"math"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Drain holds every time, in seconds, that passes while a pod leaves. All follow from the first, since they are only
// right together: a pod must answer until the load balancer has stopped asking it, and must not be killed before the
// last answer is out.
//
//	0             the pod is marked for deletion, the load balancer starts to hear of it; the container sleeps (PreStop)
//	PreStop       SIGTERM: /readyz fails, connections are closed as their requests end (AppDrain)
//	+ AppDrain    the listener closes, requests under way may finish (Shutdown)
//	+ Shutdown    the process ends by itself
//	Grace         the kubelet would kill it
type Drain struct {
	// LoadBalancerDelay is how long the load balancer may go on sending new requests to a pod that is going away:
	// about 5 s for an ingress controller that watches endpoints, up to 25 s for an AWS load balancer.
	// https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1064
	LoadBalancerDelay int
	// LongestRequest is how long a request may take to be answered: the app is given that much to finish. 0 for 10 s. An
	// ALB answers 504 where nothing is sent for 60 s, so a longer answer must be sent bit by bit.
	LongestRequest int
}

const (
	defaultLongestRequest = 10
	// Together still within the hour that an AWS target group waits at the most.
	maxLongestRequest, maxLoadBalancerDelay = 3000, 300
	// killMargin is what the kubelet and the process need around the times above.
	killMargin = 5
)

// Validate reports everything wrong with the times.
func (d Drain) Validate() field.ErrorList {
	problems := check.Range("loadBalancerDelay", d.LoadBalancerDelay, 1, maxLoadBalancerDelay)
	return append(problems, check.Range("longestRequest", d.LongestRequest, 0, maxLongestRequest)...)
}

// PreStop is how long a container keeps serving before it is told to stop.
func (d Drain) PreStop() int { return d.LoadBalancerDelay }

// AppDrain is how long the app then still accepts requests on the connections that the load balancer keeps open.
func (d Drain) AppDrain() int { return max(1, int(math.Ceil(float64(d.LoadBalancerDelay)/5))) }

// Shutdown is how long requests that are under way may take.
func (d Drain) Shutdown() int { return cmp.Or(d.LongestRequest, defaultLongestRequest) }

// Grace is the pod's terminationGracePeriodSeconds.
func (d Drain) Grace() int { return d.PreStop() + d.AppDrain() + d.Shutdown() + killMargin }

// Deregistration is how long an AWS target group lets requests finish on a target that left: as long as the pod can
// answer them, since a shorter time cuts them and a longer one keeps connections to a pod that is gone.
func (d Drain) Deregistration() int { return d.PreStop() + d.AppDrain() + d.Shutdown() }
