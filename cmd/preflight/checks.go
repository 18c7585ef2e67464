package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	f.own = map[string]bool{}
	var measures, keda bool
	for _, w := range f.Resources {
		if !isWorkload(w) {
			continue
		}
		autoscaler := f.Scaling(w).By
		pods, err := f.pods(w, autoscaler != nil)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			f.own[titled(pod)] = true
		}
		if autoscaler == nil {
			continue
		}
		measures, keda = measures || autoscaler.UsesMetricsAPI(), keda || autoscaler.Kind() == "ScaledObject"
		if err := errors.Join(f.sidecars(w, autoscaler, pods), f.autoscalers(w, autoscaler)); err != nil {
			return err
		}
	}
	var err error
	if f.all, err = f.get(f.ctx, "pods", "--all-namespaces"); err != nil {
		return err
	}
	if measures {
		err = f.metricsAPI()
	}
	if keda {
		err = errors.Join(err, f.keda())
	}
	return errors.Join(err, f.quotas(), f.room())
}

// installs reports whether the stack has an object of a kind and name that belongs to no namespace.
func (f *flight) installs(kind, name string) bool {
	return slices.ContainsFunc(f.Resources, func(r *rendered.Resource) bool {
		return r.Kind() == kind && r.Get("metadata", "name") == name
	})
}

// keda checks that KEDA is there.
func (f *flight) keda() error {
	const name = "scaledobjects.keda.sh"
	found, err := f.get(f.ctx, "customresourcedefinitions.apiextensions.k8s.io", "--field-selector", "metadata.name="+name)
	if err == nil && len(found) == 0 && !f.installs("CustomResourceDefinition", name) {
		f.add(true, "Install KEDA: https://keda.sh/docs/latest/deploy/", "The cluster has no KEDA for the ScaledObject.")
	}
	return err
}

// metricsAPI checks that there is one metrics API, and that no other one is in the way.
func (f *flight) metricsAPI() error {
	const name = "v1beta1.metrics.k8s.io"
	services, err := f.get(f.ctx, "apiservices.apiregistration.k8s.io", "--field-selector", "metadata.name="+name)
	if err != nil {
		return err
	}
	installs := f.installs("APIService", name)
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
			f.add(true, "kubectl describe apiservice "+name,
				"The metrics API does not answer: %s.", text(condition, "message"))
		}
	}
	return nil
}

// pods returns the pods that the selector of a workload matches, and reports those that the workload did not create.
func (f *flight) pods(w *rendered.Resource, scaled bool) ([]any, error) {
	found, err := f.get(f.ctx, "pods", "--namespace", namespaceOf(w), "--selector", selector(w.Get("spec", "selector")))
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
		counts := ""
		if scaled {
			counts = "the autoscaler counts it, and "
		}
		if !finished(pod) {
			f.add(true, "Change its labels, or the selector.",
				"Pod %s of %s has the labels of %s: %sthe Service sends requests to it.", titled(pod), by, w.Title(), counts)
		}
	}
	return pods, nil
}

// selector returns a label selector in the notation of kubectl: a=b,c in (d,e),!f.
func selector(value any) string {
	labels, _ := rendered.Get(value, "matchLabels").(map[string]any)
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		terms = append(terms, fmt.Sprintf("%s=%v", key, labels[key]))
	}
	for _, expression := range rendered.List(value, "matchExpressions") {
		key, operator := text(expression, "key"), text(expression, "operator")
		var values []string
		for _, v := range rendered.List(expression, "values") {
			values = append(values, fmt.Sprint(v))
		}
		switch operator {
		case "Exists":
			terms = append(terms, key)
		case "DoesNotExist":
			terms = append(terms, "!"+key)
		default: // In, NotIn
			terms = append(terms, fmt.Sprintf("%s %s (%s)", key, strings.ToLower(operator), strings.Join(values, ",")))
		}
	}
	return strings.Join(terms, ",")
}

// finished reports whether a pod no longer runs, and needs nothing.
func finished(pod any) bool {
	phase := text(pod, "status", "phase")
	return phase == "Succeeded" || phase == "Failed"
}

// sidecars reports containers that something adds to the pods, without a CPU request.
func (f *flight) sidecars(w, autoscaler *rendered.Resource, pods []any) error {
	live, err := f.get(f.ctx, strings.ToLower(w.Kind())+"s.apps", "--namespace", namespaceOf(w), "--field-selector",
		"metadata.name="+text(w.Inputs, "metadata", "name"))
	if err != nil {
		return err
	}
	known := map[string]bool{} // from the stack, as it is or will be; of others each is reported once
	for _, workload := range append(live, w.Inputs) {
		for _, container := range rendered.LongRunning(rendered.Get(workload, "spec", "template", "spec")) {
			known[text(container, "name")] = true
		}
	}
	for _, pod := range pods {
		spec := rendered.Get(pod, "spec")
		measured := autoscaler.CPUContainers(spec)
		for _, container := range rendered.LongRunning(spec) {
			name := text(container, "name")
			if known[name] || rendered.RequestsCPU(container) {
				continue
			}
			known[name] = true
			breaks := slices.ContainsFunc(measured, func(m any) bool { return text(m, "name") == name })
			why := "the sum of the requests does not include it"
			if breaks {
				why = "the autoscaler, which measures it, does nothing"
			}
			f.add(breaks, "Set the request where the container is injected.",
				"Container %s in the pods of %s is not the stack's, and has no CPU request: %s.", name, w.Title(), why)
		}
	}
	return nil
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
			if targets && !ours && text(other, "spec", "updatePolicy", "updateMode") != "Off" && !onlyMemory(other) {
				f.add(true, "Delete it, or set autoscale: false.",
					"%s %s also scales %s: two autoscalers undo each other's decisions.",
					text(other, "kind"), titled(other), w.Title())
			}
		}
	}
	return nil
}

// onlyMemory reports whether a VerticalPodAutoscaler leaves CPU alone.
func onlyMemory(autoscaler any) bool {
	policies := rendered.List(autoscaler, "spec", "resourcePolicy", "containerPolicies")
	return len(policies) > 0 && !slices.ContainsFunc(policies, func(policy any) bool {
		resources := rendered.List(policy, "controlledResources")
		return len(resources) == 0 || slices.Contains(resources, any("cpu"))
	})
}

// isWorkload reports whether a resource has pods whose number is known here.
func isWorkload(r *rendered.Resource) bool {
	return r.Kind() == "Deployment" || r.Kind() == "StatefulSet"
}

// namespaceOf returns the namespace of a workload.
func namespaceOf(w *rendered.Resource) string {
	return cmp.Or(text(w.Inputs, "metadata", "namespace"), "default")
}
