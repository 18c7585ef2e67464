package config

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/addons"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
)

// Capacity compares what the pods of a stack ask for with what the nodes may have.
type Capacity struct {
	Demand kube.Demand
	// CPULimit and MemoryLimit of the nodes. Empty, or unknown before the cluster exists, for nothing to compare with.
	CPULimit, MemoryLimit pulumi.StringInput
}

func (d *decoder) capacity(t *Kubernetes) Capacity {
	c := Capacity{
		CPULimit:    d.clusterText("nodeCpuLimit", "", outputNodeCPULimit),
		MemoryLimit: d.clusterText("nodeMemoryLimit", "", outputNodeMemoryLimit),
	}
	cpu, cpuKnown := c.CPULimit.(pulumi.String)
	memory, memoryKnown := c.MemoryLimit.(pulumi.String)
	if (d.Text("nodeCpuLimit") == "") != (d.Text("nodeMemoryLimit") == "") {
		d.Refuse("nodeCpuLimit", "must be set together with nodeMemoryLimit, or neither")
		return c
	}
	nodes := kube.Capacity{CPU: string(cpu), Memory: string(memory)}
	compare := cpuKnown && memoryKnown && cpu != "" && memory != ""
	if compare {
		problems := nodes.Validate()
		d.Check("nodes", problems)
		compare = len(problems) == 0
	}
	if t.sized() {
		c.Demand = kube.DemandOf(t.pods())
		if compare {
			d.Check("nodes", nodes.Fits(c.Demand))
		}
	}
	return c
}

// sized tells whether all sizes are quantities. If not, that is a problem of its own.
func (t *Kubernetes) sized() bool {
	for _, pods := range t.pods() {
		if len(pods.Resources.Validate()) > 0 {
			return false
		}
	}
	return len(t.Web.Scaling.Validate()) == 0
}

// pods are all that the stack runs.
func (t *Kubernetes) pods() []kube.Workload {
	all := []kube.Workload{t.Web.Workload()}
	if t.Redis != nil {
		all = append(all, kube.OnePod(t.Redis.Resources))
	}
	if t.Traefik != nil {
		all = append(all, t.Traefik.Workload())
	}
	if t.MetricsServer != nil {
		all = append(all, addons.MetricsServerSize)
	}
	if t.Monitoring.Prometheus != nil {
		all = append(all, monitoring.PrometheusSize, monitoring.KubeStateMetricsSize)
	}
	if t.Monitoring.GrafanaImage != "" {
		all = append(all, monitoring.GrafanaSize)
	}
	return all
}
