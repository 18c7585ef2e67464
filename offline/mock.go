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

// recorder is the mock of the engine: it records what is registered. The program calls it from many goroutines, so the
// order of what it records means nothing.
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

// registration is what the program told the engine about one resource.
type registration struct {
	request *pulumirpc.RegisterResourceRequest
	inputs  resource.PropertyMap
	readID  string // of an existing object that is looked up, not managed
}

// keep is how the real values are read: the SDK's mock drops unknown values from the inputs that it hands over.
var keep = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// exportsType marks the resource that carries the stack's outputs: the SDK hands those to no mock.
const exportsType = "scaleout:offline:Exports"

// stackReferenceType is another stack, whose outputs the program reads.
const stackReferenceType = "pulumi:pulumi:StackReference"

// NewResource records a resource and answers with its inputs as its state. Everything else only its provider knows; as
// the SDK is told that this is a preview, an output that the state lacks is unknown.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if read := args.ReadRPC; read != nil {
		r.requireProvider(args.TypeToken, args.Name, args.Provider)
		r.registered = append(r.registered, registration{readID: args.ID, request: &pulumirpc.RegisterResourceRequest{
			Type: args.TypeToken, Name: args.Name, Parent: read.GetParent(), Custom: true, Provider: args.Provider,
		}})
		if args.TypeToken == stackReferenceType { // offline no output of another stack is known
			return args.ID, resource.PropertyMap{"outputs": resource.NewProperty(resource.PropertyMap{})}, nil
		}
		return args.ID, nil, nil
	}

	inputs, err := plugin.UnmarshalProperties(args.RegisterRPC.GetObject(), keep)
	if err != nil {
		return "", nil, fmt.Errorf("reading the inputs of %s %q: %w", args.TypeToken, args.Name, err)
	}
	if args.TypeToken == exportsType {
		r.exports = registration{request: args.RegisterRPC, inputs: inputs}
		return "", nil, nil
	}
	if args.Custom {
		r.requireProvider(args.TypeToken, args.Name, args.Provider)
	}
	r.registered = append(r.registered, registration{request: args.RegisterRPC, inputs: inputs})
	return "", state(inputs), nil
}

// Call answers a request for data, e.g. of an EKS cluster, with "unknown". An empty answer would be taken for a cluster
// without a name, an endpoint and a certificate.
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

// secretResults are the secrets among what the program asks for. Each has a placeholder, and is the only result, since the
// SDK's mock takes no secret that is unknown.
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
