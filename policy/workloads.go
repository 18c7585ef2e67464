package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"example.com/scaleout/internal/podsize"
	"example.com/scaleout/internal/rendered"
)

var workloadRules = []Rule{
	{
		ID: "autoscaler-owns-replicas", Severity: Error,
		Reason: "every update resets the number of pods that the autoscaler chose",
		Fix:    "leave out spec.replicas of a workload with an autoscaler",
		Check: func(s *Stack) (found []Violation) {
			for _, w := range s.workloads() {
				if replicas := w.Get("spec", "replicas"); replicas != nil && s.Scaling(w.Resource).By != nil {
					found = append(found, violation(w.Resource, "has %v replicas and an autoscaler", replicas))
				}
			}
			return found
		},
	},
	{
		ID: "autoscaler-needs-request", Severity: Error,
		Reason: "the autoscaler compares CPU with the request, and does nothing if a container has none",
		Fix:    "set resources.requests.cpu of each container, sidecars included",
		Check: func(s *Stack) (found []Violation) {
			for _, w := range s.workloads() {
				if s.Scaling(w.Resource).By == nil {
					continue
				}
				for _, container := range w.containers() {
					resources := container["resources"]
					if rendered.Get(resources, "requests", "cpu") == nil && rendered.Get(resources, "limits", "cpu") == nil {
						found = append(found, violation(w.Resource, "container %s has no CPU request", container["name"]))
					}
				}
			}
			return found
		},
	},
	{
		ID: "room-for-maximum", Severity: Error,
		Reason: "at maximum scale the pods of a rollout stay pending",
		Fix:    "lower maxReplicas or the requests, or raise the limits of the NodePool and nodeCpuLimit, nodeMemoryLimit",
		Check: func(s *Stack) (found []Violation) {
			limits, cpu, memory := s.NodeLimits()
			if (cpu.Unknown || memory.Unknown) && limits != "" && !strings.Contains(limits, "[unknown") {
				return []Violation{{"stack", fmt.Sprintf("requests.nodeLimits is %q, not like \"32 CPU, 128Gi\"", limits)}}
			}
			load := s.Capacity().InRollout
			for _, of := range []struct {
				what        string
				need, limit podsize.Size
			}{{"CPU", load.CPU, cpu}, {"memory", load.Memory, memory}} {
				if !of.limit.Unknown && of.need.Cmp(of.limit.Quantity) > 0 {
					found = append(found, Violation{"stack", fmt.Sprintf("%s of %s at maximum scale in a rollout, limit %s",
						of.need, of.what, of.limit)})
				}
			}
			return found
		},
	},
	{
		ID: "image-by-digest", Severity: Warning,
		Reason: "a tag can be moved, so that new pods run something else than the old ones",
		Fix:    "append @sha256:... to the image (redisImage, traefikImage, metricsServerImage)",
		Check: func(s *Stack) []Violation {
			return imagesWhere(s, func(image string) bool { return !strings.Contains(image, "@sha256:") }, "has no digest")
		},
	},
	{
		ID: "image-with-version", Severity: Error,
		Reason: "each new pod runs what the registry has at that moment",
		Fix:    "name a version, or better a digest",
		Check: func(s *Stack) []Violation {
			return imagesWhere(s, func(image string) bool {
				name := image[strings.LastIndex(image, "/")+1:]
				return !strings.Contains(name, ":") && !strings.Contains(name, "@") || strings.HasSuffix(name, ":latest")
			}, "has no version")
		},
	},
	{
		ID: "restricted-pods", Severity: Error,
		Reason: "whoever breaks out of the app reaches more of the node; namespaces of level restricted refuse the pod",
		Fix:    "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		Check:  restricted,
	},
	{
		ID: "no-plain-secret", Severity: Error,
		Reason: "whoever may read the stack's state, this repository or the workload reads the secret",
		Fix:    "pass a Kubernetes Secret from a value that Pulumi encrypts (pulumi config set --secret)",
		Check:  plainSecrets,
	},
	{
		ID: "budget-can-be-met", Severity: Error,
		Reason: "no node with such a pod can be drained: upgrades and consolidation wait forever",
		Fix:    "allow at least one unavailable pod at the minimum number of replicas",
		Check:  unmetBudgets,
	},
	{
		ID: "budget-exists", Severity: Warning,
		Reason: "a drain may stop all pods at once",
		Fix:    "add a PodDisruptionBudget",
		Check: func(s *Stack) (found []Violation) {
			for _, w := range s.workloads() {
				if s.Scaling(w.Resource).Min > 1 && !slices.ContainsFunc(s.ofKind("PodDisruptionBudget"),
					func(budget *rendered.Resource) bool { return selects(budget, w.Resource) }) {
					found = append(found, violation(w.Resource, "has no disruption budget"))
				}
			}
			return found
		},
	},
}

