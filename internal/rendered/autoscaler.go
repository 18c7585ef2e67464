package rendered

import "slices"

// metric describes a measurement of pods by an autoscaler: CPU or memory, of a container or of all of them together.
type metric struct {
	resource, container string
	share               bool // of the request, rather than an amount
}

// metrics returns the metrics of an autoscaler that come from the metrics API.
func (r *Resource) metrics() (found []metric) {
	if r.Kind() == "ScaledObject" { // https://keda.sh/docs/2.20/scalers/cpu/
		for _, trigger := range List(r.Inputs, "spec", "triggers") {
			resource, _ := Get(trigger, "type").(string)
			container, _ := Get(trigger, "metadata", "containerName").(string)
			if resource == "cpu" || resource == "memory" {
				found = append(found, metric{resource, container, Get(trigger, "metricType") != "AverageValue"})
			}
		}
		return found
	}
	if r.Get("spec", "metrics") == nil { // the default is CPU
		return []metric{{"cpu", "", true}}
	}
	for _, m := range List(r.Inputs, "spec", "metrics") {
		source := Get(m, "resource")
		if of := Get(m, "containerResource"); of != nil {
			source = of
		}
		resource, _ := Get(source, "name").(string)
		container, _ := Get(source, "container").(string)
		if resource != "" {
			found = append(found, metric{resource, container, Get(source, "target", "averageUtilization") != nil})
		}
	}
	return found
}

// UsesMetricsAPI reports whether an autoscaler measures CPU or memory of pods.
func (r *Resource) UsesMetricsAPI() bool { return len(r.metrics()) > 0 }

// CPUContainers returns the containers of a pod whose CPU an autoscaler compares with their requests: it does nothing
// if one of them has none. Init containers that end are none of them.
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#container-resource-metrics
func (r *Resource) CPUContainers(podSpec any) (containers []any) {
	metrics := r.metrics()
	for _, container := range LongRunning(podSpec) {
		if slices.ContainsFunc(metrics, func(m metric) bool {
			return m.resource == "cpu" && m.share && (m.container == "" || m.container == Get(container, "name"))
		}) {
			containers = append(containers, container)
		}
	}
	return containers
}

// LongRunning returns the containers of a pod that run as long as it does, sidecars included.
func LongRunning(podSpec any) []any {
	sidecars := slices.DeleteFunc(slices.Clone(List(podSpec, "initContainers")), func(container any) bool {
		return Get(container, "restartPolicy") != "Always"
	})
	return append(sidecars, List(podSpec, "containers")...)
}

// RequestsCPU reports whether a container has a CPU request, which a limit is as well.
func RequestsCPU(container any) bool {
	return Get(container, "resources", "requests", "cpu") != nil || Get(container, "resources", "limits", "cpu") != nil
}
