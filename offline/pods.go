package offline

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// replicaRange is the possible number of pods of a workload.
type replicaRange struct {
	bounds  []int64 // the smallest and the largest number; 0 if unknown
	unknown bool
}

// replicasBetween returns the range between two fields of the spec. An unset field means 1, the default of Kubernetes.
func replicasBetween(resource Resource, from, to string) (r replicaRange) {
	for _, field := range []string{from, to} {
		n, known := cmp.Or(Lookup(resource.Inputs, "spec", field), any(int64(1))).(int64)
		r.bounds = append(r.bounds, n)
		r.unknown = r.unknown || !known
	}
	return r
}

// String returns e.g. "2..10", or "1" for a fixed number.
func (r replicaRange) String() string {
	switch {
	case r.unknown:
		return "[unknown]"
	case r.bounds[0] == r.bounds[1]:
		return fmt.Sprint(r.bounds[0])
	}
	return fmt.Sprintf("%d..%d", r.bounds[0], r.bounds[1])
}

// scaling returns a table of the autoscalers with their ranges and metrics, and the ranges by target.
func (r *Result) scaling() (string, map[string]replicaRange) {
	rows, ranges := [][]string{}, map[string]replicaRange{}
	for _, autoscaler := range r.objects("HorizontalPodAutoscaler") {
		var metrics []string
		for _, metric := range elements(autoscaler.Inputs, "spec", "metrics") {
			metrics = append(metrics, metricInWords(metric))
		}
		target, _ := autoscaler.Object() // it is in the same namespace
		reference := Lookup(autoscaler.Inputs, "spec", "scaleTargetRef")
		target.Kind, target.Name = text(reference, "kind"), text(reference, "name")
		replicas := replicasBetween(autoscaler, "minReplicas", "maxReplicas")
		ranges[target.String()] = replicas
		rows = append(rows, []string{
			autoscaler.title(), fmt.Sprintf("%s replicas of %s", replicas, target), strings.Join(metrics, "; "),
		})
	}
	return table(rows), ranges
}

// metricInWords returns e.g. "cpu of container web at 50 %". For other than resource metrics it returns the type.
func metricInWords(metric any) string {
	source, of := Lookup(metric, "resource"), "all containers"
	if container := Lookup(metric, "containerResource"); container != nil {
		source, of = container, "container "+text(container, "container")
	}
	if source == nil {
		return "a metric of type " + text(metric, "type")
	}
	target := fmt.Sprint(Lookup(source, "target", "averageValue"))
	if percent := Lookup(source, "target", "averageUtilization"); percent != nil {
		target = fmt.Sprint(percent) + " %"
	}
	return text(source, "name") + " of " + of + " at " + target
}

// sizes returns a table of the resource requests and limits of each pod and in total. The totals exclude DaemonSets.
// ranges holds the replicas of the workloads that an autoscaler scales.
func (r *Result) sizes(ranges map[string]replicaRange) string {
	rows, perNode, unknown := [][]string{{"", "Replicas"}}, "", ""
	for _, m := range measures {
		rows[0] = append(rows[0], m.heading)
	}
	var pods [2]int64 // at each bound of the replicas
	var totals [2][len(measures)]size
	for _, resource := range r.objects("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet") {
		replicas, isScaled := ranges[resource.title()]
		if !isScaled {
			replicas = replicasBetween(resource, "replicas", "replicas")
		}
		row := []string{resource.title(), replicas.String()}
		if replicas.unknown {
			unknown = " + [unknown]"
		}
		if resource.Inputs["kind"] == "DaemonSet" {
			row[1], perNode = "per node", ", no DaemonSets"
			replicas.bounds = nil
		}
		for bound, n := range replicas.bounds {
			pods[bound] += n
		}
		for i, m := range measures {
			pod := m.of(Lookup(resource.Inputs, "spec", "template", "spec"))
			row = append(row, pod.String())
			pod.unknown = pod.unknown || replicas.unknown
			for bound, n := range replicas.bounds {
				totals[bound][i] = totals[bound][i].plus(pod, n)
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		return ""
	}
	for bound, title := range []string{"All at min replicas", "All at max replicas"} {
		row := []string{title + perNode, fmt.Sprint(pods[bound]) + unknown}
		for _, total := range totals[bound] {
			row = append(row, total.String())
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// measure is a resource field of a container: resources.<field>.<name>.
type measure struct{ field, name, heading string }

// measures are the columns of a preview.
var measures = [...]measure{
	{"requests", "cpu", "CPU request"}, {"limits", "cpu", "CPU limit"},
	{"requests", "memory", "Memory request"}, {"limits", "memory", "Memory limit"},
}

// size is the request or limit of a pod, or a sum of them.
type size struct {
	quantity resource.Quantity
	// unlimited is true if a container has no limit; unknown if part of the sum is known only after an `up`.
	unlimited, unknown bool
}

// of returns the size of a pod, computed like in the scheduler: init containers run sequentially before the others,
// except sidecars, which continue to run.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
func (m measure) of(podSpec any) size {
	var total, peak size
	for _, container := range elements(podSpec, "initContainers") {
		during := total.plus(m.ofContainer(container), 1)
		if text(container, "restartPolicy") == "Always" {
			total = during
		}
		peak = peak.atLeast(during)
	}
	for _, container := range elements(podSpec, "containers") {
		total = total.plus(m.ofContainer(container), 1)
	}
	return total.atLeast(peak)
}

// ofContainer returns the size of a container. A missing request defaults to the limit, as in Kubernetes, or else to 0.
func (m measure) ofContainer(container any) size {
	limit := Lookup(container, "resources", "limits", m.name)
	value := cmp.Or(Lookup(container, "resources", m.field, m.name), limit)
	if value == nil {
		return size{unlimited: m.field == "limits"}
	}
	quantity, err := resource.ParseQuantity(fmt.Sprint(value))
	return size{quantity: quantity, unknown: err != nil}
}

// plus returns s + n * other.
func (s size) plus(other size, n int64) size {
	sum, product := s.quantity.DeepCopy(), other.quantity.DeepCopy()
	product.Mul(n)
	sum.Add(product)
	return size{sum, s.unlimited || other.unlimited, s.unknown || other.unknown}
}

// atLeast returns the larger of two sizes that are needed at different times.
func (s size) atLeast(other size) size {
	larger := s.plus(other, 0)
	if other.quantity.Cmp(s.quantity) > 0 {
		larger.quantity = other.quantity
	}
	return larger
}

// String returns the quantity in Kubernetes notation, or "none" without a limit.
func (s size) String() string {
	switch {
	case s.unlimited:
		return "none"
	case s.unknown && s.quantity.IsZero():
		return "[unknown]"
	case s.unknown:
		return s.quantity.String() + " + [unknown]"
	}
	return s.quantity.String()
}
