package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/scaleout/internal/podsize"
	"example.com/scaleout/internal/rendered"
)

// flight is a check of a stack against a cluster.
type flight struct {
	*rendered.Stack
	cluster
	ctx      context.Context
	all      []any           // the pods of the cluster
	own      map[string]bool // the pods of the stack's workloads, by namespace and name
	findings []finding
}

// finding describes something that would keep the autoscaler from working.
type finding struct {
	blocks    bool // otherwise it may be intended
	text, fix string
}

func (f *flight) add(blocks bool, fix, format string, args ...any) {
	f.findings = append(f.findings, finding{blocks, fmt.Sprintf(format, args...), fix})
}

// check collects all findings.
func (f *flight) check() error {
	if err := f.metricsAPI(); err != nil {
		return err
	}
	f.own = map[string]bool{}
	for _, w := range f.Resources {
		if !isWorkload(w) {
			continue
		}
		pods, err := f.pods(w)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			f.own[titled(pod)] = true
		}
		scaling := f.Scaling(w)
		if scaling.By == nil {
			continue
		}
		f.sidecars(w, scaling.By, pods)
		if err := f.autoscalers(w, scaling.By); err != nil {
			return err
		}
	}
	var err error
	if f.all, err = f.get(f.ctx, "pods", "--all-namespaces"); err != nil {
		return err
	}
	if err := f.quotas(); err != nil {
		return err
	}
	return f.room()
}

// metricsAPI checks that there is one metrics API, and that no other one is in the way.
func (f *flight) metricsAPI() error {
	services, err := f.get(f.ctx, "apiservices.apiregistration.k8s.io", "--field-selector",
		"metadata.name=v1beta1.metrics.k8s.io")
	if err != nil {
		return err
	}
	installs := slices.ContainsFunc(f.Resources, func(r *rendered.Resource) bool {
		return r.Kind() == "APIService" && r.Get("metadata", "name") == "v1beta1.metrics.k8s.io"
	})
	if len(services) == 0 {
		if !installs {
			f.add(true, "Install metrics-server: installMetricsServer, or the add-on of EKS.",
				"The cluster has no metrics API (metrics.k8s.io): no autoscaler gets a value.")
		}
		return nil
	}
	service := services[0]
	if owner := text(service, "metadata", "labels", "app.kubernetes.io/part-of"); installs && owner != "scaleout" {
		f.add(true, "Set installMetricsServer: false, or remove the other one.",
			"The metrics API belongs to %s/%s, and the stack installs another one.",
			text(service, "spec", "service", "namespace"), text(service, "spec", "service", "name"))
	}
	for _, condition := range rendered.List(service, "status", "conditions") {
		if text(condition, "type") == "Available" && text(condition, "status") != "True" {
			f.add(true, "kubectl describe apiservice v1beta1.metrics.k8s.io",
				"The metrics API does not answer: %s.", text(condition, "message"))
		}
	}
	return nil
}

// pods returns the pods that the selector of a workload matches, and reports those that the workload did not create.
func (f *flight) pods(w *rendered.Resource) ([]any, error) {
	labels, _ := w.Get("spec", "selector", "matchLabels").(map[string]any)
	var selector []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		selector = append(selector, fmt.Sprintf("%s=%v", key, labels[key]))
	}
	namespace := namespaceOf(w)
	found, err := f.get(f.ctx, "pods", "--namespace", namespace, "--selector", strings.Join(selector, ","))
	if err != nil {
		return nil, err
	}
	name := fmt.Sprint(w.Get("metadata", "name"))
	var pods []any
	for _, pod := range found {
		by := "nobody"
		for _, owner := range rendered.List(pod, "metadata", "ownerReferences") {
			by = text(owner, "kind") + " " + text(owner, "name")
		}
		// A ReplicaSet is named after its Deployment and the hash in the pod's labels.
		hash := text(pod, "metadata", "labels", "pod-template-hash")
		if by == "StatefulSet "+name || by == "ReplicaSet "+name+"-"+hash {
			pods = append(pods, pod)
			continue
		}
		f.add(true, "Change its labels, or the selector.",
			"Pod %s of %s has the labels of %s: the autoscaler counts it, and the Service sends requests to it.",
			titled(pod), by, w.Title())
	}
	return pods, nil
}

