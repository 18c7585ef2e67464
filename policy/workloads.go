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
	"k8s.io/apimachinery/pkg/labels"
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
		Fix:    "set resources.requests.cpu of each container that it measures, sidecars included",
		Check: func(s *Stack) (found []Violation) {
			for _, w := range s.workloads() {
				autoscaler := s.Scaling(w.Resource).By
				if autoscaler == nil {
					continue
				}
				for _, container := range autoscaler.CPUContainers(w.pod) {
					if !rendered.RequestsCPU(container) {
						found = append(found, violation(w.Resource, "container %v has no CPU request",
							rendered.Get(container, "name")))
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
				if of.need.Exceeds(of.limit) {
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

// Types of pulumi-docker.
const (
	remoteImage     = "docker:index/remoteImage:RemoteImage"
	dockerContainer = "docker:index/container:Container"
)

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
	for typ, field := range map[string]string{remoteImage: "name", dockerContainer: "image"} {
		for _, r := range s.ofKind(typ) {
			image, _ := r.Get(field).(string)
			check(r, image)
		}
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
		if err := convert(w.pod, &spec); err != nil {
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

// convert decodes a value of a manifest into a type of the Kubernetes API.
func convert(value, into any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, into)
}

var (
	// secretName matches the names of variables and keys with secrets, except those with the path of a file, or the
	// name of an object.
	secretName = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|credential|(^|_)(auth|pwd|pass)|` +
		`(api|access|private|secret|signing|encryption)_?key(_base)?)s?$`)
	// loginURL matches the address of a server with a password, also in the notation of ADO.NET and ODBC.
	loginURL = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@|(?i)\b(password|pwd)=[^;]+`)
	// harmless matches values that are no secret, whatever they are called.
	harmless = regexp.MustCompile(`^([0-9.]*|true|false|\[secret\]|\[unknown: .*)$`)
)

// revealed reports whether a variable or key has a secret as plain text. A value that is marked as secret is
// "[secret]" in the golden files.
func revealed(name string, value any) bool {
	text, isText := value.(string)
	return isText && !harmless.MatchString(text) && (secretName.MatchString(name) || loginURL.MatchString(text))
}

// plainSecrets finds secrets in variables, ConfigMaps and arguments of Docker builds, and Secrets whose values are not
// encrypted in the state. A waiver names the variable or key as well.
func plainSecrets(s *Stack) (found []Violation) {
	add := func(r *rendered.Resource, what, name string) {
		found = append(found, Violation{r.Title() + ", " + what + " " + name, "is plain text"})
	}
	fields := func(r *rendered.Resource, what string, reveals func(name string, value any) bool, path ...string) {
		values, _ := r.Get(path...).(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if reveals(name, values[name]) {
				add(r, what, name)
			}
		}
	}
	plain := func(_ string, value any) bool {
		text, isText := value.(string)
		return isText && text != "" && text != "[secret]" && !strings.HasPrefix(text, "[unknown: ")
	}
	for _, w := range s.workloads() {
		for _, container := range w.containers() {
			for _, variable := range rendered.List(container, "env") {
				name := fmt.Sprint(rendered.Get(variable, "name"))
				if revealed(name, rendered.Get(variable, "value")) {
					add(w.Resource, fmt.Sprint("container ", container["name"], ", variable"), name)
				}
			}
		}
	}
	for _, r := range s.Resources {
		switch r.Kind() {
		case "ConfigMap":
			fields(r, "key", revealed, "data")
		case "Secret":
			fields(r, "key", plain, "data")
			fields(r, "key", plain, "stringData")
		case "docker:index/image:Image":
			fields(r, "build argument", revealed, "build", "args")
		case dockerContainer:
			for _, variable := range rendered.List(r.Inputs, "envs") {
				if name, value, _ := strings.Cut(fmt.Sprint(variable), "="); revealed(name, value) {
					add(r, "variable", name)
				}
			}
		}
	}
	return found
}

// selects reports whether the selector of an object matches the pods of a workload in the same namespace.
func selects(object, workload *rendered.Resource) bool {
	set := labels.Set{}
	values, _ := workload.Get("spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range values {
		set[key] = fmt.Sprint(value)
	}
	var selector *metav1.LabelSelector // an empty one matches all pods, a missing one none
	err := convert(object.Get("spec", "selector"), &selector)
	pods, invalid := metav1.LabelSelectorAsSelector(selector)
	return err == nil && invalid == nil && pods.Matches(set) &&
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
