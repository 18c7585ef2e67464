// Command scaleout is a Pulumi program: a web app that scales itself, on a local kind cluster or on Amazon EKS.
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
	provider, err := components.NewProvider(ctx, "cluster", cfg.Cluster)
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)

	image, err := buildImage(ctx, cfg)
	if err != nil {
		return err
	}
	addons, err := installAddons(ctx, cfg, cluster)
	if err != nil {
		return err
	}
	namespace, err := components.NewNamespace(ctx, "namespace", &cfg.Namespace, cluster)
	if err != nil {
		return err
	}
	redis, err := connectRedis(ctx, cfg, namespace, cluster)
	if err != nil {
		return err
	}
	web, err := components.NewWebApp(ctx, webName, &components.WebAppArgs{
		Namespace: namespace.Name, Image: image.Ref, Redis: redis,
		IngressController: addons.ingress, MetricsServer: addons.metrics, WebAppSettings: cfg.Web,
	}, cluster)
	if err != nil {
		return err
	}
	export(ctx, image, namespace, web)
	return nil
}
