package offline

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
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
	// Exposed are the places, e.g. `ConfigMap web data.password`, of values that follow from a secret and are not marked.
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
	// Options are the resource options that were set, as the Pulumi documentation names them: protect, ignoreChanges...
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

// DependsOn tells whether a resource comes after another: by its dependencies, its provider and its parents.
func (r *Result) DependsOn(urn, other string) bool {
	seen := map[string]bool{}
	for next := []string{urn}; len(next) > 0; next = next[1:] {
		i := slices.IndexFunc(r.Resources, func(resource Resource) bool { return resource.URN == next[0] })
		if i < 0 || seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		before := append([]string{r.Resources[i].Parent, r.Resources[i].Provider}, r.Resources[i].Dependencies...)
		if slices.Contains(before, other) {
			return true
		}
		next = append(next, before...)
	}
	return false
}

// blind hides everything that differs from the same program run with another placeholder for its secrets: such a value
// follows from the placeholder, so it would be invented. What the program did not mark as secret is Exposed too.
func (r *Result) blind(other *Result) {
	others := map[string]map[string]any{}
	for _, resource := range other.Resources {
		others[resource.URN] = resource.Inputs
	}
	for i := range r.Resources {
		resource := &r.Resources[i]
		r.blindMap(resource.title(), resource.Inputs, others[resource.URN])
	}
	r.blindMap("output", r.Exports, other.Exports)
}

func (r *Result) blindMap(title string, a, b map[string]any) {
	for _, key := range sortedKeys(a) {
		blinded, exposed := blindValue(key, a[key], b[key])
		a[key] = blinded
		for _, path := range exposed {
			r.Exposed = append(r.Exposed, title+" "+path)
		}
	}
}

// blindValue returns a, with a Secret in place of every part that is not the same in b, and the paths of those that were
// not marked as secret. A map that is secret as a whole keeps its form, since its values may be known in part.
func blindValue(path string, a, b any) (blinded any, exposed []string) {
	others := map[string]any{}
	walk(path, b, func(path string, leaf any) any {
		others[path] = leaf
		return leaf
	})
	blinded = walk(path, a, func(path string, leaf any) any {
		secret, isSecret := leaf.(Secret)
		if other, ok := others[path].(Secret); ok && isSecret {
			inner, _ := blindValue("", secret.Value, other.Value) // what is in a secret is not exposed
			if hidden, ok := inner.(Secret); ok {
				return hidden
			}
			return Secret{inner}
		}
		if reflect.DeepEqual(leaf, others[path]) {
			return leaf
		}
		exposed = append(exposed, path)
		return Secret{}
	})
	return blinded, exposed
}
