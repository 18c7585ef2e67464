package components

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Capacity is what the nodes of a cluster may have together: the limits of its NodePools. Pods beyond it stay pending, and
// an autoscaler that asks for them scales nothing.
type Capacity struct {
	// CPU and Memory are Kubernetes quantities, e.g. 32 and 128Gi. Required.
	CPU, Memory string
}

// Pods are the equal pods of one workload.
type Pods struct {
	// Min and Max are how many there may be.
	Min, Max int
	// Surge is how many more there are while a new version is rolled out at Max.
	Surge int
	// Resources of each.
	Resources Resources
}

// Pods are those of the web app; the surge is its Deployment's.
func (s *WebAppSettings) Pods() Pods {
	return Pods{
		Min: s.Scaling.MinReplicas, Max: s.Scaling.MaxReplicas, Resources: s.Resources,
		Surge: int(math.Ceil(float64(s.Scaling.MaxReplicas) * maxSurgePercent / 100)),
	}
}

// Pods is the one of the Redis in the cluster.
func (s *RedisSettings) Pods() Pods { return one(s.Resources) }

// Pods is the one of the Prometheus.
func (s *PrometheusSettings) Pods() Pods { return one(prometheusResources) }

// GrafanaSize, KubeStateMetricsSize and MetricsServerSize are what these ask for, of which there is one pod each.
var (
	GrafanaSize          = one(grafanaResources)
	KubeStateMetricsSize = one(kubeStateMetricsResources)
	MetricsServerSize    = one(metricsServerResources)
)

// Pods are those of the ingress controller.
func (a *TraefikArgs) Pods() Pods {
	return Pods{Min: a.Replicas, Max: a.Replicas, Resources: traefikResources}
}

func one(resources Resources) Pods { return Pods{Min: 1, Max: 1, Resources: resources} }

// Validate reports what are no sizes.
func (c Capacity) Validate() field.ErrorList {
	return append(check.Quantity("nodeCpuLimit", c.CPU, "1m", "1000000", "32"),
		check.Quantity("nodeMemoryLimit", c.Memory, "1Mi", "10000Ti", "128Gi")...)
}

// Needs is what pods ask for together.
type Needs struct{ CPU, Memory resource.Quantity }

// String is e.g. "2100m CPU, 1408Mi".
func (n Needs) String() string { return n.CPU.String() + " CPU, " + n.Memory.String() }

// Demand is what workloads ask for when all of them have their fewest pods, their most, and their most while a new version
// is rolled out: with all the pods that the rollout would like to have on top, and with the one of each workload that it needs.
type Demand struct{ AtMin, AtMax, AtMaxInRollout, atMaxAndOne Needs }

// DemandOf adds up workloads.
func DemandOf(workloads []Pods) Demand {
	var d Demand
	for _, w := range workloads {
		d.AtMin.add(w.Resources, w.Min)
		d.AtMax.add(w.Resources, w.Max)
		d.AtMaxInRollout.add(w.Resources, w.Max+w.Surge)
		d.atMaxAndOne.add(w.Resources, w.Max+min(1, w.Surge))
	}
	return d
}

func (n *Needs) add(r Resources, pods int) {
	cpu, memory := resource.MustParse(r.CPURequest), resource.MustParse(r.MemoryLimit)
	cpu.Mul(int64(pods))
	memory.Mul(int64(pods))
	n.CPU.Add(cpu)
	n.Memory.Add(memory)
}

// Fits reports demand that the nodes could never meet: all pods at their most, and the one more without which a new version
// cannot be rolled out then. It is generous: of a node's CPU and memory some belongs to the node itself, and other stacks
// may run on it.
func (c Capacity) Fits(d Demand) field.ErrorList {
	var problems field.ErrorList
	for _, side := range []struct {
		name, limit string
		need        resource.Quantity
	}{{"nodeCpuLimit", c.CPU, d.atMaxAndOne.CPU}, {"nodeMemoryLimit", c.Memory, d.atMaxAndOne.Memory}} {
		limit := resource.MustParse(side.limit)
		if side.need.Cmp(limit) > 0 {
			problems = append(problems, check.Invalid(side.name, side.limit, fmt.Sprintf(
				"is less than the %s that all pods of this stack request at maxReplicas with the one more that a rollout needs; "+
					"lower maxReplicas, or raise the limit of the NodePool and then this", side.need.String()))...)
		}
	}
	return problems
}
