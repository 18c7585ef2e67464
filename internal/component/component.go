// Package component registers Pulumi components and creates resources in a uniform way.
package component

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Builder creates the resources of a component or of a stack until the first error.
type Builder struct {
	Context *pulumi.Context
	// Name of the component, with which the names of its resources begin. Empty for a stack.
	Name      string
	component pulumi.ComponentResource
	err       error
}

// Stack returns the Builder of the resources at the top of a stack.
func Stack(ctx *pulumi.Context) *Builder { return &Builder{Context: ctx} }

// Register registers a component unless there are problems with its arguments, so that invalid arguments create
// nothing. Its type token, <module>:<kind>, is part of the URN of every child: changing it without an alias replaces
// all of them. The component itself has no inputs in the state.
func Register(
	ctx *pulumi.Context, module, kind, name string, problems field.ErrorList,
	component pulumi.ComponentResource, opts []pulumi.ResourceOption,
) (*Builder, error) {
	if err := check.Join(fmt.Sprintf("%s %q", kind, name), problems); err != nil {
		return nil, err
	}
	if err := ctx.RegisterComponentResource(module+":"+kind, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s %q: %w", kind, name, err)
	}
	return &Builder{Context: ctx, Name: name, component: component}, nil
}

// Create creates a resource with its constructor, named after the component and the suffix. After an error it creates
// nothing and returns an empty resource, for arguments only: functions of its outputs panic, so check Err before.
func Create[Args, Resource any](
	b *Builder, construct func(*pulumi.Context, string, Args, ...pulumi.ResourceOption) (*Resource, error),
	suffix string, args Args, opts ...pulumi.ResourceOption,
) *Resource {
	if b.err == nil {
		resource, err := construct(b.Context, b.Name+suffix, args, append(opts, pulumi.Parent(b.component))...)
		if err == nil {
			return resource
		}
		b.err = err
	}
	return new(Resource)
}

// Optional returns the input of an optional argument, which is absent if empty.
func Optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}

// OptionalList is Optional for lists.
func OptionalList(list []string) pulumi.StringArrayInput {
	if len(list) == 0 {
		return nil
	}
	return pulumi.ToStringArray(list)
}

// Present removes nil from a list of resources.
func Present(resources ...pulumi.Resource) []pulumi.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r pulumi.Resource) bool { return r == nil })
}

// Err returns the first error.
func (b *Builder) Err() error { return b.err }

// Finish registers the outputs of the component, or returns the first error.
func (b *Builder) Finish(outputs pulumi.Map) error {
	if b.err != nil {
		return b.err
	}
	return b.Context.RegisterResourceOutputs(b.component, outputs)
}
