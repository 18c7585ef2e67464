package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Capacity is the total capacity of a cluster's nodes: the limits of its NodePools. Pods beyond it stay pending.
type Capacity struct {
	// CPU and Memory are Kubernetes quantities, e.g. 32 and 128Gi. Required.
	CPU, Memory string
}

// Workload is a group of identical pods.
type Workload struct {
	// Min and Max are the limits of their number.
	Min, Max int
	// Surge is the number of additional pods during a rollout at Max.
	Surge int
	// Resources of each pod.
	Resources Resources
}

// Workload returns the pods of the web app, with the surge of its Deployment.
func (a *WebAppArgs) Workload() Workload {
	most := a.Scaling.most()
	surge := (most*maxSurgePercent + 99) / 100 // rounded up
	return Workload{Min: a.Scaling.least(), Max: most, Surge: surge, Resources: a.Container.Resources}
}

// OnePod returns the workload of a StatefulSet with one pod, which a rollout stops first.
func OnePod(resources Resources) Workload { return Workload{Min: 1, Max: 1, Resources: resources} }

// OnePodAndSurge returns the workload of a Deployment with one pod, beside which a rollout starts the new one.
func OnePodAndSurge(resources Resources) Workload {
	return Workload{Min: 1, Max: 1, Surge: 1, Resources: resources}
}

// Validate reports invalid quantities.
func (c Capacity) Validate() field.ErrorList {
	return append(check.Quantity("cpu", c.CPU, "1m", "1000000", "32"),
		check.Quantity("memory", c.Memory, "1Mi", "10000Ti", "128Gi")...)
}

// Request is the resources that some pods request together.
type Request struct{ CPU, Memory resource.Quantity }

// String returns, for example, "2100m CPU, 1408Mi".
func (r Request) String() string { return r.CPU.String() + " CPU, " + r.Memory.String() }

// TotalRequests holds what workloads request at minimum scale, at maximum scale, and at maximum scale during a rollout
// of all of them.
type TotalRequests struct{ AtMin, AtMax, AtMaxInRollout Request }

// TotalRequestsOf adds up workloads.
func TotalRequestsOf(workloads []Workload) (t TotalRequests) {
	for _, w := range workloads {
		t.AtMin.add(w.Resources, w.Min)
		t.AtMax.add(w.Resources, w.Max)
		t.AtMaxInRollout.add(w.Resources, w.Max+w.Surge)
	}
	return t
}

func (r *Request) add(of Resources, pods int) {
	cpu, memory := resource.MustParse(of.CPURequest), resource.MustParse(of.memoryRequest())
	cpu.Mul(int64(pods))
	memory.Mul(int64(pods))
	r.CPU.Add(cpu)
	r.Memory.Add(memory)
}

// Fits reports total requests above the capacity, at maximum scale during a rollout: pods beyond it stay pending.
func (c Capacity) Fits(t TotalRequests) field.ErrorList {
	return append(fits("cpu", c.CPU, t.AtMaxInRollout.CPU), fits("memory", c.Memory, t.AtMaxInRollout.Memory)...)
}

func fits(name, limit string, need resource.Quantity) field.ErrorList {
	return check.That(need.Cmp(resource.MustParse(limit)) <= 0, name, limit, fmt.Sprintf(
		"is less than the %s that all pods request at maximum scale, with the additional pods of a rollout; "+
			"lower that maximum, or raise the limit of the NodePool and then this value", need.String()))
}
