package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Result is everything that a program registered for one stack.
type Result struct {
	// Project and Stack that the program ran as.
	Project string `json:"project"`
	Stack   string `json:"stack"`
	// Resources in the order of their URNs.
	Resources []Resource `json:"resources"`
	// Exports are the stack's outputs.
	Exports map[string]any `json:"exports"`
	// MissingSecrets are the configuration keys of secrets that the program needs and the stack does not have yet.
	MissingSecrets []string `json:"missingSecrets,omitempty"`
	// Exposed are the places, e.g. `ConfigMap web data.password`, of values that depend on a secret of the
	// configuration but are not marked as secret.
	Exposed []string `json:"exposed,omitempty"`
}

// Resource is one resource of the program: a component or a custom resource.
type Resource struct {
	// URN is the engine's name of the resource; Type and Name are parts of it.
	URN  string `json:"urn"`
	Type string `json:"type"`
	Name string `json:"name"`
	// Parent is a URN, empty if it is the stack.
	Parent string `json:"parent,omitempty"`
	// Custom is false for components.
	Custom bool `json:"custom"`
	// Provider is the URN of the explicit provider, empty for the default one.
	Provider string `json:"provider,omitempty"`
	// Inputs are values as described at Secret.
	Inputs map[string]any `json:"inputs,omitempty"`
	// Dependencies are URNs, sorted.
	Dependencies []string `json:"dependencies,omitempty"`
	// Options are the resource options that differ from their defaults, under their names in the Pulumi documentation:
	// protect, ignoreChanges, customTimeouts...
	Options map[string]any `json:"options,omitempty"`
}

// result converts what was recorded once the program has ended.
func (r *recorder) result() (*Result, error) {
	result := &Result{Project: r.project, Stack: r.stack, Resources: []Resource{}}
	managed := map[string]bool{}
	for _, g := range r.registered {
		managed[r.urn(g.request)] = g.request.GetCustom()
	}
	for _, g := range r.registered {
		result.Resources = append(result.Resources, Resource{
			URN:          r.urn(g.request),
			Type:         g.request.GetType(),
			Name:         g.request.GetName(),
			Parent:       parentURN(g.request),
			Custom:       g.request.GetCustom(),
			Provider:     providerURN(g.request.GetProvider()),
			Inputs:       r.values(g, managed),
			Dependencies: slices.Sorted(slices.Values(g.request.GetDependencies())),
			Options:      g.options(),
		})
	}
	slices.SortFunc(result.Resources, func(a, b Resource) int { return cmp.Compare(a.URN, b.URN) })
	result.Exports = r.values(r.exports, managed)
	return result, r.refuse(result.Resources)
}

// refuse reports what an `up` would fail on: the engine's own checks, and two resources that fight over one object.
func (r *recorder) refuse(resources []Resource) error {
	problems := r.problems
	for i := 1; i < len(resources); i++ {
		if resources[i].URN == resources[i-1].URN {
			problems = append(problems, "two resources have the URN "+resources[i].URN)
		}
	}
	owner := map[string]string{} // the URN of what manages an object
	for i := range resources {
		object, ok := resources[i].Object()
		if !ok {
			continue
		}
		group, _, _ := strings.Cut(object.APIVersion, "/") // two versions of an API are views of one object
		key := group + " " + object.String()
		if other, taken := owner[key]; taken && other != resources[i].URN {
			problems = append(problems, fmt.Sprintf("%s is managed twice: by %s and by %s", object, other, resources[i].URN))
		}
		owner[key] = resources[i].URN
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("%s", strings.Join(slices.Compact(problems), "\n"))
}

// values are the inputs of a registration, with the sources of what is unknown in each.
func (r *recorder) values(g registration, managed map[string]bool) map[string]any {
	values := make(map[string]any, len(g.inputs))
	for key, value := range g.inputs {
		from := ""
		if value.ContainsUnknowns() {
			from = r.sources(g.request.GetPropertyDependencies()[string(key)].GetUrns(), managed)
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

// urn is the name that the engine gives to a resource, made the way the SDK's mock makes it.
func (r *recorder) urn(request *pulumirpc.RegisterResourceRequest) string {
	parentType := tokens.Type("")
	if parent := parentURN(request); parent != "" {
		parentType = resource.URN(parent).QualifiedType()
	}
	return string(resource.NewURN(tokens.QName(r.stack), tokens.PackageName(r.project), parentType,
		tokens.Type(request.GetType()), request.GetName()))
}

// parentURN is empty for what belongs to the stack directly.
func parentURN(request *pulumirpc.RegisterResourceRequest) string {
	parent := request.GetParent()
	if parent == "" || resource.URN(parent).QualifiedType() == resource.RootStackType {
		return ""
	}
	return parent
}

// providerURN drops the ID from a provider reference: it is unknown before the provider exists.
func providerURN(reference string) string {
	if i := strings.LastIndex(reference, "::"); i >= 0 {
		return reference[:i]
	}
	return reference
}

// DependsOn tells whether a resource comes after another: by its dependencies, its provider and its parents, as the engine
// follows them. Deletion goes the other way.
func (r *Result) DependsOn(urn, other string) bool {
	byURN := map[string]*Resource{}
	for i := range r.Resources {
		byURN[r.Resources[i].URN] = &r.Resources[i]
	}
	seen := map[string]bool{}
	var reaches func(string) bool
	reaches = func(from string) bool {
		resource := byURN[from]
		if resource == nil || seen[from] {
			return false
		}
		seen[from] = true
		for _, next := range append([]string{resource.Parent, resource.Provider}, resource.Dependencies...) {
			if next == other || reaches(next) {
				return true
			}
		}
		return false
	}
	return reaches(urn)
}
