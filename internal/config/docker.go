package config

import (
	"scaleout/components"

	"scaleout/internal/check"
)

// Docker is everything that may differ between two stacks on Docker hosts.
type Docker struct {
	// Network of the containers.
	Network components.DockerNetworkArgs
	// Balancer is the image of nginx, pushed to BalancerRepository.
	Balancer           components.ImageSettings
	BalancerRepository string
	// Redis holds the count.
	Redis components.DockerRedisSettings
	// Web is the app itself.
	Web components.DockerWebAppSettings
	// Nginx shares the requests out.
	Nginx components.NginxSettings
}

// balancerContext is the build context of the image of nginx.
const balancerContext = "./balancer"

// nginxDefaults are what nobody has to decide per stack.
var nginxDefaults = components.NginxSettings{
	// Workers and the program that looks for servers use 13 MB together.
	Limits: components.DockerLimits{Memory: "64Mi"},
	// A worker keeps one core busy, and that forwards some 8,000 requests a second: docs/comparison.md.
	Workers: 2,
	// What is wrong for longer shows in the readiness of a server, which is looked at each second.
	MaxFails: 1, FailTimeoutSeconds: 1,
	IdleConnections: 32,
	// The app takes no body, and a head of 16 KB.
	MaxBodyKilobytes: 16, MaxHeaderKilobytes: 4,
}

func (d *decoder) docker(c *Config) *Docker {
	drain := components.Drain{LoadBalancerDelay: d.Integer("loadBalancerDelaySeconds")}
	limits := components.DockerLimits{CPU: d.Text("cpuLimit"), Memory: d.Text("memoryLimit")}
	t := &Docker{
		Network: components.DockerNetworkArgs{Name: d.Text("namespace")},
		Redis: components.DockerRedisSettings{
			Image: d.Text("redisImage"), Volume: d.Text("redisVolume"),
			Limits: components.DockerLimits{Memory: redisResources.MemoryLimit}, Fsync: d.Text("redisFsync"),
		},
		Web: components.DockerWebAppSettings{
			Replicas: d.Integer("replicas"), Limits: limits, Drain: drain, LogLevel: d.Text("logLevel"),
		},
		Nginx:              nginxDefaults,
		Balancer:           c.Image,
		BalancerRepository: c.Repository + "-nginx",
	}
	t.Nginx.PublicPort, t.Nginx.Balancing, t.Nginx.Drain = d.Integer("publicPort"), d.Text("nginxBalancing"), drain
	t.Balancer.Context = balancerContext
	// Only what its Dockerfile takes: another image means another nginx, whose port is closed while it is replaced.
	base := d.Text("nginxImage")
	t.Balancer.BuildArgs = map[string]string{"NGINX_IMAGE": base}
	if compiler, set := c.Image.BuildArgs["GO_IMAGE"]; set {
		t.Balancer.BuildArgs["GO_IMAGE"] = compiler
	}

	d.Check(t.Network.Validate(), map[string]string{"name": "namespace"})
	d.Check(t.Redis.Validate(), map[string]string{"image": "redisImage", "volume": "redisVolume", "fsync": "redisFsync"})
	d.Check(t.Web.Validate(), nil)
	d.Check(t.Nginx.Validate(), map[string]string{"balancing": "nginxBalancing"})
	d.Check(check.Image("nginxImage", base), nil)
	if c.Repository == "" {
		d.Problem("imageRepository", "is required with target docker: ECR repositories are for EKS")
	}
	for _, key := range []string{"redisHost", "elasticacheName", "host", "hostedZoneId", "tlsSecret", "certificateArn", "albScheme"} {
		if d.Text(key) != "" { // who sets one of these counts on it
			d.Problem(key, "got %s, which target docker does not offer; leave it empty", d.Shown(key))
		}
	}
	return t
}
