package componenttest

import (
	"fmt"

	"example.com/scaleout/offline"
)

// Pods are the pod templates of a result by their objects, e.g. "Deployment ns/web".
func Pods(result *offline.Result) map[string]any {
	templates := map[string]any{}
	for i := range result.Resources {
		object, ok := result.Resources[i].Object()
		if template := offline.Lookup(result.Resources[i].Inputs, "spec", "template"); ok && template != nil {
			templates[object.String()] = template
		}
	}
	return templates
}

// Unrestricted is what a pod template has that the Pod Security Standard `restricted` forbids, or this library:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func Unrestricted(template any) (problems []string) {
	want := func(v any, value any, path ...any) {
		if got := offline.Lookup(v, path...); got != value {
			problems = append(problems, fmt.Sprintf("%v is %v, want %v", path, got, value))
		}
	}
	spec := offline.Lookup(template, "spec")
	want(spec, true, "securityContext", "runAsNonRoot")
	want(spec, "RuntimeDefault", "securityContext", "seccompProfile", "type")
	for _, forbidden := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		want(spec, nil, forbidden)
	}
	for _, c := range list(spec, "containers") {
		want(c, false, "securityContext", "allowPrivilegeEscalation")
		want(c, true, "securityContext", "readOnlyRootFilesystem")
		want(c, "ALL", "securityContext", "capabilities", "drop", 0)
		want(c, nil, "securityContext", "capabilities", "add")
		for _, port := range list(c, "ports") {
			want(port, nil, "hostPort")
		}
		for _, path := range [][]any{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
			if offline.Lookup(c, append([]any{"resources"}, path...)...) == nil {
				problems = append(problems, fmt.Sprintf("%v is missing", path))
			}
		}
	}
	for _, volume := range list(spec, "volumes") {
		want(volume, nil, "hostPath")
		if dir := offline.Lookup(volume, "emptyDir"); dir != nil && offline.Lookup(dir, "sizeLimit") == nil {
			problems = append(problems, fmt.Sprintf("volume %v may fill the node's disk", offline.Lookup(volume, "name")))
		}
	}
	return problems
}

func list(v any, path ...any) []any {
	values, _ := offline.Lookup(v, path...).([]any)
	return values
}
