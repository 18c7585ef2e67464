package main

import (
	"maps"
	"slices"

	"example.com/scaleout/internal/podsize"
	"example.com/scaleout/internal/rendered"
)

// measures holds the resources of a ResourceQuota that are checked, besides the number of pods.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/#compute-resource-quota
var measures = map[string]podsize.Measure{
	"cpu": podsize.CPU, "requests.cpu": podsize.CPU, "limits.cpu": {Field: "limits", Name: "cpu"},
	"memory": podsize.Memory, "requests.memory": podsize.Memory, "limits.memory": {Field: "limits", Name: "memory"},
}

// one is the size of a pod where pods are counted.
func one(any) podsize.Size { return podsize.Parse(1) }

// quotas reports ResourceQuotas without room for the most pods.
func (f *flight) quotas() error {
	namespaces := map[string]bool{}
	for _, w := range f.Resources {
		if isWorkload(w) {
			namespaces[namespaceOf(w)] = true
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		quotas, err := f.get(f.ctx, "resourcequotas", "--namespace", namespace)
		if err != nil {
			return err
		}
		ranges, err := f.get(f.ctx, "limitranges", "--namespace", namespace)
		if err != nil {
			return err
		}
		for _, quota := range quotas {
			f.quota(quota, ranges, namespace)
		}
	}
	return nil
}

// quota reports what a ResourceQuota refuses, given the LimitRanges beside it.
func (f *flight) quota(quota any, ranges []any, namespace string) {
	if rendered.Get(quota, "spec", "scopes") != nil || rendered.Get(quota, "spec", "scopeSelector") != nil {
		f.add(false, "kubectl describe quota", "ResourceQuota %s is for some pods only, and was not checked.", titled(quota))
		return
	}
	limits, _ := rendered.Get(quota, "spec", "hard").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		size := one
		if measure, isMeasure := measures[name]; isMeasure {
			size = measure.Of
			f.refused(quota, ranges, namespace, name, measure)
		} else if name != "pods" && name != "count/pods" {
			continue
		}
		need := f.need(size, func(w *rendered.Resource) bool { return namespaceOf(w) == namespace })
		other := f.others(size, func(pod any) bool {
			return text(pod, "metadata", "namespace") == namespace && (name == "count/pods" || !finished(pod))
		})
		if total := need.Plus(other, 1); total.Exceeds(podsize.Parse(limits[name])) {
			f.add(true, "Raise the quota, or lower maxReplicas.",
				"ResourceQuota %s allows %v of %s; the stack needs %s at its maximum in a rollout, others use %s.",
				titled(quota), limits[name], name, need.Quantity.String(), other.Quantity.String())
		}
	}
}

// refused reports workloads whose pods a ResourceQuota refuses, since a container has no value for what it limits, and
// no LimitRange sets a default.
func (f *flight) refused(quota any, ranges []any, namespace, name string, measure podsize.Measure) {
	for _, limitRange := range ranges {
		for _, limit := range rendered.List(limitRange, "spec", "limits") {
			isDefault := rendered.Get(limit, "default", measure.Name) != nil ||
				measure.Field == "requests" && rendered.Get(limit, "defaultRequest", measure.Name) != nil
			if text(limit, "type") == "Container" && isDefault {
				return
			}
		}
	}
	for _, w := range f.Resources {
		if !isWorkload(w) || namespaceOf(w) != namespace {
			continue
		}
		pod := w.Get("spec", "template", "spec")
		for _, container := range slices.Concat(rendered.List(pod, "initContainers"), rendered.List(pod, "containers")) {
			set := func(field string) bool { return rendered.Get(container, "resources", field, measure.Name) != nil }
			if !set(measure.Field) && !set("limits") {
				f.add(true, "Set it for each container, or a default in a LimitRange.",
					"ResourceQuota %s limits %s, so the API server refuses the pods of %s: container %s sets none.",
					titled(quota), name, w.Title(), text(container, "name"))
			}
		}
	}
}

// need adds up the pods of the stack's workloads at their maximum in a rollout.
func (f *flight) need(size func(podSpec any) podsize.Size, where func(w *rendered.Resource) bool) (total podsize.Size) {
	for _, w := range f.Resources {
		if isWorkload(w) && where(w) {
			most := f.Scaling(w).Max
			total = total.Plus(size(w.Get("spec", "template", "spec")), most+rendered.Surge(w, most))
		}
	}
	return total
}

