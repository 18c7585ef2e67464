// Command scaleout is a Pulumi program: a web app that scales itself on a local kind cluster or on Amazon EKS, or takes
// turns in containers on a Docker host.
//
// `pulumi up` runs it without arguments. With arguments it shows offline what it would deploy: `bin/scaleout -h`.
package main

import (
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
	"scaleout/internal/offline"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(offline.Main(program, os.Args[1:], os.Stdout, os.Stderr))
	}
	pulumi.Run(program)
}

func program(ctx *pulumi.Context) error {
	cfg, err := config.Load(ctx)
	if err != nil {
		return err
	}
	image, err := buildImage(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.Docker != nil {
		return deployToDocker(ctx, cfg, cfg.Docker, image)
	}
	return deployToKubernetes(ctx, cfg, cfg.Kubernetes, image)
}

// buildImage pushes the app's image to the repository of the configuration, creating an ECR repository if asked to.
func buildImage(ctx *pulumi.Context, cfg *config.Config) (*components.Image, error) {
	args := &components.ImageArgs{
		Repository: pulumi.String(cfg.Repository), Password: cfg.RegistryPassword, ImageSettings: cfg.Image,
	}
	if cfg.ECR != nil {
		repository, err := components.NewECRRepository(ctx, "repository", cfg.ECR)
		if err != nil {
			return nil, err
		}
		args.Repository = repository.URL
	}
	if cfg.ECRToken {
		args.Username, args.Password = components.ECRUser, components.ECRToken(ctx)
	}
	return components.NewImage(ctx, "app", args)
}
