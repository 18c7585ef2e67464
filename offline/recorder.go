package offline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/encoding/protojson"
)

// recorder is the mock of the engine. The SDK calls it from many goroutines, so the order of the records is random.
type recorder struct {
	project, stack    string
	noDefaultProvider []string    // packages whose resources require an explicit provider; "*" for all
	secret            placeholder // for secrets in the results of function calls

	mu         sync.Mutex
	registered []registration
	exports    registration
	invoked    []string // the function calls, e.g. "aws getCluster"
	problems   []string // errors that the real engine would return
}

// registration is the registration of a resource. result sets its Inputs after the program has ended.
type registration struct {
	Resource
	inputs       resource.PropertyMap
	dependencies map[string]*pulumirpc.RegisterResourceRequest_PropertyDependencies // of each input
	aliases      []*pulumirpc.Alias
}

// exportsType is the type of a resource that carries the stack's outputs, which the SDK does not pass to mocks.
const exportsType = "scaleout:offline:Exports"

// NewResource records a resource and returns its inputs as its state. In a preview, the SDK takes the rest as unknown.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	request := args.RegisterRPC // nil for a read of an existing resource
	// The SDK's mock drops unknown values from the inputs that it passes on.
	inputs, err := plugin.UnmarshalProperties(request.GetObject(),
		plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true})
	options, optionsErr := optionsOf(args)
	if err := errors.Join(err, optionsErr); err != nil {
		return "", nil, fmt.Errorf("reading the inputs of %s %q: %w", args.TypeToken, args.Name, err)
	}
	g := registration{r.describe(args, options), inputs, request.GetPropertyDependencies(), request.GetAliases()}
	if args.TypeToken == exportsType {
		r.exports = g
		return "", nil, nil
	}
	if g.Custom {
		r.requireProvider(g.Type, g.Name, g.Provider)
	}
	r.registered = append(r.registered, g)
	known := state(inputs)
	if args.TypeToken == "pulumi:pulumi:StackReference" { // its outputs are unavailable offline
		known["outputs"] = resource.NewProperty(resource.PropertyMap{})
	}
	return args.ID, known, nil
}

// describe returns a resource without its inputs. The URN is that of the SDK's mock, and the provider has no ID yet.
func (r *recorder) describe(args pulumi.MockResourceArgs, options map[string]any) Resource {
	parent := cmp.Or(args.RegisterRPC.GetParent(), args.ReadRPC.GetParent())
	parentType := resource.URN(parent).QualifiedType()
	if parentType == resource.RootStackType {
		parent, parentType = "", ""
	}
	urn := resource.NewURN(
		tokens.QName(r.stack), tokens.PackageName(r.project), parentType, tokens.Type(args.TypeToken), args.Name)
	provider := args.Provider
	if i := strings.LastIndex(provider, "::"); i >= 0 {
		provider = provider[:i]
	}
	return Resource{
		URN: string(urn), Type: args.TypeToken, Name: args.Name, Parent: parent, Provider: provider, Options: options,
		Custom:       args.Custom || args.ReadRPC != nil,
		Dependencies: slices.Sorted(slices.Values(args.RegisterRPC.GetDependencies())),
	}
}

// optionsOf returns the resource options that are set, without aliases, which former returns as URNs.
func optionsOf(args pulumi.MockResourceArgs) (map[string]any, error) {
	q := args.RegisterRPC
	if q == nil {
		return map[string]any{"existing": []any{args.ID}}, nil
	}
	encoded, err := protojson.Marshal(&pulumirpc.RegisterResourceRequest{
		Protect: q.Protect, RetainOnDelete: q.RetainOnDelete, DeleteBeforeReplace: q.DeleteBeforeReplace,
		IgnoreChanges: q.IgnoreChanges, ReplaceOnChanges: q.ReplaceOnChanges, ReplaceWith: q.ReplaceWith,
		DeletedWith: q.DeletedWith, ImportId: q.ImportId, CustomTimeouts: q.CustomTimeouts,
	})
	options := map[string]any{}
	err = errors.Join(err, json.Unmarshal(encoded, &options))
	maps.DeleteFunc(options, func(_ string, value any) bool { // defaults: protect: false, customTimeouts: {}
		fields, isMap := value.(map[string]any)
		return value == false || isMap && len(fields) == 0
	})
	return options, err
}

// Call returns an unknown result for a function call. With an empty one, a cluster would have an empty name.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requireProvider(args.Token, "call", args.Provider)
	token := tokens.ModuleMember(args.Token)
	r.invoked = append(r.invoked, string(token.Package())+" "+string(token.Name()))
	if args.Token == "aws:ecr/getAuthorizationToken:getAuthorizationToken" {
		// The result is secret. It is a placeholder, since the SDK's mock accepts no unknown secret.
		return resource.PropertyMap{"password": resource.MakeSecret(resource.NewProperty(string(r.secret)))}, nil
	}
	return resource.PropertyMap{"unknown": unknown}, nil
}

// unknown is an unknown value in the wire format of the SDK, whose mock drops the other representation.
var unknown = resource.NewProperty(plugin.UnknownStringValue)

// state returns the known state of a resource before it exists: its inputs. A partly unknown input is unknown as a
// whole, since the Go SDK would turn the unknown part into an empty string.
func state(inputs resource.PropertyMap) resource.PropertyMap {
	known := maps.Clone(inputs)
	for key, value := range known {
		if value.ContainsUnknowns() {
			known[key] = unknown
		}
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
