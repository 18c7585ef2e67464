package image_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/image"
)

// An app in ./app, built and pushed when its content changes.
func ExampleNew() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		app, err := image.New(ctx, "app", &image.Args{
			Repository: pulumi.String("localhost:5001/app"),
			Context:    "app",
			Platform:   "linux/amd64",
		})
		if err != nil {
			return err
		}
		ctx.Export("image", app.Ref) // localhost:5001/app@sha256:...
		return nil
	})
}
