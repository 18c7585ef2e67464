package offline

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Result contains everything that a program registered for a stack.
type Result struct {
	Project, Stack string         // the names under which the program ran
	Resources      []Resource     // sorted by URN
	Exports        map[string]any // the stack's outputs
	MissingSecrets []string       // configuration keys of required secrets that the stack does not have yet
	// Exposed are paths of values that depend on a secret but are not marked as one: `ConfigMap web data.password`.
	Exposed []string
}

// Resource is one resource of the program: a component or a custom resource.
type Resource struct {
	URN, Type, Name string         // the URN identifies the resource; Type and Name are parts of it
	Parent          string         // a URN; empty for the stack
	Custom          bool           // false for components
	Provider        string         // the URN of the explicit provider; empty for the default one
	Inputs          map[string]any // of the types described at Secret
	Dependencies    []string       // URNs, sorted
	// Options are the resource options that are set, under their names in the engine's protocol
	// (RegisterResourceRequest): protect, ignoreChanges, importId...
	Options map[string]any
	// Former are the URNs that the resource may have had before, from its aliases and its parents', sorted. An update
	// then keeps the object. Other tokens of the same type are not listed: an object has one for each API version.
	Former []string
}

// result converts the records after the program has ended.
func (r *recorder) result() (*Result, error) {
	result := &Result{Project: r.project, Stack: r.stack, Resources: []Resource{}}
	managed, byURN := map[string]bool{}, map[string]registration{}
	for _, g := range r.registered {
		managed[g.URN], byURN[g.URN] = g.Custom, g
	}
	for _, g := range r.registered {
		g.Inputs, g.Former = r.values(g, managed), r.former(g, byURN)
		result.Resources = append(result.Resources, g.Resource)
	}
	slices.SortFunc(result.Resources, func(a, b Resource) int { return cmp.Compare(a.URN, b.URN) })
	result.Exports = r.values(r.exports, managed)
	return result, r.refuse(result.Resources)
}

// former returns the URNs that the aliases of a resource and of its parents mean to the engine: an alias of a parent
// holds for its children, whose names change with the parent's if they begin with it.
// https://www.pulumi.com/docs/iac/concepts/options/aliases/
func (r *recorder) former(g registration, byURN map[string]registration) []string {
	parents, found := []string{g.Parent}, map[string]bool{}
	if parent, ok := byURN[g.Parent]; ok {
		parents = append(parents, r.former(parent, byURN)...)
	}
	add := func(spec *pulumirpc.Alias_Spec, parent string) {
		name, parentType := cmp.Or(spec.GetName(), g.Name), tokens.Type("")
		if parent != "" {
			parentType = resource.URN(parent).QualifiedType()
		}
		if parent != "" && g.Parent != "" {
			if rest, begins := strings.CutPrefix(name, resource.URN(g.Parent).Name()); begins {
				name = resource.URN(parent).Name() + rest
			}
		}
		found[string(resource.NewURN(
			tokens.QName(cmp.Or(spec.GetStack(), r.stack)), tokens.PackageName(cmp.Or(spec.GetProject(), r.project)),
			parentType, tokens.Type(cmp.Or(spec.GetType(), g.Type)), name))] = true
	}
	for _, alias := range append([]*pulumirpc.Alias{{}}, g.aliases...) { // the first one is for the parents' aliases
		spec, typ, now := alias.GetSpec(), tokens.Type(alias.GetSpec().GetType()), tokens.Type(g.Type)
		_, elsewhere := spec.GetParent().(*pulumirpc.Alias_Spec_ParentUrn)
		switch {
		case alias.GetUrn() != "":
			found[alias.GetUrn()] = true
		case typ != "" && typ.Package() == now.Package() && typ.Name() == now.Name(): // added by the SDK of the provider
		case elsewhere || spec.GetNoParent():
			add(spec, spec.GetParentUrn())
		default:
			for _, parent := range parents {
				add(spec, parent)
			}
		}
	}
	delete(found, g.URN)
	return sortedKeys(found)
}

