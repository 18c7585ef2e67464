package docker

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
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
	// PublicPort on the host's loopback address. 1 to 65535. Required.
	PublicPort int
	// Limits of the container. Required.
	Limits Limits
	// Workers is the number of processes that serve. One worker keeps a core busy. Required.
	Workers int
	// Balancing is RoundRobin or LeastConnections. Required.
	Balancing string
	// MaxFails is after how many attempts without an answer within FailTimeoutSeconds a server is not asked for just as
	// long. With more than 1, a request that is tried again may meet the same server again. At least 1. Required.
	MaxFails, FailTimeoutSeconds int
	// IdleConnections is how many connections to the servers each worker keeps open for the next request. Required.
	IdleConnections int
	// MaxBodyKilobytes is the largest request body, up to 4096: bodies wait in memory. MaxHeaderKilobytes is the longest
	// line of a head, which should be no less than what the servers take: nginx answers a longer one with 400. Required.
	MaxBodyKilobytes, MaxHeaderKilobytes int
	// LongestRequestSeconds is what the servers need to answer, and what nginx waits for. 1 to 3000. Required.
	LongestRequestSeconds int
}

// Upstream is a group of servers behind nginx.
type Upstream struct {
	// Host is a DNS name, beginning with a letter, that may have any number of addresses. Required.
	Host string
	// Port of the servers. Required.
	Port int
	// Weight is how many requests each of them gets for one that a server of weight 1 gets. 1 to 1000. Required.
	Weight int
}

// Validate reports everything wrong with the upstream.
func (u *Upstream) Validate() field.ErrorList {
	problems := append(check.Range("port", u.Port, 1, 65535), check.Range("weight", u.Weight, 1, 1000)...)
	if !check.IsDNSName(u.Host) || u.Host[0] < 'a' {
		problems = append(problems, check.Invalid("host", u.Host, "must be a DNS name that begins with a letter")...)
	}
	return problems
}

// Balancing methods of nginx: https://nginx.org/en/docs/http/load_balancing.html
const (
	// RoundRobin asks one server after the other.
	RoundRobin = "roundRobin"
	// LeastConnections asks the one with the fewest requests under way, which helps where some take long.
	LeastConnections = "leastConnections"
)

// readyPathForm has no white space: the path is a word of a request line.
var readyPathForm = regexp.MustCompile(`^/[!-~]*$`)

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *NginxArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Range("publicPort", a.PublicPort, 1, 65535),
		check.In("limits", a.Limits.Validate()),
		check.Range("longestRequestSeconds", a.LongestRequestSeconds, 1, 3000),
		check.Range("workers", a.Workers, 1, 1024),
		check.OneOf("balancing", a.Balancing, RoundRobin, LeastConnections),
		check.Range("maxFails", a.MaxFails, 1, 1000),
		check.Range("failTimeoutSeconds", a.FailTimeoutSeconds, 1, 3600),
		check.Range("idleConnections", a.IdleConnections, 1, 10000),
		check.Range("maxBodyKilobytes", a.MaxBodyKilobytes, 1, 4096),
		check.Range("maxHeaderKilobytes", a.MaxHeaderKilobytes, 1, 1024),
	)
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
	args = cmp.Or(args, &NginxArgs{})
	n := &Nginx{}
	problems := slices.Concat(args.Validate(), check.ObjectName(name), check.Set("network", args.Network != nil),
		check.Set("image", args.Image != nil),
		check.Match("readyPath", args.ReadyPath, readyPathForm, "must be a path such as /readyz"),
		check.Set("upstreams", len(args.Upstreams) > 0), check.Each("upstreams", args.Upstreams, (*Upstream).Validate))
	if err := component.Register(ctx, "scaleout:index", "Nginx", name, problems, n, opts); err != nil {
		return nil, err
	}
	conf, err := args.configuration(strconv.Itoa(nginxHTTP), strconv.Itoa(nginxStatus))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	_, err = newContainer(ctx, n, name, name, args.Network, args.Limits, &docker.ContainerArgs{
		Image:    args.Image,
		User:     pulumi.Sprintf("%d:%d", nginxUser, nginxUser),
		ReadOnly: pulumi.Bool(true),
		Tmpfs:    pulumi.ToStringMap(map[string]string{"/tmp": "rw,noexec,nosuid,size=16m"}),
		Envs:     pulumi.ToStringArray([]string{"NGINX_CONF=" + conf, "READY_PATH=" + args.ReadyPath}),
		Ports: docker.ContainerPortArray{docker.ContainerPortArgs{ // nobody else in the host's network gets at it
			Internal: pulumi.Int(nginxHTTP), External: pulumi.Int(args.PublicPort), Ip: pulumi.String("127.0.0.1"),
		}},
		Healthcheck: healthcheck("CMD", "/balancer", "-healthcheck",
			fmt.Sprintf("http://127.0.0.1:%d/healthz", nginxStatus)),
		DestroyGraceSeconds: pulumi.Int(args.shutdownSeconds() + killMargin),
	}, args.After...)
	if err != nil {
		return nil, err
	}
	n.URL = pulumi.Sprintf("http://localhost:%d/", args.PublicPort)
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"url": n.URL})
}

// shutdownSeconds is the longest that a request may take, attempts that reach nobody included.
func (a *NginxArgs) shutdownSeconds() int {
	return nginxAttempts*nginxConnect + a.LongestRequestSeconds
}

const (
	// Ports in the container; an unprivileged process may not listen below 1024.
	nginxHTTP   = 8080
	nginxStatus = 8081

	// nginxConnect is how many seconds a server may take to accept a connection; a killed one never answers.
	nginxConnect = 1
	// nginxAttempts is how many servers a request is offered to, as long as none gets any of it.
	nginxAttempts = 3
	// nginxIdle is after how many seconds nginx closes a connection that nobody uses. The app does so after 75, and it
	// must not be the first: a request that crosses with its close would be lost.
	nginxIdle = 60
	nginxUser = 65532
)

// configuration is for nginx 1.22 and later, which writes to its folder (-p) only. http and status are addresses.
func (a *NginxArgs) configuration(http, status string) (string, error) {
	var conf strings.Builder
	err := nginxTemplate.Execute(&conf, struct {
		*NginxArgs
		HTTP, Status                   string
		Connect, Idle, Shutdown, Again int
	}{a, http, status, nginxConnect, nginxIdle, a.shutdownSeconds(), nginxAttempts - 1})
	return conf.String(), err
}

// nginxTemplate sends no request twice that may have been counted. nginx's own proxy_next_upstream would: it takes
// every GET for safe to repeat, and does not tell a server that could not be reached from one that died over the
// request (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream). So it is off, and a request
// that failed goes to another server only if not a byte of it was sent to the first.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(nginxConf))

//go:embed nginx.conf.tmpl
var nginxConf string