// imagesWhere returns the images with a problem. One that the stack builds is known only after an update, by digest.
func imagesWhere(s *Stack, problematic func(string) bool, problem string) (found []Violation) {
	check := func(r *rendered.Resource, image string) {
		if image != "" && !strings.HasPrefix(image, "[unknown: ") && problematic(image) {
			found = append(found, violation(r, "image %s %s", image, problem))
		}
	}
	for _, w := range s.workloads() {
		for _, container := range w.containers() {
			image, _ := container["image"].(string)
			check(w.Resource, image)
		}
	}
	for _, r := range s.ofKind("docker:index/remoteImage:RemoteImage") {
		image, _ := r.Get("name").(string)
		check(r, image)
	}
	return found
}

// restricted evaluates Kubernetes' own checks of level restricted.
func restricted(s *Stack) (found []Violation) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []Violation{{"stack", err.Error()}}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, w := range s.workloads() {
		var spec corev1.PodSpec
		encoded, err := json.Marshal(w.pod)
		if err == nil {
			err = json.Unmarshal(encoded, &spec)
		}
		if err != nil {
			found = append(found, violation(w.Resource, "its pods are no PodSpec: %v", err))
			continue
		}
		for _, result := range evaluator.EvaluatePod(level, &metav1.ObjectMeta{}, &spec) {
			if !result.Allowed {
				found = append(found, violation(w.Resource, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
	}
	return found
}

// secretName matches the names of variables and keys with secrets, except those with the path of a file, or the name of
// an object.
var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|private_?key|credential)s?$`)

// plainSecrets finds secrets in variables, ConfigMaps and arguments of Docker builds, and Secrets whose values are not
// encrypted in the state. Values that are marked as secret are "[secret]" in the golden files.
func plainSecrets(s *Stack) (found []Violation) {
	plain := func(value any) bool {
		text, isText := value.(string)
		return isText && text != "" && text != "[secret]" && !strings.HasPrefix(text, "[unknown: ")
	}
	inMap := func(r *rendered.Resource, what string, values any, any bool) {
		fields, _ := values.(map[string]interface{})
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if (any || secretName.MatchString(key)) && plain(fields[key]) {
				found = append(found, violation(r, "%s %s is plain text", what, key))
			}
		}
	}
	for _, w := range s.workloads() {
		for _, container := range w.containers() {
			for _, variable := range rendered.List(container, "env") {
				variableName := fmt.Sprint(rendered.Get(variable, "name"))
				if secretName.MatchString(variableName) && plain(rendered.Get(variable, "value")) {
					found = append(found, violation(w.Resource, "variable %s of container %s is plain text", variableName,
						container["name"]))
				}
			}
		}
	}
	for _, r := range s.Resources {
		switch r.Kind() {
		case "ConfigMap":
			inMap(r, "key", r.Get("data"), false)
		case "Secret":
			inMap(r, "key", r.Get("data"), true)
			inMap(r, "key", r.Get("stringData"), true)
		case "docker:index/image:Image":
			inMap(r, "build argument", r.Get("build", "args"), false)
		case "docker:index/container:Container":
			for _, variable := range rendered.List(r.Inputs, "envs") {
				if name, value, _ := strings.Cut(fmt.Sprint(variable), "="); secretName.MatchString(name) && plain(value) {
					found = append(found, violation(r, "variable %s is plain text", name))
				}
			}
		}
	}
	return found
}

// selects reports whether the selector of an object matches the pods of a workload in the same namespace.
func selects(object, workload *rendered.Resource) bool {
	labels, _ := workload.Get("spec", "template", "metadata", "labels").(map[string]any)
	wanted, _ := object.Get("spec", "selector", "matchLabels").(map[string]any)
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	// An empty selector matches all pods of the namespace, a missing one none.
	return object.Get("spec", "selector") != nil &&
		object.Get("metadata", "namespace") == workload.Get("metadata", "namespace")
}

// unmetBudgets finds disruption budgets that allow no disruption at the minimum number of pods.
func unmetBudgets(s *Stack) (found []Violation) {
	for _, budget := range s.ofKind("PodDisruptionBudget") {
		for _, w := range s.workloads() {
			if !selects(budget, w.Resource) {
				continue
			}
			pods := s.Scaling(w.Resource).Min
			if least := budget.Get("spec", "minAvailable"); least != nil && rendered.Share(least, pods, true) >= pods {
				found = append(found, violation(budget, "minAvailable %v of the %d pods of %s", least, pods, w.Title()))
			}
			if most := budget.Get("spec", "maxUnavailable"); most != nil && rendered.Share(most, pods, true) == 0 {
				found = append(found, violation(budget, "maxUnavailable %v of the %d pods of %s", most, pods, w.Title()))
			}
		}
	}
	return found
}
