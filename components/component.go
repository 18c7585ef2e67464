package components

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// typeToken is the Pulumi type of a component. It is part of every URN below it: changing one without an alias
// replaces all that the component owns.
func typeToken(component string) string { return "scaleout:index:" + component }

// register checks a component's arguments and registers it, so that nothing exists if anything is wrong with them.
func register(
	ctx *pulumi.Context, component, name string, problems field.ErrorList,
	inputs pulumi.Map, resource pulumi.ComponentResource, opts []pulumi.ResourceOption,
) error {
	if err := joinProblems(fmt.Sprintf("%s %q", component, name), problems); err != nil {
		return err
	}
	if err := ctx.RegisterComponentResourceV2(typeToken(component), name, inputs, resource, opts...); err != nil {
		return fmt.Errorf("registering %s %q: %w", component, name, err)
	}
	return nil
}

// creating names the child whose registration failed.
func creating(child, name string, err error) error {
	return fmt.Errorf("creating %s %q: %w", child, name, err)
}
