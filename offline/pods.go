package offline

import (
	"cmp"
	"fmt"
	"strings"

	"example.com/scaleout/internal/podsize"
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
	var totals [2][len(measures)]podsize.Size
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
			pod := m.Of(Lookup(resource.Inputs, "spec", "template", "spec"))
			row = append(row, pod.String())
			pod.Unknown = pod.Unknown || replicas.unknown
			for bound, n := range replicas.bounds {
				totals[bound][i] = totals[bound][i].Plus(pod, n)
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

// measures are the columns of a preview.
var measures = [...]struct {
	podsize.Measure
	heading string
}{
	{podsize.CPU, "CPU request"},
	{podsize.Measure{Field: "limits", Name: "cpu"}, "CPU limit"},
	{podsize.Memory, "Memory request"},
	{podsize.Measure{Field: "limits", Name: "memory"}, "Memory limit"},
}
