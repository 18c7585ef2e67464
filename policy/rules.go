// Command policy checks what a stack would deploy against the rules of this folder. `make policy` runs it, and
// kube-score beside it. A team adds its own rules in team.go.
package main

import (
	"cmp"
	"fmt"
	"slices"

	"example.com/scaleout/internal/rendered"
)

// Rule is a property that a stack must have.
type Rule struct {
	ID       string // names the rule in waivers
	Severity Severity
	Reason   string // what happens otherwise
	Fix      string
	// Check returns what violates the rule.
	Check func(*Stack) []Violation
}

// Severity decides whether a violation fails the check.
type Severity string

// A violation of a rule of severity Error fails the check, one of severity Warning is only shown.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Violation is a resource that violates a rule.
type Violation struct {
	Object  string // e.g. "Deployment shop/web"; a waiver names it
	Problem string
}

// Stack has the resources that a stack would deploy, and its stack file.
type Stack struct {
	*rendered.Stack
	Config map[string]any // the keys of the stack file, e.g. "aws:defaultTags"
}

// rules returns all rules.
func rules() []Rule { return slices.Concat(workloadRules, trafficRules, dataRules, teamRules) }

// workload is a resource with a pod template.
type workload struct {
	*rendered.Resource
	pod map[string]any // the spec of its pods
}

// workloads returns the resources that create pods.
func (s *Stack) workloads() []workload {
	templates := map[string][]string{
		"Deployment": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
		"ReplicaSet": {"spec", "template"}, "Job": {"spec", "template"}, "Pod": {},
		"CronJob": {"spec", "jobTemplate", "spec", "template"},
	}
	var found []workload
	for _, r := range s.Resources {
		path, creates := templates[r.Kind()]
		if spec, ok := rendered.Get(r.Get(path...), "spec").(map[string]any); creates && ok {
			found = append(found, workload{r, spec})
		}
	}
	return found
}

// containers returns all containers of the pods, by name.
func (w workload) containers() []map[string]any {
	var found []map[string]any
	for _, field := range []string{"initContainers", "containers"} {
		for _, element := range rendered.List(w.pod, field) {
			if container, ok := element.(map[string]any); ok {
				found = append(found, container)
			}
		}
	}
	slices.SortFunc(found, func(a, b map[string]any) int {
		return cmp.Compare(fmt.Sprint(a["name"]), fmt.Sprint(b["name"]))
	})
	return found
}

// ofKind returns the objects of a kind.
func (s *Stack) ofKind(kind string) []*rendered.Resource {
	return slices.DeleteFunc(slices.Clone(s.Resources), func(r *rendered.Resource) bool { return r.Kind() != kind })
}

// violation describes a resource.
func violation(r *rendered.Resource, format string, args ...any) Violation {
	return Violation{r.Title(), fmt.Sprintf(format, args...)}
}
