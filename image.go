package main

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/image"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
)

// provideImage returns the app's image by digest: the finished image of the configuration, or one that it builds and
// pushes. It creates the ECR repository if the configuration names one.
func provideImage(b *component.Builder, cfg *config.Config) pulumi.StringOutput {
	repository := pulumi.StringInput(pulumi.String(cfg.Repository))
	if cfg.ECR != nil {
		repository = component.Create(b, aws.NewECRRepository, "repository", cfg.ECR).URL
	}
	if cfg.Build == nil {
		return pulumi.String(cfg.Image).ToStringOutput()
	}
	args := cfg.Build
	args.Repository, args.Password = repository, cfg.RegistryPassword
	if cfg.ECRToken {
		args.Username, args.Password = aws.ECRUser, aws.ECRToken(b.Context)
	}
	return component.Create(b, image.New, "app", args).Ref
}

// maxHistory is the maximum length of the output images.
const maxHistory = 20

// exportImage exports the current image and all images that updates of this stack have deployed, newest first:
// `make rollback` goes back to one of them. The stack reads its own earlier outputs through a StackReference to itself.
// The outputs depend on the resources that run the image, so that a failed update leaves them unchanged.
func exportImage(ctx *pulumi.Context, image pulumi.StringInput, running ...pulumi.Resource) error {
	waited := []any{image}
	for _, r := range running {
		waited = append(waited, r.URN())
	}
	image = pulumi.All(waited...).ApplyT(func(all []any) string { return all[0].(string) }).(pulumi.StringOutput)
	self, err := pulumi.NewStackReference(ctx, "self", &pulumi.StackReferenceArgs{
		Name: pulumi.String(fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())),
	})
	if err != nil {
		return fmt.Errorf("reading the earlier outputs of this stack: %w", err)
	}
	ctx.Export("image", image)
	ctx.Export("images", pulumi.All(self.GetOutput(pulumi.String("images")), image).ApplyT(func(all []any) []any {
		return history(all[0], all[1].(string), time.Now())
	}))
	return nil
}

// history prepends an image to the earlier ones, unless it is the newest of them.
func history(earlier any, image string, now time.Time) []any {
	list, _ := earlier.([]any) // none at the first update
	if len(list) > 0 {
		newest, _ := list[0].(map[string]any)
		if newest["image"] == image {
			return list
		}
	}
	entry := map[string]any{"image": image, "since": now.UTC().Format(time.RFC3339)}
	list = append([]any{entry}, list...)
	return list[:min(len(list), maxHistory)]
}
