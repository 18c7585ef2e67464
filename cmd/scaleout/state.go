package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// state is a stack's state as `pulumi stack export` prints it. What is not looked at here stays as it is.
type state struct {
	file, deployment map[string]json.RawMessage
	resources        []json.RawMessage
	pending          []operation
}

// operation is one that Pulumi began and did not see the end of.
type operation struct {
	Type     string          `json:"type"` // creating, updating, deleting, reading or importing
	Resource json.RawMessage `json:"resource"`
}

// record is what is read of a resource in the state. Its inputs can be anything, even encrypted.
type record struct {
	URN                string   `json:"urn"`
	Type               string   `json:"type"`
	ID                 string   `json:"id"`
	Custom             bool     `json:"custom"`             // it has a provider; components have none
	Delete             bool     `json:"delete"`             // replaced already, and to be deleted
	PendingReplacement bool     `json:"pendingReplacement"` // deleted already, and to be made anew
	Parent             string   `json:"parent"`
	Provider           string   `json:"provider"` // URN and ID
	Dependencies       []string `json:"dependencies"`
	Inputs             values   `json:"inputs"`
	Outputs            values   `json:"outputs"`
}

// values are the inputs or outputs of a resource.
type values map[string]any

// text returns the string at a path, or nothing.
func (v values) text(path ...string) string {
	var at any = map[string]any(v)
	for _, key := range path {
		object, _ := at.(map[string]any)
		at = object[key]
	}
	s, _ := at.(string)
	return s
}

// title names a resource as kubectl and Docker do.
func (r record) title() string {
	name := r.objectID()
	if name == "" {
		name = r.URN[strings.LastIndex(r.URN, ":")+1:]
	}
	return r.Type[strings.LastIndex(r.Type, ":")+1:] + " " + name
}

// isObject tells whether the resource is an object in a cluster.
func (r record) isObject() bool { return r.Custom && strings.HasPrefix(r.Type, "kubernetes:") }

// objectID is the ID that the Kubernetes provider gives an object. It follows from the inputs, which have a name even
// where the provider chose it. The ID of other resources is known only once they were created.
func (r record) objectID() string {
	name := r.Inputs.text("metadata", "name")
	if !r.isObject() || name == "" {
		return ""
	}
	return strings.TrimPrefix(r.Inputs.text("metadata", "namespace")+"/"+name, "/")
}

// needs are the URNs of the resources without which the state is not valid.
func (r record) needs() []string {
	needs := slices.Clone(r.Dependencies)
	if r.Parent != "" {
		needs = append(needs, r.Parent)
	}
	if end := strings.LastIndex(r.Provider, "::"); end >= 0 {
		needs = append(needs, r.Provider[:end])
	}
	return needs
}

// exportState reads a stack's state, in which secrets stay encrypted.
func (d *driver) exportState(ctx context.Context, s *stack, name string) (*state, error) {
	out, err := d.runPulumi(ctx, s, "stack", "export", "--stack", name)
	if err == nil {
		var st *state
		if st, err = parseState(out); err == nil {
			return st, nil
		}
	}
	return nil, fmt.Errorf("reading the state of stack %s: %w", name, err)
}

func parseState(text string) (*state, error) {
	st := &state{}
	if err := json.Unmarshal([]byte(text), &st.file); err != nil {
		return nil, err
	}
	if err := parsePart(st.file, "deployment", &st.deployment); err != nil {
		return nil, err
	}
	if err := parsePart(st.deployment, "resources", &st.resources); err != nil {
		return nil, err
	}
	return st, parsePart(st.deployment, "pending_operations", &st.pending)
}

// parsePart reads one key of a JSON object, if it is there.
func parsePart(object map[string]json.RawMessage, key string, into any) error {
	if object[key] == nil {
		return nil
	}
	return json.Unmarshal(object[key], into)
}

// importState replaces the stack's state. Pulumi drops the pending operations on the way.
func (d *driver) importState(ctx context.Context, s *stack, st *state) error {
	var err error
	if st.deployment["resources"], err = json.Marshal(st.resources); err != nil {
		return fmt.Errorf("writing the state of stack %s: %w", d.Stack, err)
	}
	if st.file["deployment"], err = json.Marshal(st.deployment); err != nil {
		return fmt.Errorf("writing the state of stack %s: %w", d.Stack, err)
	}
	text, err := json.Marshal(st.file)
	if err != nil {
		return fmt.Errorf("writing the state of stack %s: %w", d.Stack, err)
	}
	if err = d.runUnlocked(ctx, s, nil, string(text), "stack", "import", "--stack", d.Stack); err != nil {
		return fmt.Errorf("writing the state of stack %s: %w", d.Stack, err)
	}
	return nil
}

// readRecord reads what is looked at of a resource.
func readRecord(resource json.RawMessage) record {
	var r record
	_ = json.Unmarshal(resource, &r) // Pulumi wrote it; of anything else nothing is known
	return r
}

// find returns the index of the resource with a URN, or -1; one that is only left to be deleted does not count.
func (st *state) find(urn string) int {
	return slices.IndexFunc(st.resources, func(resource json.RawMessage) bool {
		r := readRecord(resource)
		return r.URN == urn && !r.Delete
	})
}

// has tells whether the state takes a resource to be there.
func (st *state) has(urn string) bool {
	at := st.find(urn)
	return at >= 0 && !readRecord(st.resources[at]).PendingReplacement
}

// hasAll tells whether the state has all of these.
func (st *state) hasAll(urns []string) bool {
	return !slices.ContainsFunc(urns, func(urn string) bool { return !st.has(urn) })
}

// deploysTo tells whether the stack has a provider for a kubeconfig context, and so its objects in that cluster.
func (st *state) deploysTo(kubeContext string) bool {
	return slices.ContainsFunc(st.resources, func(resource json.RawMessage) bool {
		r := readRecord(resource)
		return r.Type == "pulumi:providers:kubernetes" && r.Inputs.text("context") == kubeContext
	})
}

// leaving tells whether the cluster is deleting an object.
func (st *state) leaving(urn string) bool {
	at := st.find(urn)
	return at >= 0 && readRecord(st.resources[at]).Outputs.text("metadata", "deletionTimestamp") != ""
}

// with returns a resource with other values for some of its fields.
func with(resource json.RawMessage, fields map[string]any) (json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(resource, &object); err != nil {
		return nil, err
	}
	for key, value := range fields {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		object[key] = text
	}
	return json.Marshal(object)
}
