package components

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// NginxArgs describe an nginx in front of containers.
type NginxArgs struct {
	// Network it is in. Required.
	Network *DockerNetwork
	// Image made of the folder balancer, by digest. Required.
	Image pulumi.StringInput
	// Upstreams are what it forwards to. Required.
	Upstreams []Upstream
	// After are what must run before it does, so that its first visitor is served.
	After []pulumi.Resource
	NginxSettings
}

// Validate reports everything wrong with the arguments.
func (a *NginxArgs) Validate() field.ErrorList {
	problems := check.Set("network", a.Network != nil)
	problems = append(problems, check.Set("image", a.Image != nil)...)
	problems = append(problems, check.Set("upstreams", len(a.Upstreams) > 0)...)
	for _, u := range a.Upstreams {
		problems = append(problems, u.Validate()...)
	}
	return append(problems, a.NginxSettings.Validate()...)
}

// Nginx is a reverse proxy that shares requests out among containers. It looks for them by itself, so that nothing
// here changes when they do: a container of its own port cannot be replaced without closing that.
type Nginx struct {
	pulumi.ResourceState

	// URL under which it answers.
	URL pulumi.StringOutput
}

// NewNginx creates the container.
func NewNginx(ctx *pulumi.Context, name string, args *NginxArgs, opts ...pulumi.ResourceOption) (*Nginx, error) {
	n := &Nginx{}
	var upstreams pulumi.StringArray
	for _, u := range args.Upstreams {
		upstreams = append(upstreams, pulumi.Sprintf("%s:%d weight %d", u.Host, u.Port, u.Weight))
	}
	inputs := pulumi.Map{
		"image": args.Image, "upstreams": upstreams, "publicPort": pulumi.Int(args.PublicPort),
		"balancing": pulumi.String(args.Balancing),
	}
	if err := register(ctx, "Nginx", name, args.Validate(), inputs, n, opts); err != nil {
		return nil, err
	}
	conf, err := nginxConfiguration(args.NginxSettings, args.Upstreams, strconv.Itoa(nginxHTTP), strconv.Itoa(nginxStatus))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	_, err = newDockerContainer(ctx, n, name, name, args.Network, args.Limits, &docker.ContainerArgs{
		Image:    args.Image,
		User:     pulumi.Sprintf("%d:%d", appUser, appUser),
		ReadOnly: pulumi.Bool(true),
		Tmpfs:    pulumi.ToStringMap(map[string]string{"/tmp": "rw,noexec,nosuid,size=16m"}),
		Envs:     pulumi.ToStringArray([]string{"NGINX_CONF=" + conf, "READY_PATH=" + readyPath}),
		Ports:    loopbackPort(args.PublicPort, nginxHTTP),
		Healthcheck: dockerHealthcheck("CMD", "/balancer", "-healthcheck",
			fmt.Sprintf("http://127.0.0.1:%d/healthz", nginxStatus)),
		DestroyGraceSeconds: pulumi.Int(args.shutdownSeconds() + killMargin),
	}, args.After...)
	if err != nil {
		return nil, err
	}
	n.URL = pulumi.Sprintf("http://localhost:%d/", args.PublicPort)
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"url": n.URL})
}