// sidecars reports containers that something adds to the pods, without a CPU request.
func (f *flight) sidecars(w, autoscaler *rendered.Resource, pods []any) {
	known, reported := map[string]bool{}, map[string]bool{}
	for _, field := range []string{"containers", "initContainers"} {
		for _, container := range rendered.List(w.Inputs, "spec", "template", "spec", field) {
			known[text(container, "name")] = true
		}
	}
	ofPods := slices.ContainsFunc(rendered.List(autoscaler.Inputs, "spec", "metrics"), func(metric any) bool {
		return text(metric, "type") == "Resource" // of all containers together
	})
	for _, pod := range pods {
		for _, container := range rendered.List(pod, "spec", "containers") {
			name := text(container, "name")
			if known[name] || reported[name] || rendered.Get(container, "resources", "requests", "cpu") != nil {
				continue
			}
			reported[name] = true
			why := "the sum of the requests does not include it"
			if ofPods {
				why = "the autoscaler, which measures all containers, does nothing"
			}
			f.add(ofPods, "Set the request where the container is injected.",
				"Container %s in the pods of %s is not the stack's, and has no CPU request: %s.", name, w.Title(), why)
		}
	}
}

// autoscalers reports others that scale the same workload.
func (f *flight) autoscalers(w, own *rendered.Resource) error {
	namespace := namespaceOf(w)
	for _, kind := range []struct{ name, target string }{
		{"horizontalpodautoscalers.autoscaling", "scaleTargetRef"},
		{"scaledobjects.keda.sh", "scaleTargetRef"},
		{"verticalpodautoscalers.autoscaling.k8s.io", "targetRef"},
	} {
		found, err := f.get(f.ctx, kind.name, "--namespace", namespace)
		if err != nil {
			return err
		}
		for _, other := range found {
			target := rendered.Get(other, "spec", kind.target)
			targets := text(target, "name") == w.Get("metadata", "name") &&
				(text(target, "kind") == w.Kind() || text(target, "kind") == "" && w.Kind() == "Deployment")
			ours := text(other, "kind") == own.Kind() && text(other, "metadata", "name") == own.Get("metadata", "name")
			// KEDA creates an autoscaler for each of its objects, which it owns.
			for _, owner := range rendered.List(other, "metadata", "ownerReferences") {
				ours = ours || text(owner, "kind") == own.Kind() && text(owner, "name") == own.Get("metadata", "name")
			}
			if targets && !ours && text(other, "spec", "updatePolicy", "updateMode") != "Off" {
				f.add(true, "Delete it, or set autoscale: false.",
					"%s %s also scales %s: two autoscalers undo each other's decisions.",
					text(other, "kind"), titled(other), w.Title())
			}
		}
	}
	return nil
}

// sizes holds what a pod takes of each resource of a ResourceQuota that is checked.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/#compute-resource-quota
var sizes = map[string]func(podSpec any) podsize.Size{
	"cpu": ofCPU, "requests.cpu": ofCPU, "memory": ofMemory, "requests.memory": ofMemory,
	"limits.cpu":    podsize.Measure{Field: "limits", Name: "cpu"}.Of,
	"limits.memory": podsize.Measure{Field: "limits", Name: "memory"}.Of,
	"pods":          func(any) podsize.Size { return podsize.Parse(1) },
	"count/pods":    func(any) podsize.Size { return podsize.Parse(1) },
}

var (
	ofCPU    = podsize.Measure{Field: "requests", Name: "cpu"}.Of
	ofMemory = podsize.Measure{Field: "requests", Name: "memory"}.Of
)

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
		for _, quota := range quotas {
			f.quota(quota, namespace)
		}
	}
	return nil
}

