package config

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/docker"
	"example.com/scaleout/components/image"
	"example.com/scaleout/internal/check"
)

// Docker is everything that may differ between two stacks on Docker hosts.
type Docker struct {
	Network docker.NetworkArgs
	// Balancer is the image of nginx to build and push; nil for BalancerImage, a finished one.
	Balancer      *image.Args
	BalancerImage string
	// Redis is nil for an app without one.
	Redis *docker.RedisArgs
	Web   docker.WebAppArgs
	Nginx docker.NginxArgs
}

// balancerContext is the build context of the image of nginx.
const balancerContext = "./balancer"

// nginxDefaults are what nobody has to decide per stack.
var nginxDefaults = docker.NginxArgs{
	// Workers and the program that looks for servers use 13 MB together.
	Limits: docker.Limits{Memory: "64Mi"},
	// A worker keeps one core busy, and that forwards some 8,000 requests a second: docs/comparison.md.
	Workers: 2,
	// What is wrong for longer shows in the readiness of a server, which is looked at each second.
	MaxFails: 1, FailTimeoutSeconds: 1,
	IdleConnections: 32,
	// The hit counter takes a head of 16 KB (maxHeaderBytes in app/server.go). nginx has to take lines as long as that, or
	// it answers 400 where the app would not: browsers send the cookies of localhost to each of its ports, so those of
	// every other program on the machine come along (https://www.rfc-editor.org/rfc/rfc6265#section-8.5).
	MaxHeaderKilobytes: 16,
}

func (d *decoder) docker(c *Config) *Docker {
	app := &c.App
	t := &Docker{
		Network:  docker.NetworkArgs{Name: d.Text("namespace")},
		Web:      d.dockerApp(app),
		Nginx:    nginxDefaults,
		Balancer: d.balancer(c),
	}
	redis := &docker.RedisArgs{Limits: docker.Limits{Memory: redisResources.MemoryLimit}}
	d.Fill("redis", redis)
	d.Fill("docker.nginx", &t.Nginx)
	t.Nginx.LongestRequestSeconds = app.Drain.Shutdown()
	if c.UsesRedis {
		t.Redis = redis
		d.Check("redis", redis.Validate())
	} else {
		d.without(noRedis, "redisVolume")
	}
	d.checkDockerApp(app)
	d.Check("build", t.Balancer.Validate())
	d.Check("docker.network", t.Network.Validate())
	d.Check("docker.web", t.Web.Validate())
	// Only now, so that what is wrong with the secrets is not told as if it were in environment.
	maps.Copy(t.Web.Env, secretInputs(app.SecretEnvironment))
	t.Web.Files = secretInputs(app.SecretFiles)
	d.Check("docker.nginx", t.Nginx.Validate())
	if t.BalancerImage = d.Text("balancerImage"); t.BalancerImage != "" {
		d.CheckKey("balancerImage", image.CheckReference("balancerImage", t.BalancerImage))
		t.Balancer = nil
	} else if c.Repository == "" {
		d.Problem("imageRepository",
			"is required with target docker, for the image of nginx unless balancerImage is set: ECR repositories are for EKS")
	}
	d.without("target docker does not offer it; leave it empty", "redisHost", "redisTls", "redisUsername", "redisCa",
		"elasticacheName", "host", "extraHosts", "paths", "hostedZoneId", "tlsSecret", "certificateArn", "albScheme")
	return t
}

// checkDockerApp has what clusters check of an app and the components for Docker do not.
func (d *decoder) checkDockerApp(app *App) {
	const minDelay, maxDelay = 3, 300 // the balancer takes a fifth more: docker.Drain
	d.CheckKey("loadBalancerDelaySeconds",
		check.Range("loadBalancerDelaySeconds", app.Drain.LoadBalancerDelay, minDelay, maxDelay))
	if ready := app.container().Probes.Readiness; ready != nil {
		d.Check("web.container.probes.readiness", ready.Validate())
	} else {
		d.Problem("readyPath", "is required with target docker: nginx shares requests out to what answers it by 200")
	}
}

// dockerApp is the app as Docker runs it. There is no preStop hook, so the app itself serves for the whole delay.
func (d *decoder) dockerApp(app *App) docker.WebAppArgs {
	w := docker.WebAppArgs{
		Env: pulumi.ToStringMap(app.Environment), HealthCommand: d.List("healthCommand"),
		Drain: docker.Drain{
			Serve: app.Drain.PreStop() + app.Drain.AppDrain(), LongestRequest: app.Drain.Shutdown(),
			ServeVariable: app.DrainEnv.Delay, TimeoutVariable: app.DrainEnv.Timeout,
		},
	}
	d.Fill("docker.web", &w)
	d.Fill("docker.web.limits", &w.Limits)
	return w
}

// balancer is the image of nginx. Its build gets only what its Dockerfile takes: another image means another nginx,
// whose port is closed while it is replaced.
func (d *decoder) balancer(c *Config) *image.Args {
	base, args := d.Text("nginxImage"), d.StringMap("imageBuildArgs")
	d.CheckKey("nginxImage", check.Image("nginxImage", base))
	b := &image.Args{
		Repository: pulumi.String(c.Repository + "-nginx"), Password: c.RegistryPassword,
		Context: balancerContext, Platform: d.Text("imagePlatform"), Username: d.Text("registryUsername"),
		Revision: d.Text("imageRevision"), BuildArgs: map[string]string{"NGINX_IMAGE": base},
	}
	if compiler, set := args["GO_IMAGE"]; set {
		b.BuildArgs["GO_IMAGE"] = compiler
	}
	return b
}
