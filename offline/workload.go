package offline

import "fmt"

// workload is a set of equal pods.
type workload struct {
	object Object
	// replicas, or for a DaemonSet nothing: one pod on each node.
	replicas replicaRange
	perNode  bool
	podSpec  any
}

// replicaRange is how many pods there are, as far as the program says so.
type replicaRange struct {
	min, max int64
	unknown  bool
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

// scaler is a HorizontalPodAutoscaler.
type scaler struct {
	object, target Object
	replicas       replicaRange
	// metrics in words, e.g. "cpu of container web at 50 %".
	metrics []string
}

// workloads lists what runs pods, in the order of the objects.
func (r *Result) workloads() []workload {
	ranges := map[string]replicaRange{}
	for _, s := range r.scalers() {
		ranges[s.target.String()] = s.replicas
	}
	var all []workload
	for _, resource := range r.objects() {
		object, _ := resource.Object()
		inputs := resource.Inputs
		w := workload{object: object, podSpec: Lookup(inputs, "spec", "template", "spec")}
		switch object.Kind {
		case "Deployment", "StatefulSet", "ReplicaSet":
			w.replicas = replicasBetween(Lookup(inputs, "spec", "replicas"), Lookup(inputs, "spec", "replicas"))
		case "DaemonSet":
			w.perNode = true
		default:
			continue
		}
		if scaled, ok := ranges[object.String()]; ok {
			w.replicas = scaled
		}
		all = append(all, w)
	}
	return all
}

// scalers lists the autoscalers. One that scales nothing of this program is among them, and shows as such.
func (r *Result) scalers() []scaler {
	var all []scaler
	for _, resource := range r.objects() {
		object, _ := resource.Object()
		inputs := resource.Inputs
		if object.Kind != "HorizontalPodAutoscaler" {
			continue
		}
		s := scaler{
			object: object,
			target: Object{
				Kind:      text(inputs, "spec", "scaleTargetRef", "kind"),
				Name:      text(inputs, "spec", "scaleTargetRef", "name"),
				Namespace: object.Namespace,
			},
			replicas: replicasBetween(Lookup(inputs, "spec", "minReplicas"), Lookup(inputs, "spec", "maxReplicas")),
		}
		metrics, _ := Lookup(inputs, "spec", "metrics").([]any)
		for _, m := range metrics {
			s.metrics = append(s.metrics, metricInWords(m))
		}
		all = append(all, s)
	}
	return all
}

// replicasBetween takes 1 where nothing is said, which is the default of Kubernetes everywhere.
func replicasBetween(from, to any) replicaRange {
	number := func(v any) (n int64, known bool) {
		if v == nil {
			return 1, true
		}
		n, known = v.(int64)
		return n, known
	}
	lowest, known := number(from)
	highest, alsoKnown := number(to)
	return replicaRange{min: lowest, max: highest, unknown: !known || !alsoKnown}
}

// metricInWords knows the resource metrics; others are named by their type.
func metricInWords(metric any) string {
	switch text(metric, "type") {
	case "ContainerResource":
		source := Lookup(metric, "containerResource")
		return fmt.Sprintf("%s of container %s %s", text(source, "name"), text(source, "container"), targetInWords(source))
	case "Resource":
		source := Lookup(metric, "resource")
		return fmt.Sprintf("%s of all containers %s", text(source, "name"), targetInWords(source))
	}
	return "a metric of type " + text(metric, "type")
}

// targetInWords covers percentages of the request and absolute amounts.
func targetInWords(source any) string {
	if percent := Lookup(source, "target", "averageUtilization"); percent != nil {
		return fmt.Sprintf("at %v %%", printable(percent, false))
	}
	return fmt.Sprintf("at %v", printable(Lookup(source, "target", "averageValue"), false))
}
