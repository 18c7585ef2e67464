package main

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/image"
	"example.com/scaleout/internal/config"
)

// provideImage returns the app's image by digest: the finished one of the configuration, or one that is built and pushed to
// its repository, which is created at ECR if the configuration names one there.
func provideImage(ctx *pulumi.Context, cfg *config.Config) (pulumi.StringOutput, error) {
	repository := pulumi.StringInput(pulumi.String(cfg.Repository))
	if cfg.ECR != nil {
		created, err := aws.NewECRRepository(ctx, "repository", cfg.ECR)
		if err != nil {
			return pulumi.StringOutput{}, err
		}
		repository = created.URL
	}
	if cfg.Build == nil {
		return pulumi.String(cfg.Image).ToStringOutput(), nil
	}
	args := *cfg.Build
	args.Repository, args.Password = repository, cfg.RegistryPassword
	if cfg.ECRToken {
		args.Username, args.Password = aws.ECRUser, aws.ECRToken(ctx)
	}
	return build(ctx, "app", &args)
}

// build builds and pushes an image, and returns it by digest.
func build(ctx *pulumi.Context, name string, args *image.Args) (pulumi.StringOutput, error) {
	built, err := image.New(ctx, name, args)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	return built.Ref, nil
}

// maxHistory is how many images the output images lists.
const maxHistory = 20

// exportImage shows what runs, and every image that an update of this stack has deployed, newest first: `make rollback`
// goes back to one of them. A stack finds its own earlier outputs by a reference to itself. The outputs wait for what runs
// the image, so that an update that fails leaves them as they were.
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

// history puts an image that is another than the newest before the earlier ones.
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
