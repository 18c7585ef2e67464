package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
)

// webName is the name of the web app, which Redis has to know before the app exists.
const webName = "web"

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
	return components.NewImage(ctx, "app", args)
}

// addons are what a bare cluster lacks; nil where it has its own.
type addons struct{ ingress, metrics pulumi.Resource }

func installAddons(ctx *pulumi.Context, cfg *config.Config, cluster pulumi.ResourceOption) (addons, error) {
	var a addons
	if cfg.Traefik != nil {
		traefik, err := components.NewTraefik(ctx, config.TraefikName, cfg.Traefik, cluster)
		if err != nil {
			return a, err
		}
		a.ingress = traefik.Ready
	}
	if cfg.MetricsServer != nil {
		metrics, err := components.NewMetricsServer(ctx, "metrics-server", cfg.MetricsServer, cluster)
		if err != nil {
			return a, err
		}
		a.metrics = metrics.Ready
	}
	return a, nil
}

// connectRedis runs a Redis in the namespace, or points to one elsewhere. The app cannot tell which.
func connectRedis(
	ctx *pulumi.Context, cfg *config.Config, namespace *components.Namespace, cluster pulumi.ResourceOption,
) (components.RedisConnection, error) {
	if cfg.ExternalRedis != nil {
		redis, err := components.NewExternalRedis(ctx, "redis", &components.ExternalRedisArgs{
			Namespace: namespace.Name, Password: cfg.RedisPassword, ExternalRedisSettings: *cfg.ExternalRedis,
		}, cluster)
		if err != nil {
			return components.RedisConnection{}, err
		}
		return redis.Connection, nil
	}
	redis, err := components.NewRedis(ctx, "redis", &components.RedisArgs{
		Namespace: namespace.Name, Password: cfg.RedisPassword, RedisSettings: cfg.Redis,
		Clients: []components.App{components.WebAppPods(webName)},
	}, cluster)
	if err != nil {
		return components.RedisConnection{}, err
	}
	return redis.Connection, nil
}

// export shows where the app is and what to type next.
func export(ctx *pulumi.Context, image *components.Image, namespace *components.Namespace, web *components.WebApp) {
	ctx.Export("url", web.URL)
	ctx.Export("image", image.Ref)
	ctx.Export("namespace", namespace.Name)
	ctx.Export("deployment", web.Deployment)
	ctx.Export("hpa", web.Autoscaler)
	ctx.Export("nextCommands", pulumi.StringArray{
		pulumi.Sprintf("curl %s", web.URL),
		pulumi.Sprintf("kubectl -n %s get hpa %s --watch", namespace.Name, web.Autoscaler),
		pulumi.Sprintf("kubectl -n %s get pods --watch", namespace.Name),
	})
}