// refuse returns the errors of an `up`: those of the engine, and two resources that manage the same object.
func (r *recorder) refuse(resources []Resource) error {
	problems := r.problems
	owner := map[string]string{} // the URN of the resource that manages an object
	for i, resource := range resources {
		if i > 0 && resources[i-1].URN == resource.URN { // they are sorted
			problems = append(problems, "two resources have the URN "+resource.URN)
		}
		object, ok := resource.Object()
		if !ok {
			continue
		}
		group, _, _ := strings.Cut(object.APIVersion, "/") // two API versions represent the same object
		key := group + " " + object.String()
		if other := cmp.Or(owner[key], resource.URN); other != resource.URN {
			problems = append(problems, fmt.Sprintf("%s is managed twice: by %s and by %s", object, other, resource.URN))
		}
		owner[key] = resource.URN
	}
	return inLines(problems)
}

// values converts the inputs of a registration, with the sources of unknown values.
func (r *recorder) values(g registration, managed map[string]bool) map[string]any {
	values := make(map[string]any, len(g.inputs))
	for key, value := range g.inputs {
		values[string(key)] = fromProperty(value, r.sources(g.dependencies[string(key)].GetUrns(), managed))
	}
	return values
}

// sources names the possible sources of an unknown value. The SDK reports only the dependencies of the whole
// property, so there may be several. In order of likelihood: a resource of another provider (an image's digest), a
// Kubernetes object with an address, any other object (its name is known, its UID is not), a function call.
func (r *recorder) sources(urns []string, managed map[string]bool) string {
	candidates := make([][]string, 3)
	for _, urn := range urns {
		typ, order := resource.URN(urn).Type(), 2
		switch {
		case !managed[urn]: // a component has no outputs of its own
			continue
		case typ.Package() != "kubernetes":
			order = 0
		case typ.Name() == "Ingress" || typ.Name() == "Service":
			order = 1
		}
		name := strings.ToLower(fmt.Sprintf("%s %s", typ.Package(), typ.Name())) + " " + resource.URN(urn).Name()
		candidates[order] = append(candidates[order], name)
	}
	for _, names := range append(candidates, r.invoked) {
		if names = slices.Compact(slices.Sorted(slices.Values(names))); len(names) > 2 {
			return fmt.Sprintf("%s or %d others", names[0], len(names)-1)
		} else if len(names) > 0 {
			return strings.Join(names, " or ")
		}
	}
	return ""
}

// DependsOn reports whether a resource depends on another, directly or not: by dependencies, provider and parent.
func (r *Result) DependsOn(urn, other string) bool {
	before, seen := map[string][]string{}, map[string]bool{}
	for _, resource := range r.Resources {
		before[resource.URN] = append([]string{resource.Parent, resource.Provider}, resource.Dependencies...)
	}
	for next := before[urn]; len(next) > 0; next = next[1:] {
		if next[0] == other {
			return true
		}
		if !seen[next[0]] {
			seen[next[0]] = true
			next = append(next, before[next[0]]...)
		}
	}
	return false
}

// redactDifferences replaces every value that differs from a run with another placeholder by a Secret, since the value
// depends on the placeholder. It adds those that the program did not mark as secret to Exposed.
func (r *Result) redactDifferences(other *Result) {
	redactAll := func(title string, values, others map[string]any) {
		for _, key := range sortedKeys(values) {
			values[key] = redact(key, values[key], others[key], func(path string) {
				r.Exposed = append(r.Exposed, title+" "+path)
			})
		}
	}
	others := map[string]map[string]any{}
	for _, resource := range other.Resources {
		others[resource.URN] = resource.Inputs
	}
	for _, resource := range r.Resources {
		redactAll(resource.title(), resource.Inputs, others[resource.URN])
	}
	redactAll("output", r.Exports, other.Exports)
}

// redact returns a value with a Secret in place of every part that differs in other, and calls expose for those that
// were not marked as secret. A map that is secret as a whole keeps its structure, as some of its values may be known.
func redact(path string, v, other any, expose func(path string)) any {
	return walk(path, v, other, func(path string, leaf, other any) any {
		secret, isSecret := leaf.(Secret)
		if other, ok := other.(Secret); ok && isSecret {
			inner := redact("", secret.Value, other.Value, func(string) {}) // values in a secret are not exposed
			if hidden, ok := inner.(Secret); ok {
				return hidden
			}
			return Secret{inner}
		}
		if reflect.DeepEqual(leaf, other) {
			return leaf
		}
		expose(path)
		return Secret{}
	})
}
