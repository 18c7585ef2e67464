package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/docker"
	"example.com/scaleout/internal/config"
)

// deployToDocker runs the app in containers behind nginx, without Kubernetes.
func deployToDocker(ctx *pulumi.Context, cfg *config.Config, target *config.Docker, app pulumi.StringOutput) error {
	network, err := docker.NewNetwork(ctx, "network", &target.Network)
	if err != nil {
		return err
	}
	balancer := pulumi.String(target.BalancerImage).ToStringOutput()
	if target.Balancer != nil {
		if balancer, err = build(ctx, "balancer", target.Balancer); err != nil {
			return err
		}
	}
	args := &target.Web
	args.Network, args.Image = network, app
	if target.Redis != nil {
		if args.Redis, err = runRedis(ctx, cfg, target.Redis, network); err != nil {
			return err
		}
	}
	web, err := docker.NewWebApp(ctx, webName, args)
	if err != nil {
		return err
	}
	proxy := &target.Nginx
	proxy.Network, proxy.Image, proxy.After = network, balancer, web.Ready
	proxy.Upstreams = []docker.Upstream{{Host: web.Host, Port: web.Port}}
	nginx, err := docker.NewNginx(ctx, "nginx", proxy)
	if err != nil {
		return err
	}
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

func runRedis(
	ctx *pulumi.Context, cfg *config.Config, args *docker.RedisArgs, network *docker.Network,
) (*docker.RedisBinding, error) {
	args.Network, args.Password = network, cfg.RedisPassword
	server, err := docker.NewRedis(ctx, "redis", args)
	if err != nil {
		return nil, err
	}
	return &docker.RedisBinding{
		Connection: server.Connection, Environment: cfg.RedisEnvironment, Password: cfg.RedisPassword,
	}, nil
}
