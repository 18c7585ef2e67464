// Package component registers Pulumi components in a uniform way.
package component

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Register registers a component unless there are problems with its arguments, so that invalid arguments create
// nothing. Its type token, <module>:<kind>, is part of the URN of every child: changing it without an alias replaces
// all of them. The component itself has no inputs in the state.
func Register(
	ctx *pulumi.Context, module, kind, name string, problems field.ErrorList,
	resource pulumi.ComponentResource, opts []pulumi.ResourceOption,
) error {
	if err := check.Join(fmt.Sprintf("%s %q", kind, name), problems); err != nil {
		return err
	}
	if err := ctx.RegisterComponentResource(module+":"+kind, name, resource, opts...); err != nil {
		return fmt.Errorf("registering %s %q: %w", kind, name, err)
	}
	return nil
}