// others adds up those of the cluster's pods that are not the stack's.
func (f *flight) others(size func(podSpec any) podsize.Size, where func(pod any) bool) (total podsize.Size) {
	for _, pod := range f.all {
		if where(pod) && !f.own[titled(pod)] {
			total = total.Plus(size(rendered.Get(pod, "spec")), 1)
		}
	}
	return total
}

// room reports nodes without room for the most pods: those that exist outside of NodePools, and those that the
// NodePools may create. Only those count on which pods that an autoscaler adds may run.
func (f *flight) room() error {
	pools, err := f.get(f.ctx, "nodepools.karpenter.sh")
	if err != nil {
		return err
	}
	nodes, err := f.get(f.ctx, "nodes")
	if err != nil {
		return err
	}
	total, names, what := map[string]podsize.Size{}, map[string]bool{}, "The nodes that exist now"
	add := func(amounts any) {
		for _, m := range []podsize.Measure{podsize.CPU, podsize.Memory} {
			total[m.Name] = total[m.Name].Plus(podsize.Limit(rendered.Get(amounts, m.Name)), 1)
		}
	}
	for _, pool := range pools {
		what = "The NodePools, with the nodes outside of them,"
		if f.accepts(rendered.Get(pool, "spec", "template", "spec", "taints"), mayHave(pool)) {
			add(rendered.Get(pool, "spec", "limits"))
		}
	}
	for _, node := range nodes {
		labels, _ := rendered.Get(node, "metadata", "labels").(map[string]any)
		has := func(key string, value any) bool { return labels[key] == value }
		if !f.accepts(rendered.Get(node, "spec", "taints"), has) {
			continue
		}
		names[text(node, "metadata", "name")] = true
		if labels["karpenter.sh/nodepool"] == nil {
			add(rendered.Get(node, "status", "allocatable"))
		}
	}
	for _, m := range []podsize.Measure{podsize.CPU, podsize.Memory} {
		need := f.need(m.Of, func(*rendered.Resource) bool { return true })
		other := f.others(m.Of, func(pod any) bool { return names[text(pod, "spec", "nodeName")] && !finished(pod) })
		if sum, has := need.Plus(other, 1), total[m.Name]; sum.Exceeds(has) {
			f.add(len(pools) > 0,
				"Raise the limits, add nodes, or lower maxReplicas; nodes that an autoscaler adds do not count.",
				"%s have %s of %s; the stack needs %s at its maximum in a rollout, other pods request %s.",
				what, has, m.Name, need, other)
		}
	}
	return nil
}

// accepts reports whether nodes with some taints and labels accept the pods of a workload that an autoscaler scales.
func (f *flight) accepts(taints any, has func(key string, value any) bool) bool {
	list, _ := taints.([]any)
	return slices.ContainsFunc(f.Resources, func(w *rendered.Resource) bool {
		if !isWorkload(w) || f.Scaling(w).By == nil {
			return false
		}
		pod := w.Get("spec", "template", "spec")
		selector, _ := rendered.Get(pod, "nodeSelector").(map[string]any)
		for key, value := range selector {
			if !has(key, value) {
				return false
			}
		}
		return !slices.ContainsFunc(list, func(taint any) bool {
			return text(taint, "effect") != "PreferNoSchedule" && !tolerated(taint, rendered.List(pod, "tolerations"))
		})
	})
}

// tolerated reports whether one of some tolerations is for a taint.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
func tolerated(taint any, tolerations []any) bool {
	return slices.ContainsFunc(tolerations, func(toleration any) bool {
		key, effect := text(toleration, "key"), text(toleration, "effect")
		exists := text(toleration, "operator") == "Exists"
		return (key == "" && exists || key == text(taint, "key")) && (effect == "" || effect == text(taint, "effect")) &&
			(exists || text(toleration, "value") == text(taint, "value"))
	})
}

// mayHave returns a function that reports whether nodes of a NodePool may have a label: any, unless its template or its
// requirements say otherwise.
func mayHave(pool any) func(key string, value any) bool {
	template := rendered.Get(pool, "spec", "template")
	labels, _ := rendered.Get(template, "metadata", "labels").(map[string]any)
	return func(key string, value any) bool {
		for _, requirement := range rendered.List(template, "spec", "requirements") {
			listed := slices.Contains(rendered.List(requirement, "values"), value)
			operator := text(requirement, "operator")
			if text(requirement, "key") == key && (operator == "In" && !listed || operator == "NotIn" && listed) {
				return false
			}
		}
		return labels[key] == nil || labels[key] == value
	}
}
