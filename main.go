// Command scaleout is a Pulumi program: a web app that scales automatically on a local kind cluster or on Amazon EKS,
// or runs in load-balanced containers on a Docker host.
//
// `pulumi up` runs it without arguments. With arguments it shows offline what it would deploy: `bin/scaleout -h`.
package main

import (
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
	"example.com/scaleout/offline"
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
	b := component.Stack(ctx)
	image := provideImage(b, cfg)
	if cfg.Docker != nil {
		return deployToDocker(b, cfg, image)
	}
	return deployToKubernetes(b, cfg, image)
}
