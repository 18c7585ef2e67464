package kube

import (
	"cmp"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Resources are what one container asks for and may use. All are Kubernetes quantities.
type Resources struct {
	// CPURequest is the CPU that the scheduler reserves, and 100 % in the autoscaler's arithmetic: a target of 50 %
	// means half of this. Required. E.g. 100m for a tenth of a core.
	CPURequest string
	// CPULimit is where the kernel throttles. Empty for no limit, which lets a pod use idle CPU; a limit keeps one pod
	// from starving its neighbours, and must leave room above the request or latency rises before the autoscaler acts.
	CPULimit string
	// MemoryLimit is what a container is killed above. Required. E.g. 64Mi.
	MemoryLimit string
	// MemoryRequest is what the scheduler reserves. Empty for the limit, so that a pod is never killed for memory that the
	// scheduler had promised to another.
	MemoryRequest string
	// EphemeralStorage is what a container may write to the node's disk, logs included, before its pod is evicted; it is
	// reserved as well. Empty for neither, e.g. 1Gi.
	EphemeralStorage string
}

// Validate reports everything wrong with the resources.
func (r Resources) Validate() field.ErrorList {
	problems := check.CPU("cpuRequest", r.CPURequest)
	problems = append(problems, check.Memory("memoryLimit", r.MemoryLimit)...)
	if r.EphemeralStorage != "" {
		problems = append(problems, check.Storage("ephemeralStorage", r.EphemeralStorage)...)
	}
	if r.CPULimit != "" {
		problems = append(problems, notBelow("cpuLimit", r.CPULimit, "CPU request", r.CPURequest, check.CPU)...)
	}
	if r.MemoryRequest != "" {
		problems = append(problems, check.Memory("memoryRequest", r.MemoryRequest)...)
		if len(problems) == 0 {
			problems = notBelow("memoryLimit", r.MemoryLimit, "memory request", r.MemoryRequest, check.Memory)
		}
	}
	return problems
}

// notBelow wants a limit that is no smaller than the request, where both are quantities.
func notBelow(name, limit, of, request string, form func(name, value string) field.ErrorList) field.ErrorList {
	problems := form(name, limit)
	if len(problems) > 0 || len(form(name, request)) > 0 {
		return problems
	}
	least, most := resource.MustParse(request), resource.MustParse(limit)
	if most.Cmp(least) < 0 {
		return check.Invalid(name, limit, "must be at least the "+of+" of "+request)
	}
	return nil
}

// Requirements is the form that a container takes.
func (r Resources) Requirements() *corev1.ResourceRequirementsArgs {
	requests := pulumi.StringMap{"cpu": pulumi.String(r.CPURequest), "memory": pulumi.String(r.memoryRequest())}
	limits := pulumi.StringMap{"memory": pulumi.String(r.MemoryLimit)}
	if r.CPULimit != "" {
		limits["cpu"] = pulumi.String(r.CPULimit)
	}
	if r.EphemeralStorage != "" {
		requests["ephemeral-storage"] = pulumi.String(r.EphemeralStorage)
		limits["ephemeral-storage"] = pulumi.String(r.EphemeralStorage)
	}
	return &corev1.ResourceRequirementsArgs{Requests: requests, Limits: limits}
}

func (r Resources) memoryRequest() string { return cmp.Or(r.MemoryRequest, r.MemoryLimit) }
