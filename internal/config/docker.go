package config

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/docker"
	"example.com/scaleout/components/image"
	"example.com/scaleout/internal/check"
)

// Docker holds everything that may differ between two stacks on Docker hosts.
type Docker struct {
	Network docker.NetworkArgs
	// Balancer builds and pushes the image of nginx; nil for BalancerImage, a finished one.
	Balancer      *image.Args
	BalancerImage string
	Redis         *docker.RedisArgs // nil for an app without one
	Web           docker.WebAppArgs
	Nginx         docker.NginxArgs
}

// balancerContext is the build context of the nginx image.
const balancerContext = "./balancer"

func (d *decoder) docker(c *Config) *Docker {
	app := &c.App
	t := &Docker{
		Network: docker.NetworkArgs{Name: d.Text("namespace")}, Web: d.dockerApp(app),
		Balancer: d.balancer(c), BalancerImage: d.Text("balancerImage"),
	}
	redis := &docker.RedisArgs{Limits: docker.Limits{Memory: redisResources.MemoryLimit}}
	d.Fill("redis", redis)
	d.Fill("docker.nginx", &t.Nginx)
	t.Nginx.LongestRequestSeconds, t.Nginx.ReadyPath = app.Shutdown.InFlight(), app.Probes.Readiness.HTTP
	if c.UsesRedis {
		t.Redis = redis
		d.Check("redis", redis.Validate())
	} else {
		d.without(noRedis, "redisVolume")
	}
	d.checkDockerApp(app)
	d.Check("docker.network", t.Network.Validate())
	d.Check("docker.web", t.Web.Validate())
	// Added after the check, so that problems of the secrets are not reported under environment.
	maps.Copy(t.Web.Env, app.SecretEnvironment)
	t.Web.Files = app.SecretFiles
	d.Check("docker.nginx", t.Nginx.Validate())
	if t.BalancerImage != "" {
		d.Check("balancerImage", image.CheckReference("balancerImage", t.BalancerImage))
		t.Balancer = nil
	}
	d.RefuseIf(t.BalancerImage == "" && c.Repository == "", "imageRepository", "but it is required with target docker "+
		"for the image of nginx, unless balancerImage is set: only EKS uses ECR repositories")
	d.without("target docker does not support it; leave it empty", "redisHost", "redisTls", "redisUsername", "redisCa",
		"elasticacheName", "host", "extraHosts", "paths", "hostedZoneId", "tlsSecret", "certificateArn", "albScheme")
	return t
}

// checkDockerApp contains checks of the app that the components for clusters do and those for Docker do not.
func (d *decoder) checkDockerApp(app *App) {
	const minDelay, maxDelay = 3, 300 // the balancer uses a fifth more: docker.Shutdown
	d.Check("loadBalancerDelaySeconds",
		check.Range("loadBalancerDelaySeconds", app.Shutdown.LoadBalancerDelay, minDelay, maxDelay))
	if app.Probes.Readiness.HTTP == "" {
		d.Problem("readyPath",
			"is required with target docker: nginx sends requests only to containers that answer it with 200")
	}
	d.Check("web.container.probes.readiness", app.Probes.Readiness.Validate())
}

// dockerApp returns the app for Docker. Docker has no preStop hook, so the app itself serves for the whole delay.
func (d *decoder) dockerApp(app *App) docker.WebAppArgs {
	w := docker.WebAppArgs{
		Env: maps.Clone(app.Env), HealthCommand: d.List("healthCommand"),
		Shutdown: docker.Shutdown{
			Serve: app.Shutdown.PreStop() + app.Shutdown.AppDrain(), LongestRequest: app.Shutdown.InFlight(),
			ServeVariable: app.DrainEnv.Delay, TimeoutVariable: app.DrainEnv.Timeout,
		},
	}
	d.Fill("docker.web", &w)
	d.Fill("docker.web.limits", &w.Limits)
	return w
}

// balancer returns the build of the nginx image. It passes only the arguments that its Dockerfile declares, since a new
// image replaces nginx, whose port is closed meanwhile.
func (d *decoder) balancer(c *Config) *image.Args {
	base := d.Text("nginxImage")
	d.Check("nginxImage", check.Image("nginxImage", base))
	b := &image.Args{}
	d.Fill("build", b)
	given := b.BuildArgs
	b.Context, b.Dockerfile, b.BuildArgs = balancerContext, "", map[string]string{"NGINX_IMAGE": base}
	b.Repository, b.Password = pulumi.String(c.Repository+"-nginx"), c.RegistryPassword
	if compiler, set := given["GO_IMAGE"]; set {
		b.BuildArgs["GO_IMAGE"] = compiler
	}
	return b
}
