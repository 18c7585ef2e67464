package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/docker"
	"example.com/scaleout/components/image"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
)

// deployToDocker runs the app in containers behind nginx, without Kubernetes.
func deployToDocker(b *component.Builder, cfg *config.Config, app pulumi.StringOutput) error {
	target := cfg.Docker
	network := component.Create(b, docker.NewNetwork, "network", &target.Network)
	balancer := pulumi.String(target.BalancerImage).ToStringOutput()
	if target.Balancer != nil {
		balancer = component.Create(b, image.New, "balancer", target.Balancer).Ref
	}
	args := &target.Web
	args.Network, args.Image = network, app
	if redis := target.Redis; redis != nil {
		redis.Network, redis.Password = network, cfg.RedisPassword
		args.Redis = &docker.RedisBinding{
			Connection:  component.Create(b, docker.NewRedis, "redis", redis).Connection,
			Environment: cfg.RedisEnvironment, Password: cfg.RedisPassword,
		}
	}
	web := component.Create(b, docker.NewWebApp, webName, args)
	proxy := &target.Nginx
	proxy.Network, proxy.Image, proxy.After = network, balancer, web.Ready
	proxy.Upstreams = []docker.Upstream{{Host: web.Host, Port: web.Port}}
	nginx := component.Create(b, docker.NewNginx, "nginx", proxy)
	if err := b.Err(); err != nil {
		return err
	}
	ctx := b.Context
	ctx.Export("url", nginx.URL)
	ctx.Export("balancerImage", balancer)
	ctx.Export("network", network.Name)
	ctx.Export("replicas", pulumi.Int(args.Replicas))
	ctx.Export("nextCommands", pulumi.StringArray{
		pulumi.Sprintf("curl -i %s", nginx.URL),
		pulumi.Sprintf("docker ps --filter label=scaleout.network=%s", network.Name),
	})
	return exportImage(ctx, app, web.Ready...)
}
