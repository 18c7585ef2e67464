package offline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Result is everything that a program registered for one stack.
type Result struct {
	// Project and Stack that the program ran as.
	Project, Stack string
	// Resources in the order of their URNs.
	Resources []Resource
	// Exports are the stack's outputs.
	Exports map[string]any
	// MissingSecrets are the configuration keys of secrets that the program needs and the stack does not have yet.
	MissingSecrets []string
	// Exposed are the places, e.g. `ConfigMap web data.password`, of values that depend on a secret of the
	// configuration but are not marked as secret.
	Exposed []string
}

// Resource is one resource of the program: a component or a custom resource.
type Resource struct {
	// URN is the engine's name of the resource; Type and Name are parts of it.
	URN, Type, Name string
	// Parent is a URN, empty if it is the stack.
	Parent string
	// Custom is false for components.
	Custom bool
	// Provider is the URN of the explicit provider, empty for the default one.
	Provider string
	// Inputs are values as described at Secret.
	Inputs map[string]any
	// Dependencies are URNs, sorted.
	Dependencies []string
	// Options are the resource options that differ from their defaults, under their names in the Pulumi documentation:
	// protect, ignoreChanges, customTimeouts...
	Options map[string]any
}

// result converts what was recorded once the program has ended.
func (r *recorder) result() (*Result, error) {
	result := &Result{Project: r.project, Stack: r.stack, Resources: []Resource{}}
	managed := map[string]bool{}
	for _, g := range r.registered {
		managed[g.URN] = g.Custom
	}
	for _, g := range r.registered {
		g.Inputs = r.values(g, managed)
		result.Resources = append(result.Resources, g.Resource)
	}
	slices.SortFunc(result.Resources, func(a, b Resource) int { return cmp.Compare(a.URN, b.URN) })
	result.Exports = r.values(r.exports, managed)
	return result, r.refuse(result.Resources)
}

// refuse reports what an `up` would fail on: the engine's own checks, and two resources that fight over one object.
func (r *recorder) refuse(resources []Resource) error {
	problems := r.problems
	urns, owner := map[string]bool{}, map[string]string{} // owner is the URN of what manages an object
	for i := range resources {
		urn := resources[i].URN
		if urns[urn] {
			problems = append(problems, "two resources have the URN "+urn)
		}
		urns[urn] = true
		object, ok := resources[i].Object()
		if !ok {
			continue
		}
		group, _, _ := strings.Cut(object.APIVersion, "/") // two versions of an API are views of one object
		key := group + " " + object.String()
		if other := cmp.Or(owner[key], urn); other != urn {
			problems = append(problems, fmt.Sprintf("%s is managed twice: by %s and by %s", object, other, urn))
		}
		owner[key] = urn
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(slices.Compact(problems), "\n"))
}

// values are the inputs of a registration, with the sources of what is unknown in each.
func (r *recorder) values(g registration, managed map[string]bool) map[string]any {
	values := make(map[string]any, len(g.inputs))
	for key, value := range g.inputs {
		from := ""
		if value.ContainsUnknowns() {
			from = r.sources(g.dependencies[string(key)].GetUrns(), managed)
		}
		values[string(key)] = fromProperty(value, from)
	}
	return values
}

// sources names what an unknown value may come from. The SDK tells only what the whole property depends on, so there
// may be several, and each is less likely than the one before: a resource of another provider (an image's digest), a
// Kubernetes object with an address, any other object (its name is known, its UID is not), data that was asked for.
func (r *recorder) sources(urns []string, managed map[string]bool) string {
	var others, addressed, objects []string
	for _, urn := range urns {
		typ := string(resource.URN(urn).Type())
		name := spoken(typ) + " " + resource.URN(urn).Name()
		switch {
		case !managed[urn]: // a component has no outputs of its own
		case !strings.HasPrefix(typ, "kubernetes:"):
			others = append(others, name)
		case strings.HasSuffix(typ, ":Ingress") || strings.HasSuffix(typ, ":Service"):
			addressed = append(addressed, name)
		default:
			objects = append(objects, name)
		}
	}
	for _, candidates := range [][]string{others, addressed, objects, r.invoked} {
		if names := slices.Compact(slices.Sorted(slices.Values(candidates))); len(names) > 2 {
			return fmt.Sprintf("%s or %d others", names[0], len(names)-1)
		} else if len(names) > 0 {
			return strings.Join(names, " or ")
		}
	}
	return ""
}

// DependsOn tells whether a resource comes after another: by its dependencies, its provider and its parents, as the
// engine follows them. Deletion goes the other way.
func (r *Result) DependsOn(urn, other string) bool {
	byURN := map[string]*Resource{}
	for i := range r.Resources {
		byURN[r.Resources[i].URN] = &r.Resources[i]
	}
	seen, next := map[string]bool{}, []string{urn}
	for len(next) > 0 {
		resource := byURN[next[0]]
		next = next[1:]
		if resource == nil || seen[resource.URN] {
			continue
		}
		seen[resource.URN] = true
		before := append([]string{resource.Parent, resource.Provider}, resource.Dependencies...)
		if slices.Contains(before, other) {
			return true
		}
		next = append(next, before...)
	}
	return false
}
