package offline

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// recorder is the mock of the engine. The SDK calls it from many goroutines, so the order of the records is random.
type recorder struct {
	project, stack string
	// noDefaultProvider lists the packages whose resources require an explicit provider; "*" for all.
	noDefaultProvider []string
	// secret replaces secrets in the results of function calls.
	secret placeholder

	mu         sync.Mutex
	registered []registration
	exports    registration
	invoked    []string // the function calls, e.g. "aws getCluster"
	problems   []string // errors that the real engine would return
}

// registration is the registration of a resource. result sets its Inputs after the program has ended.
type registration struct {
	Resource
	inputs resource.PropertyMap
	// dependencies holds the dependencies of each input.
	dependencies map[string]*pulumirpc.RegisterResourceRequest_PropertyDependencies
}

// keep preserves unknown values, which the SDK's mock drops from the inputs that it passes on.
var keep = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// exportsType is the type of a resource that carries the stack's outputs, which the SDK does not pass to mocks.
const exportsType = "scaleout:offline:Exports"

// NewResource records a resource and returns its inputs as its state. In a preview, the SDK treats outputs that the
// state lacks as unknown.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if args.ReadRPC != nil { // a read of an existing resource
		existing := r.describe(args, args.ReadRPC.GetParent(), true)
		existing.Options = map[string]any{"existing": []any{args.ID}}
		r.registered = append(r.registered, registration{Resource: existing})
		if args.TypeToken == "pulumi:pulumi:StackReference" { // its outputs are unavailable offline
			return args.ID, resource.PropertyMap{"outputs": resource.NewProperty(resource.PropertyMap{})}, nil
		}
		return args.ID, nil, nil
	}
	request := args.RegisterRPC
	inputs, err := plugin.UnmarshalProperties(request.GetObject(), keep)
	if err != nil {
		return "", nil, fmt.Errorf("reading the inputs of %s %q: %w", args.TypeToken, args.Name, err)
	}
	g := registration{inputs: inputs, dependencies: request.GetPropertyDependencies()}
	if args.TypeToken == exportsType {
		r.exports = g
		return "", nil, nil
	}
	g.Resource = r.describe(args, request.GetParent(), args.Custom)
	g.Dependencies = slices.Sorted(slices.Values(request.GetDependencies()))
	g.Options = optionsOf(request)
	r.registered = append(r.registered, g)
	return "", state(inputs), nil
}

// describe returns a resource without its inputs. It builds the URN like the SDK's mock. It omits the provider's ID,
// which is unknown before the provider exists.
func (r *recorder) describe(args pulumi.MockResourceArgs, parent string, custom bool) Resource {
	parentType := tokens.Type("")
	if parent != "" {
		parentType = resource.URN(parent).QualifiedType()
	}
	if parentType == resource.RootStackType {
		parent, parentType = "", ""
	}
	urn := resource.NewURN(
		tokens.QName(r.stack), tokens.PackageName(r.project), parentType, tokens.Type(args.TypeToken), args.Name)
	provider := args.Provider
	if i := strings.LastIndex(provider, "::"); i >= 0 {
		provider = provider[:i]
	}
	if custom {
		r.requireProvider(args.TypeToken, args.Name, provider)
	}
	return Resource{
		URN: string(urn), Type: args.TypeToken, Name: args.Name, Parent: parent, Custom: custom, Provider: provider,
	}
}

// optionsOf returns the resource options that are set, without aliases: the Kubernetes SDK adds a dozen to every
// resource.
func optionsOf(q *pulumirpc.RegisterResourceRequest) map[string]any {
	set, timeouts := map[string]any{}, map[string]any{}
	for name, on := range map[string]bool{
		"protect": q.GetProtect(), "retainOnDelete": q.GetRetainOnDelete(),
		"deleteBeforeReplace": q.GetDeleteBeforeReplace(),
	} {
		if on {
			set[name] = true
		}
	}
	for name, words := range map[string][]string{
		"ignoreChanges": q.GetIgnoreChanges(), "replaceOnChanges": q.GetReplaceOnChanges(),
		"replaceWith": q.GetReplaceWith(), "deletedWith": {q.GetDeletedWith()}, "import": {q.GetImportId()},
	} {
		for _, word := range words {
			if word != "" {
				set[name] = append(elements(set, name), word)
			}
		}
	}
	limits := q.GetCustomTimeouts()
	for name, limit := range map[string]string{
		"create": limits.GetCreate(), "update": limits.GetUpdate(), "delete": limits.GetDelete(),
	} {
		if limit != "" {
			timeouts[name], set["customTimeouts"] = limit, timeouts
		}
	}
	return set
}

// Call returns an unknown result for a function call. With an empty one, a cluster would have an empty name.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requireProvider(args.Token, "call", args.Provider)
	token := tokens.ModuleMember(args.Token)
	r.invoked = append(r.invoked, string(token.Package())+" "+string(token.Name()))
	if name, ok := secretResults[args.Token]; ok {
		return resource.PropertyMap{name: resource.MakeSecret(resource.NewProperty(string(r.secret)))}, nil
	}
	return resource.PropertyMap{"unknown": unknown}, nil
}

// secretResults lists function results that are secret. They are placeholders, since the SDK's mock accepts no unknown
// secret.
var secretResults = map[string]resource.PropertyKey{"aws:ecr/getAuthorizationToken:getAuthorizationToken": "password"}

// unknown is an unknown value in the wire format of the SDK, whose mock drops the other representation.
var unknown = resource.NewProperty(plugin.UnknownStringValue)

// state returns the known state of a resource before it exists: its inputs. A partly unknown input is unknown as a
// whole, since the Go SDK would turn the unknown part into an empty string.
func state(inputs resource.PropertyMap) resource.PropertyMap {
	known := make(resource.PropertyMap, len(inputs))
	for key, value := range inputs {
		if value.ContainsUnknowns() {
			value = unknown
		}
		known[key] = value
	}
	return known
}

// requireProvider records the error of the engine for a default provider that pulumi:disable-default-providers forbids.
func (r *recorder) requireProvider(token, name, provider string) {
	pkg, _, _ := strings.Cut(token, ":")
	disabled := slices.Contains(r.noDefaultProvider, pkg) || slices.Contains(r.noDefaultProvider, "*")
	if provider == "" && disabled && pkg != "pulumi" {
		r.problems = append(r.problems, fmt.Sprintf(
			"%s %q has no provider, and pulumi:disable-default-providers forbids the default one", token, name))
	}
}
