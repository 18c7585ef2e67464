package docker

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// NginxArgs describe an nginx in front of containers.
type NginxArgs struct {
	// Network it is in. Required.
	Network *Network
	// Image made of the folder balancer, by digest. Required.
	Image pulumi.StringInput
	// Upstreams are what it forwards to. Required.
	Upstreams []Upstream
	// ReadyPath is asked of each server to see whether it may get requests. Required.
	ReadyPath string
	// After are what must run before it does, so that its first visitor is served.
	After []pulumi.Resource
	NginxSettings
}

// readyPathForm has no white space: the path is a word of a request line.
var readyPathForm = regexp.MustCompile(`^/[!-~]*$`)

// Validate reports everything wrong with the arguments.
func (a *NginxArgs) Validate() field.ErrorList {
	problems := check.Set("network", a.Network != nil)
	problems = append(problems, check.Set("image", a.Image != nil)...)
	if !readyPathForm.MatchString(a.ReadyPath) {
		problems = append(problems, check.Invalid("readyPath", a.ReadyPath, "must be a path such as /readyz")...)
	}
	problems = append(problems, check.Set("upstreams", len(a.Upstreams) > 0)...)
	for i, u := range a.Upstreams {
		problems = append(problems, check.In(field.NewPath("upstreams").Index(i).String(), u.Validate())...)
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
	if err := register(ctx, "Nginx", name, named(name, args.Validate()), n, opts); err != nil {
		return nil, err
	}
	conf, err := nginxConfiguration(args.NginxSettings, args.Upstreams, strconv.Itoa(nginxHTTP), strconv.Itoa(nginxStatus))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	_, err = newContainer(ctx, n, name, name, args.Network, args.Limits, &docker.ContainerArgs{
		Image:    args.Image,
		User:     pulumi.Sprintf("%d:%d", nginxUser, nginxUser),
		ReadOnly: pulumi.Bool(true),
		Tmpfs:    pulumi.ToStringMap(map[string]string{"/tmp": "rw,noexec,nosuid,size=16m"}),
		Envs:     pulumi.ToStringArray([]string{"NGINX_CONF=" + conf, "READY_PATH=" + args.ReadyPath}),
		Ports:    loopbackPort(args.PublicPort, nginxHTTP),
		Healthcheck: healthcheck("CMD", "/balancer", "-healthcheck",
			fmt.Sprintf("http://127.0.0.1:%d/healthz", nginxStatus)),
		DestroyGraceSeconds: pulumi.Int(args.shutdownSeconds() + nginxKillMargin),
	}, args.After...)
	if err != nil {
		return nil, err
	}
	n.URL = pulumi.Sprintf("http://localhost:%d/", args.PublicPort)
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"url": n.URL})
}
