package offline_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/offline"
)

// settings is an example of a component under test, with one resource.
func settings(ctx *pulumi.Context) error {
	component := &pulumi.ResourceState{}
	if err := ctx.RegisterComponentResource("shop:index:Settings", "settings", component); err != nil {
		return err
	}
	return ctx.RegisterResource("kubernetes:core/v1:ConfigMap", "settings", pulumi.Map{
		"apiVersion": pulumi.String("v1"), "kind": pulumi.String("ConfigMap"),
		"metadata": pulumi.Map{"name": pulumi.String("settings"), "namespace": pulumi.String("shop")},
		"data":     pulumi.StringMap{"currency": pulumi.String("EUR")},
	}, &pulumi.CustomResourceState{}, pulumi.Parent(component))
}

// A test records the resources of a program and checks their inputs.
func ExampleRecord() {
	result, err := offline.Record(settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, resource := range result.Resources {
		if object, ok := resource.Object(); ok {
			fmt.Println(object, offline.Lookup(resource.Inputs, "data", "currency"))
		}
	}
	// Output: ConfigMap shop/settings EUR
}