func (f *flight) quota(quota any, namespace string) {
	if rendered.Get(quota, "spec", "scopes") != nil || rendered.Get(quota, "spec", "scopeSelector") != nil {
		f.add(false, "kubectl describe quota", "ResourceQuota %s is for some pods only, and was not checked.", titled(quota))
		return
	}
	limits, _ := rendered.Get(quota, "spec", "hard").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		size := sizes[name]
		if size == nil {
			continue
		}
		need := f.need(size, func(w *rendered.Resource) bool { return namespaceOf(w) == namespace })
		other := f.others(size, func(pod any) bool { return text(pod, "metadata", "namespace") == namespace })
		total, hard := need.Plus(other, 1), podsize.Parse(limits[name])
		switch {
		case need.Unlimited:
			f.add(false, "Set the limit of each container, or a default in a LimitRange.",
				"ResourceQuota %s has %s, so pods are refused if a container has no such limit.", titled(quota), name)
		case total.Cmp(hard.Quantity) > 0:
			f.add(true, "Raise the quota, or lower maxReplicas.",
				"ResourceQuota %s allows %v of %s; the stack needs %s at its maximum in a rollout, others use %s.",
				titled(quota), limits[name], name, need, other)
		}
	}
}

// isWorkload reports whether a resource has pods whose number is known here.
func isWorkload(r *rendered.Resource) bool {
	return r.Kind() == "Deployment" || r.Kind() == "StatefulSet"
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

// namespaceOf returns the namespace of a workload.
func namespaceOf(w *rendered.Resource) string {
	return cmp.Or(text(w.Inputs, "metadata", "namespace"), "default")
}

// others adds up those of the cluster's pods that are neither finished nor the stack's.
func (f *flight) others(size func(podSpec any) podsize.Size, where func(pod any) bool) (total podsize.Size) {
	for _, pod := range f.all {
		if phase := text(pod, "status", "phase"); phase == "Succeeded" || phase == "Failed" || f.own[titled(pod)] {
			continue
		}
		if where(pod) {
			total = total.Plus(size(rendered.Get(pod, "spec")), 1)
		}
	}
	return total
}

// room reports nodes without room for the most pods: those that exist, or those that the NodePools may create.
func (f *flight) room() error {
	pools, err := f.get(f.ctx, "nodepools.karpenter.sh")
	if err != nil {
		return err
	}
	nodes, err := f.get(f.ctx, "nodes")
	if err != nil {
		return err
	}
	var total rendered.Load
	names, what := map[string]bool{}, "The nodes that exist now"
	for _, pool := range pools {
		if repels(rendered.List(pool, "spec", "template", "spec", "taints")) {
			continue
		}
		limits := rendered.Get(pool, "spec", "limits")
		what = "The NodePools"
		cpu, memory := rendered.Get(limits, "cpu"), rendered.Get(limits, "memory")
		total = total.Plus(rendered.Load{CPU: podsize.Parse(cpu), Memory: podsize.Parse(memory)}, 1)
		total.CPU.Unlimited = total.CPU.Unlimited || cpu == nil
		total.Memory.Unlimited = total.Memory.Unlimited || memory == nil
	}
	for _, node := range nodes {
		inPool := text(node, "metadata", "labels", "karpenter.sh/nodepool") != ""
		if repels(rendered.List(node, "spec", "taints")) || len(pools) > 0 && !inPool {
			continue
		}
		names[text(node, "metadata", "name")] = true
		if len(pools) == 0 {
			allocatable := rendered.Get(node, "status", "allocatable")
			total = total.Plus(rendered.Load{
				CPU:    podsize.Parse(rendered.Get(allocatable, "cpu")),
				Memory: podsize.Parse(rendered.Get(allocatable, "memory")),
			}, 1)
		}
	}
	for _, r := range []struct {
		name  string
		total podsize.Size
		size  func(podSpec any) podsize.Size
	}{{"CPU", total.CPU, ofCPU}, {"memory", total.Memory, ofMemory}} {
		need := f.need(r.size, func(*rendered.Resource) bool { return true })
		other := f.others(r.size, func(pod any) bool { return names[text(pod, "spec", "nodeName")] })
		if sum := need.Plus(other, 1); !r.total.Unlimited && sum.Cmp(r.total.Quantity) > 0 {
			f.add(len(pools) > 0,
				"Raise the limits, add nodes, or lower maxReplicas; nodes that an autoscaler adds do not count.",
				"%s have %s of %s; the stack needs %s at its maximum in a rollout, other pods request %s.",
				what, r.total, r.name, need, other)
		}
	}
	return nil
}

// repels reports whether taints keep away pods without a toleration.
func repels(taints []any) bool {
	return slices.ContainsFunc(taints, func(taint any) bool { return text(taint, "effect") != "PreferNoSchedule" })
}
