package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
)

// webName is the name of the web app, which Redis has to know before the app exists.
const webName = "web"

// deployToKubernetes runs the app in a cluster, where it scales itself.
func deployToKubernetes(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, image *components.Image,
) error {
	provider, err := components.NewProvider(ctx, "cluster", target.Cluster)
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)

	if err := requestCertificate(ctx, target); err != nil {
		return err
	}
	if err := warnOfPlainHTTP(ctx, target.Web.Route.ALB); err != nil {
		return err
	}
	addons, err := installAddons(ctx, target, cluster)
	if err != nil {
		return err
	}
	namespace, err := components.NewNamespace(ctx, "namespace", &target.Namespace, cluster)
	if err != nil {
		return err
	}
	redis, err := connectRedis(ctx, cfg, target, namespace, cluster)
	if err != nil {
		return err
	}
	web, err := components.NewWebApp(ctx, webName, &components.WebAppArgs{
		Namespace: namespace.Name, Image: image.Ref, Redis: redis, Scrapers: scrapers(target),
		IngressController: addons.ingress, MetricsServer: addons.metrics, WebAppSettings: target.Web,
	}, cluster)
	if err != nil {
		return err
	}
	if err := nameLoadBalancer(ctx, target, web); err != nil {
		return err
	}
	if err := monitor(ctx, &target.Monitoring, namespace, cluster); err != nil {
		return err
	}
	export(ctx, image, namespace, web)
	exportCapacity(ctx, target.Capacity)
	return nil
}

// addons are what a bare cluster lacks; nil where it has its own.
type addons struct{ ingress, metrics pulumi.Resource }

func installAddons(ctx *pulumi.Context, target *config.Kubernetes, cluster pulumi.ResourceOption) (addons, error) {
	var a addons
	if target.Traefik != nil {
		traefik, err := components.NewTraefik(ctx, config.TraefikName, target.Traefik, cluster)
		if err != nil {
			return a, err
		}
		a.ingress = traefik.Ready
	}
	if target.ALBClass != nil {
		class, err := components.NewALBClass(ctx, "alb", target.ALBClass, cluster)
		if err != nil {
			return a, err
		}
		a.ingress = class.Ready
	}
	if target.MetricsServer != nil {
		metrics, err := components.NewMetricsServer(ctx, "metrics-server", target.MetricsServer, cluster)
		if err != nil {
			return a, err
		}
		a.metrics = metrics.Ready
	}
	return a, nil
}

// connectRedis runs a Redis in the namespace, has AWS run one, or points to one elsewhere. The app cannot tell which.
func connectRedis(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, namespace *components.Namespace, cluster pulumi.ResourceOption,
) (components.RedisConnection, error) {
	if target.ElastiCache != nil {
		return createElastiCache(ctx, cfg, target, namespace, cluster)
	}
	if target.ExternalRedis != nil {
		redis, err := components.NewExternalRedis(ctx, "redis", &components.ExternalRedisArgs{
			Namespace: namespace.Name, Password: cfg.RedisPassword, ExternalRedisSettings: *target.ExternalRedis,
		}, cluster)
		if err != nil {
			return components.RedisConnection{}, err
		}
		return redis.Connection, nil
	}
	redis, err := components.NewRedis(ctx, "redis", &components.RedisArgs{
		Namespace: namespace.Name, Password: cfg.RedisPassword, RedisSettings: target.Redis,
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
