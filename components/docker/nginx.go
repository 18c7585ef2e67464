package docker

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// NginxArgs describes an nginx in front of containers.
type NginxArgs struct {
	// Network that the container joins. Required.
	Network *Network
	// Image built from the folder balancer, by digest. Required.
	Image pulumi.StringInput
	// Upstreams are the groups of servers that receive the requests. Required.
	Upstreams []Upstream
	// ReadyPath is the path of the readiness check of each server. Required.
	ReadyPath string
	// After are resources that must be ready before nginx starts, so that its first request succeeds.
	After []pulumi.Resource
	// PublicPort on the host's loopback address. 1 to 65535. Required.
	PublicPort int
	// Balancing is RoundRobin or LeastConnections. Required.
	Balancing string
	// MaxBodyKilobytes is the largest request body, up to 4096, because bodies are buffered in memory. Required.
	MaxBodyKilobytes int
	// LongestRequestSeconds is the timeout for an answer of a server. 1 to 3000. Required.
	LongestRequestSeconds int
}

// Upstream is a group of servers behind nginx.
type Upstream struct {
	// Host is a DNS name that begins with a letter and may resolve to any number of addresses. Required.
	Host string
	// Port of the servers. Required.
	Port int
}

// Validate reports everything wrong with the upstream.
func (u *Upstream) Validate() field.ErrorList {
	return append(check.Range("port", u.Port, 1, 65535),
		check.That(check.IsDNSName(u.Host) && u.Host[0] >= 'a', "host", u.Host,
			"must be a DNS name that begins with a letter")...)
}

// Balancing methods of nginx: https://nginx.org/en/docs/http/load_balancing.html
const (
	// RoundRobin sends requests to the servers in turn.
	RoundRobin = "roundRobin"
	// LeastConnections selects the server with the fewest requests in flight, which helps if some requests take long.
	LeastConnections = "leastConnections"
)

// readyPathForm allows no white space, because the path becomes part of a request line.
var readyPathForm = regexp.MustCompile(`^/[!-~]*$`)

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *NginxArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Range("publicPort", a.PublicPort, 1, 65535),
		check.Range("longestRequestSeconds", a.LongestRequestSeconds, 1, 3000),
		check.OneOf("balancing", a.Balancing, RoundRobin, LeastConnections),
		check.Range("maxBodyKilobytes", a.MaxBodyKilobytes, 1, 4096),
	)
}

// Nginx is a reverse proxy that balances requests across containers. It discovers them through DNS, so that this
// container does not change when they do: replacing a container closes its published port.
type Nginx struct {
	pulumi.ResourceState

	// URL of the published port.
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
	b, err := component.Register(ctx, "scaleout:index", "Nginx", name, problems, n, opts)
	if err != nil {
		return nil, err
	}
	newContainer(b, "", args.Network, nginxLimits, &docker.ContainerArgs{
		Image:    args.Image,
		User:     pulumi.String("65532:65532"),
		ReadOnly: pulumi.Bool(true),
		Tmpfs:    pulumi.ToStringMap(map[string]string{"/tmp": "rw,noexec,nosuid,size=16m"}),
		Envs:     pulumi.ToStringArray([]string{"NGINX_CONF=" + args.configuration(), "READY_PATH=" + args.ReadyPath}),
		Ports: docker.ContainerPortArray{docker.ContainerPortArgs{ // loopback only, not reachable from the host's network
			Internal: pulumi.Int(nginxHTTP), External: pulumi.Int(args.PublicPort), Ip: pulumi.String("127.0.0.1"),
		}},
		Healthcheck: healthcheck("CMD", "/balancer", "-healthcheck",
			fmt.Sprintf("http://127.0.0.1:%d/healthz", nginxStatus)),
		DestroyGraceSeconds: pulumi.Int(args.shutdownSeconds() + killMargin),
	}, args.After...)
	n.URL = pulumi.Sprintf("http://localhost:%d/", args.PublicPort)
	return n, b.Finish(pulumi.Map{"url": n.URL})
}

// shutdownSeconds is the longest duration of a request, including failed attempts to connect.
func (a *NginxArgs) shutdownSeconds() int {
	return nginxAttempts*nginxConnect + a.LongestRequestSeconds
}

const (
	// Ports in the container. An unprivileged process may not listen below 1024.
	nginxHTTP   = 8080
	nginxStatus = 8081

	// nginxConnect is the timeout, in seconds, for a connection to a server. A killed server never answers.
	nginxConnect = 1
	// nginxAttempts is the maximum number of servers for a request, as long as no byte of it was sent to any of them.
	nginxAttempts = 3
)

// nginxLimits leave room: the workers and the program that discovers the containers use 13 MB in total.
var nginxLimits = Limits{Memory: "64Mi"}

// configuration requires nginx 1.22 or later and writes only below its folder (-p).
func (a *NginxArgs) configuration() string {
	var conf strings.Builder
	// Arguments that pass Validate cannot cause an error.
	_ = nginxTemplate.Execute(&conf, struct {
		*NginxArgs
		HTTP, Status, Connect, Shutdown, Again int
	}{a, nginxHTTP, nginxStatus, nginxConnect, a.shutdownSeconds(), nginxAttempts - 1})
	return conf.String()
}

// nginxTemplate never repeats a request that a server may have processed. proxy_next_upstream would: it retries every
// GET, and does not distinguish a server that refused the connection from one that died during the request
// (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream). It is therefore off, and a failed
// request goes to another server only if not a byte of it was sent to the first.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(nginxConf))

//go:embed nginx.conf.tmpl
var nginxConf string
