// Package component registers components the way all of this program's are.
package component

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Register checks a component's arguments and registers it, so that nothing exists if anything is wrong with them. Its
// token, <module>:<kind>, is part of every URN below it: changing one without an alias replaces all that the component
// owns. It has no inputs of its own in the state: those of its children say all that it decides.
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
