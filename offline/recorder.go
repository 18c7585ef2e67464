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

// recorder is the mock of the engine. The program calls it from many goroutines, so the order of records is random.
type recorder struct {
	project, stack string
	// noDefaultProvider are the packages whose resources must name their provider; "*" for all.
	noDefaultProvider []string
	// secret stands for the secrets that the program asks for.
	secret placeholder

	mu         sync.Mutex
	registered []registration
	exports    registration
	invoked    []string // the data that was asked for, e.g. "aws getCluster"
	problems   []string // what the real engine would have refused
}

// registration is what the program told the engine about one resource. Its Inputs follow once all is registered.
type registration struct {
	Resource
	inputs resource.PropertyMap
	// dependencies are those of each input.
	dependencies map[string]*pulumirpc.RegisterResourceRequest_PropertyDependencies
}

// keep is how the real values are read: the SDK's mock drops unknown values from the inputs that it hands over.
var keep = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// exportsType marks the resource that carries the stack's outputs: the SDK hands those to no mock.
const exportsType = "scaleout:offline:Exports"

// NewResource records a resource and answers with its inputs as its state. Everything else only its provider knows; as
// the SDK is told that this is a preview, an output that the state lacks is unknown.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if args.ReadRPC != nil { // of an existing object
		existing := r.describe(args, args.ReadRPC.GetParent(), true)
		existing.Options = map[string]any{"existing": []any{args.ID}}
		r.registered = append(r.registered, registration{Resource: existing})
		if args.TypeToken == "pulumi:pulumi:StackReference" { // offline no output of another stack is known
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

// describe is what the engine knows of a resource beside its inputs. The URN is made as the SDK's mock makes it. The
// provider's ID is left out: it is unknown before the provider exists.
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

// optionsOf are the resource options that were set, without aliases: the Kubernetes SDK gives every resource a dozen.
func optionsOf(q *pulumirpc.RegisterResourceRequest) map[string]any {
	set, timeouts := map[string]any{}, map[string]any{}
	for name, on := range map[string]bool{
		"protect": q.GetProtect(), "retainOnDelete": q.GetRetainOnDelete(), "deleteBeforeReplace": q.GetDeleteBeforeReplace(),
	} {
		if on {
			set[name] = true
		}
	}
	for name, words := range map[string][]string{
		"ignoreChanges": q.GetIgnoreChanges(), "replaceOnChanges": q.GetReplaceOnChanges(), "replaceWith": q.GetReplaceWith(),
		"deletedWith": {q.GetDeletedWith()}, "import": {q.GetImportId()},
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

// Call answers a request for data with "unknown". An empty answer would be taken for a cluster without a name.
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

// secretResults are secrets that programs ask for. Each has a placeholder, since the SDK's mock takes no unknown secret.
var secretResults = map[string]resource.PropertyKey{"aws:ecr/getAuthorizationToken:getAuthorizationToken": "password"}

// unknown is an unknown value as the SDK sends it over the wire; its mock would drop one in the other form.
var unknown = resource.NewProperty(plugin.UnknownStringValue)

// state is what is known of a resource before it exists: its inputs. One that is unknown in part is unknown as a whole,
// since the Go SDK would turn the unknown part into an empty string.
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

// requireProvider notes what the engine refuses when pulumi:disable-default-providers is set.
func (r *recorder) requireProvider(token, name, provider string) {
	pkg, _, _ := strings.Cut(token, ":")
	disabled := slices.Contains(r.noDefaultProvider, pkg) || slices.Contains(r.noDefaultProvider, "*")
	if provider == "" && disabled && pkg != "pulumi" {
		r.problems = append(r.problems, fmt.Sprintf(
			"%s %q has no provider, and pulumi:disable-default-providers forbids the default one", token, name))
	}
}
