package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
)

// deployToDocker runs the app in containers behind nginx, without Kubernetes.
func deployToDocker(ctx *pulumi.Context, cfg *config.Config, target *config.Docker, image *components.Image) error {
	network, err := components.NewDockerNetwork(ctx, "network", &target.Network)
	if err != nil {
		return err
	}
	balancer, err := components.NewImage(ctx, "balancer", &components.ImageArgs{
		Repository: pulumi.String(target.BalancerRepository), Password: cfg.RegistryPassword,
		ImageSettings: target.Balancer,
	})
	if err != nil {
		return err
	}
	redis, err := components.NewDockerRedis(ctx, "redis", &components.DockerRedisArgs{
		Network: network, Password: cfg.RedisPassword, DockerRedisSettings: target.Redis,
	})
	if err != nil {
		return err
	}
	web, err := components.NewDockerWebApp(ctx, webName, &components.DockerWebAppArgs{
		Network: network, Image: image.Ref, Redis: redis.Connection, DockerWebAppSettings: target.Web,
	})
	if err != nil {
		return err
	}
	nginx, err := components.NewNginx(ctx, "nginx", &components.NginxArgs{
		Network: network, Image: balancer.Ref, After: web.Ready, NginxSettings: target.Nginx,
		Upstreams: []components.Upstream{{Host: web.Host, Port: web.Port, Weight: 1}},
	})
	if err != nil {
		return err
	}

	ctx.Export("url", nginx.URL)
	ctx.Export("image", image.Ref)
	ctx.Export("network", network.Name)
	ctx.Export("replicas", pulumi.Int(target.Web.Replicas))
	ctx.Export("nextCommands", pulumi.StringArray{
		pulumi.Sprintf("curl -i %s", nginx.URL),
		pulumi.Sprintf("docker ps --filter label=scaleout.network=%s", network.Name),
	})
	return nil
}
