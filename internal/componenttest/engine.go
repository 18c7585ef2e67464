package componenttest

import (
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Engine mocks a successful `up`, with outputs that providers add. offline.Record mocks a preview: they are unknown.
type Engine struct {
	// Stash holds the outputs of existing Stash resources in the state, by name. Others are created.
	Stash map[string]any
	// Change modifies the state of a resource. Nil for no change.
	Change func(kind, name string, state map[string]any)

	mu      sync.Mutex
	states  map[string]map[string]any
	aliases map[string][]*pulumirpc.Alias
}

// Run runs a program to its end.
func (e *Engine) Run(program pulumi.RunFunc) error {
	e.states, e.aliases = map[string]map[string]any{}, map[string][]*pulumirpc.Alias{}
	return pulumi.RunErr(program, pulumi.WithMocks("scaleout", "test", e))
}

// State returns the state of the resource of a type (the part after the last colon) and a name; nil if there is none.
func (e *Engine) State(kind, name string) map[string]any { return e.states[kind+" "+name] }

// Aliases returns the aliases of a resource.
func (e *Engine) Aliases(kind, name string) []*pulumirpc.Alias { return e.aliases[kind+" "+name] }

// NewResource implements pulumi.MockResourceMonitor. The SDK calls it for each resource, from many goroutines.
func (e *Engine) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kind := args.TypeToken[strings.LastIndex(args.TypeToken, ":")+1:]
	state := args.Inputs.Mappable()
	switch kind {
	case "Stash":
		state["output"] = state["input"]
		if old, exists := e.Stash[args.Name]; exists {
			state["output"] = old
		}
	case "Ingress":
		state["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{
			map[string]any{"hostname": "lb.example.com"},
		}}}
	}
	if e.Change != nil {
		e.Change(kind, args.Name, state)
	}
	e.states[kind+" "+args.Name], e.aliases[kind+" "+args.Name] = state, args.RegisterRPC.GetAliases()
	return args.Name, resource.NewPropertyMapFromMap(state), nil
}

// Call implements pulumi.MockResourceMonitor. It returns an empty result for every function call.
func (e *Engine) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}
