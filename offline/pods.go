package offline

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// replicaRange is the possible number of pods of a workload.
type replicaRange struct {
	min, max int64
	unknown  bool
}

// replicasBetween returns the range between two fields of the spec. An unset field means 1, the default of Kubernetes.
func replicasBetween(resource *Resource, from, to string) replicaRange {
	bounds := [2]int64{1, 1}
	for i, field := range []string{from, to} {
		if v := Lookup(resource.Inputs, "spec", field); v != nil {
			n, known := v.(int64)
			if !known {
				return replicaRange{unknown: true}
			}
			bounds[i] = n
		}
	}
	return replicaRange{min: bounds[0], max: bounds[1]}
}

// String returns e.g. "2..10", or "1" for a fixed number.
func (r replicaRange) String() string {
	switch {
	case r.unknown:
		return "[unknown]"
	case r.min == r.max:
		return fmt.Sprint(r.min)
	}
	return fmt.Sprintf("%d..%d", r.min, r.max)
}

// scaled returns the target of an autoscaler and its replica range.
func scaled(autoscaler *Resource) (Object, replicaRange) {
	object, _ := autoscaler.Object()
	target := Lookup(autoscaler.Inputs, "spec", "scaleTargetRef")
	return Object{Kind: text(target, "kind"), Name: text(target, "name"), Namespace: object.Namespace},
		replicasBetween(autoscaler, "minReplicas", "maxReplicas")
}

// scaling returns a table of the autoscalers with their ranges and metrics.
func (r *Result) scaling() string {
	rows := [][]string{}
	for _, autoscaler := range r.objects("HorizontalPodAutoscaler") {
		var metrics []string
		for _, metric := range elements(autoscaler.Inputs, "spec", "metrics") {
			metrics = append(metrics, metricInWords(metric))
		}
		target, replicas := scaled(autoscaler)
		rows = append(rows, []string{
			autoscaler.title(), replicas.String() + " replicas of " + target.String(), strings.Join(metrics, "; "),
		})
	}
	return table(rows)
}

// metricInWords returns e.g. "cpu of container web at 50 %". For other than resource metrics it returns the type.
func metricInWords(metric any) string {
	source, of := Lookup(metric, "resource"), "all containers"
	switch text(metric, "type") {
	case "ContainerResource":
		source = Lookup(metric, "containerResource")
		of = "container " + text(source, "container")
	case "Resource":
	default:
		return "a metric of type " + text(metric, "type")
	}
	target := fmt.Sprint(Lookup(source, "target", "averageValue"))
	if percent := Lookup(source, "target", "averageUtilization"); percent != nil {
		target = fmt.Sprint(percent) + " %"
	}
	return text(source, "name") + " of " + of + " at " + target
}

// workload is a set of identical pods, with the size of each by measure.
type workload struct {
	replicas replicaRange
	sizes    []size
}

// sizes returns a table of the resource requests and limits of each pod and in total. The totals exclude DaemonSets.
func (r *Result) sizes() string {
	ranges := map[string]replicaRange{}
	for _, autoscaler := range r.objects("HorizontalPodAutoscaler") {
		target, replicas := scaled(autoscaler)
		ranges[target.String()] = replicas
	}
	rows, counted, perNode := [][]string{{"", "Replicas"}}, []workload{}, ""
	for _, m := range measures {
		rows[0] = append(rows[0], m.heading)
	}
	for _, resource := range r.objects("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet") {
		w, isScaled := workload{}, false
		if w.replicas, isScaled = ranges[resource.title()]; !isScaled {
			w.replicas = replicasBetween(resource, "replicas", "replicas")
		}
		row := []string{resource.title(), w.replicas.String()}
		for _, m := range measures {
			s := m.of(Lookup(resource.Inputs, "spec", "template", "spec"))
			w.sizes, row = append(w.sizes, s), append(row, s.String())
		}
		if resource.Inputs["kind"] == "DaemonSet" {
			row[1], perNode = "per node", ", no DaemonSets"
		} else {
			counted = append(counted, w)
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		return ""
	}
	return table(append(rows,
		total("All at min replicas"+perNode, counted, func(r replicaRange) int64 { return r.min }),
		total("All at max replicas"+perNode, counted, func(r replicaRange) int64 { return r.max })))
}

// total returns the sum of all workloads at one end of their ranges.
func total(title string, workloads []workload, count func(replicaRange) int64) []string {
	pods, unknown, sums := int64(0), "", make([]size, len(measures))
	for _, w := range workloads {
		n := count(w.replicas) // 0 if unknown
		if pods += n; w.replicas.unknown {
			unknown = " + [unknown]"
		}
		for i, s := range w.sizes {
			sums[i] = sums[i].plus(s, n)
			sums[i].unknown = sums[i].unknown || w.replicas.unknown
		}
	}
	row := []string{title, fmt.Sprint(pods) + unknown}
	for _, sum := range sums {
		row = append(row, sum.String())
	}
	return row
}

// size is the request or limit of a pod, or a sum of them.
type size struct {
	quantity resource.Quantity
	// unlimited is true if a container has no limit; unknown if part of the sum is known only after an `up`.
	unlimited, unknown bool
}

// measure is a resource field of a container: resources.<field>.<name>.
type measure struct{ field, name, heading string }

// measures are the columns of a preview.
var measures = []measure{
	{"requests", "cpu", "CPU request"}, {"limits", "cpu", "CPU limit"},
	{"requests", "memory", "Memory request"}, {"limits", "memory", "Memory limit"},
}

// of returns the size of a pod, computed like in the scheduler: init containers run sequentially before the others,
// except sidecars, which continue to run.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
func (m measure) of(podSpec any) size {
	var total, peak size
	for _, container := range elements(podSpec, "initContainers") {
		if text(container, "restartPolicy") == "Always" {
			total = total.plus(m.ofContainer(container), 1)
		} else {
			peak = peak.atLeast(total.plus(m.ofContainer(container), 1))
		}
	}
	for _, container := range elements(podSpec, "containers") {
		total = total.plus(m.ofContainer(container), 1)
	}
	return total.atLeast(peak)
}

// ofContainer returns the size of a container. A missing request defaults to the limit, as in Kubernetes, or else to 0.
func (m measure) ofContainer(container any) size {
	value := Lookup(container, "resources", m.field, m.name)
	if value == nil && m.field == "requests" {
		value = Lookup(container, "resources", "limits", m.name)
	}
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
