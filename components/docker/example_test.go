package docker_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/docker"
	"example.com/scaleout/components/redis"
)

// Three containers of an app with a Redis, behind nginx on http://localhost:8090.
func ExampleNewNginx() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		network, err := docker.NewNetwork(ctx, "network", &docker.NetworkArgs{Name: "shop"})
		if err != nil {
			return err
		}
		password := pulumi.String("a secret of the configuration")
		server, err := docker.NewRedis(ctx, "redis", &docker.RedisArgs{
			Network: network, Password: password, Image: "redis:8.2", Limits: docker.Limits{Memory: "128Mi"},
			Volume: "shop-data", Fsync: redis.FsyncEverySecond,
		})
		if err != nil {
			return err
		}
		web, err := docker.NewWebApp(ctx, "web", &docker.WebAppArgs{
			Network: network, Image: pulumi.String("localhost:5001/shop:1.4.2"), Port: 8080, User: 65532, Replicas: 3,
			HealthCommand: []string{"/shop", "-healthcheck"}, Limits: docker.Limits{CPU: "500m", Memory: "64Mi"},
			Shutdown: docker.Shutdown{Serve: 4, LongestRequest: 10, ServeVariable: "DRAIN_DELAY"},
			Redis: &docker.RedisBinding{
				Connection: server.Connection, Password: password,
				Environment: redis.Environment{Host: "REDIS_HOST", PasswordFile: "REDIS_PASSWORD_FILE"},
			},
		})
		if err != nil {
			return err
		}
		nginx, err := docker.NewNginx(ctx, "nginx", &docker.NginxArgs{
			Network: network, Image: pulumi.String("localhost:5001/balancer:1.0"), ReadyPath: "/readyz", After: web.Ready,
			Upstreams:  []docker.Upstream{{Host: web.Host, Port: web.Port}},
			PublicPort: 8090, Balancing: docker.LeastConnections, MaxBodyKilobytes: 64, LongestRequestSeconds: 10,
		})
		if err != nil {
			return err
		}
		ctx.Export("url", nginx.URL)
		return nil
	})
}

// One container of a prebuilt image, without a Redis and without a health check.
func ExampleNewWebApp() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		network, err := docker.NewNetwork(ctx, "network", &docker.NetworkArgs{Name: "docs"})
		if err != nil {
			return err
		}
		_, err = docker.NewWebApp(ctx, "docs", &docker.WebAppArgs{
			Network: network, Image: pulumi.String("nginxinc/nginx-unprivileged:1.29-alpine"), Port: 8080, User: 101,
			Replicas: 1, WritablePaths: []string{"/tmp"}, Limits: docker.Limits{Memory: "32Mi"},
			Shutdown: docker.Shutdown{Serve: 4, LongestRequest: 10},
		})
		return err
	})
}

// A Redis that flushes each write to disk before it replies, for containers that are already on the network.
func ExampleNewRedis() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		network, err := docker.NewNetwork(ctx, "network", &docker.NetworkArgs{Name: "shop"})
		if err != nil {
			return err
		}
		server, err := docker.NewRedis(ctx, "redis", &docker.RedisArgs{
			Network: network, Password: pulumi.String("a secret of the configuration"), Image: "redis:8.2",
			Limits: docker.Limits{Memory: "1Gi"}, Volume: "shop-data", Fsync: redis.FsyncAlways,
		})
		if err != nil {
			return err
		}
		ctx.Export("redis", server.Connection.Host)
		return nil
	})
}

// A network on which containers find each other by name.
func ExampleNewNetwork() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		network, err := docker.NewNetwork(ctx, "network", &docker.NetworkArgs{Name: "shop"})
		if err != nil {
			return err
		}
		ctx.Export("network", network.Name)
		return nil
	})
}
