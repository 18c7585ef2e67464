package offline

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// replicaRange is how many pods there are, as far as the program says so.
type replicaRange struct {
	min, max int64
	unknown  bool
}

// replicasBetween takes 1 where nothing is said, which is the default of Kubernetes everywhere.
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

// String is e.g. "2..10", or "1" for a fixed number.
func (r replicaRange) String() string {
	switch {
	case r.unknown:
		return "[unknown]"
	case r.min == r.max:
		return fmt.Sprint(r.min)
	}
	return fmt.Sprintf("%d..%d", r.min, r.max)
}

// scaled is what an autoscaler changes the replicas of, and between which numbers.
func scaled(autoscaler *Resource) (Object, replicaRange) {
	object, _ := autoscaler.Object()
	target := Lookup(autoscaler.Inputs, "spec", "scaleTargetRef")
	return Object{Kind: text(target, "kind"), Name: text(target, "name"), Namespace: object.Namespace},
		replicasBetween(autoscaler, "minReplicas", "maxReplicas")
}

// scaling says how far each autoscaler may go, and by what.
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

// metricInWords is e.g. "cpu of container web at 50 %". Metrics that are not of resources are named by their type.
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

// workload is a set of equal pods, and what each of them asks for, by measure.
type workload struct {
	replicas replicaRange
	sizes    []size
}

// sizes shows what each pod asks for and what all of them do. Pods that run once per node are left out of the totals.
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

// total adds up all workloads at one end of their ranges.
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

// size is how much of something a pod asks for, or many pods do.
type size struct {
	quantity resource.Quantity
	// unlimited if one of the containers has no limit; unknown if part of the sum is known only after an `up`.
	unlimited, unknown bool
}

// measure is one of the numbers that a container gives: resources.<field>.<name>.
type measure struct{ field, name, heading string }

// measures are the columns of a preview.
var measures = []measure{
	{"requests", "cpu", "CPU request"}, {"limits", "cpu", "CPU limit"},
	{"requests", "memory", "Memory request"}, {"limits", "memory", "Memory limit"},
}

// of adds up the containers of a pod the way the scheduler does: init containers run one after the other before the
// others, except those that keep running beside them ("sidecars").
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

// ofContainer is nothing for a request that is not given, unless there is a limit: that is then the request too.
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

// plus is the size together with n times another.
func (s size) plus(other size, n int64) size {
	sum, product := s.quantity.DeepCopy(), other.quantity.DeepCopy()
	product.Mul(n)
	sum.Add(product)
	return size{sum, s.unlimited || other.unlimited, s.unknown || other.unknown}
}

// atLeast is the larger size, of what is needed at different times.
func (s size) atLeast(other size) size {
	larger := s.plus(other, 0)
	if other.quantity.Cmp(s.quantity) > 0 {
		larger.quantity = other.quantity
	}
	return larger
}

// String is the quantity as Kubernetes writes it, "none" without a limit.
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
