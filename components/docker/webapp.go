// Package docker runs a web app in containers on one Docker host, without Kubernetes.
package docker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// WebAppArgs describes a web app in a fixed number of containers.
type WebAppArgs struct {
	// Network that the containers join. Required.
	Network *Network
	// Image, best by digest. Required.
	Image pulumi.StringInput
	// Command and Args replace the image's ENTRYPOINT and CMD. Empty for the image's own.
	Command, Args []string
	// Port that each container listens on, 1 to 65535. Required.
	Port int
	// User is the user ID that the app runs as, 1 or more. Required.
	User int
	// Env overrides the variables of Redis and Shutdown. `docker inspect` shows them, so put secrets into Files.
	Env map[string]pulumi.StringInput
	// Files are copied into the container, keyed by absolute path. Their contents are kept as secrets.
	Files map[string]pulumi.StringInput
	// WritablePaths are empty in-memory folders of 64 MiB each. They must not contain, and so hide, one of the files.
	WritablePaths []string
	// Redis is the connection to the app's Redis. Nil for an app without one.
	Redis *RedisBinding
	// HealthCommand exits with 0 once the container can serve. `pulumi up` waits for it before it replaces the next
	// container. Without one, a container counts as healthy as soon as it runs.
	HealthCommand []string
	// Replicas is the number of containers, 1 to 100. From 2 on, a change of the image causes no outage. Required.
	Replicas int
	// Limits of each container. Required.
	Limits Limits
	// Shutdown holds the times of a graceful shutdown. Required.
	Shutdown Shutdown
}

// RedisBinding connects an app to a Redis on its network.
type RedisBinding struct {
	Connection redis.Connection
	// Environment names the app's variables. PasswordFile is set to /etc/redis/password; CAFile must be empty with TLS.
	Environment redis.Environment
	// Password of the server. Kept as a secret. Required.
	Password pulumi.StringInput
}

// Shutdown holds the times, in seconds, of a container's graceful shutdown. Docker has no preStop hook, so the app
// itself must keep serving until the balancer has stopped sending it requests.
type Shutdown struct {
	// Serve is the time after SIGTERM during which the app reports that it is not ready, but accepts requests. At least 4:
	// the balancer takes up to 3.6 s to remove a container that is too busy to answer (balancer/finder.go).
	Serve int
	// LongestRequest is the time for requests in flight after that. 1 to 3000.
	LongestRequest int
	// ServeVariable and TimeoutVariable name the variables with these two times, e.g. 4s. Empty for an app without them.
	ServeVariable, TimeoutVariable string
}

const (
	// maxReplicas limits the duration of a rollout: each container takes about 15 s.
	maxReplicas = 100
	minServe    = 4
	// killMargin is time for Docker and the process beyond the times above.
	killMargin = 5
	// passwordFile is the path of the Redis password in the app's container.
	passwordFile = redis.ClientDir + "/" + redis.PasswordFile
	// tmpfsOptions are the mount options of a writable folder.
	tmpfsOptions = "rw,noexec,nosuid,size=64m,mode=1777"
)

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Range("port", a.Port, 1, 65535),
		check.Range("user", a.User, 1, 1<<31-1),
		a.checkPaths(),
		check.Range("replicas", a.Replicas, 1, maxReplicas),
		check.In("limits", a.Limits.Validate()),
		check.In("shutdown", a.Shutdown.validate()),
	)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		problems = slices.Concat(problems, check.Variable("env", name), check.Set("env["+name+"]", a.Env[name] != nil))
	}
	if a.Redis != nil {
		problems = append(problems, check.In("redis.environment", a.Redis.Environment.Validate())...)
	}
	return problems
}

// checkInputs validates the inputs that other resources may produce.
func (a *WebAppArgs) checkInputs() field.ErrorList {
	problems := append(check.Set("network", a.Network != nil), check.Set("image", a.Image != nil)...)
	if a.Redis == nil {
		return problems
	}
	return slices.Concat(problems, check.In("redis.connection", a.Redis.Connection.Validate()),
		check.That(a.Redis.Environment.CAFile == "" || !a.Redis.Connection.TLS, "redis.environment.caFile",
			a.Redis.Environment.CAFile, "must be empty: on Docker, a Redis with TLS needs a certificate of a public authority"),
		check.Set("redis.password", a.Redis.Password != nil))
}

// checkPaths reports paths that Docker does not accept, and files that are repeated or hidden by a writable folder.
func (a *WebAppArgs) checkPaths() (problems field.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		problems = slices.Concat(problems, check.Path("files", name),
			check.Set("files["+name+"]", a.Files[name] != nil),
			check.That(name != passwordFile || !a.hasPasswordFile(), "files", name,
				"must not be the path of the Redis password"))
	}
	for _, dir := range a.WritablePaths {
		problems = append(problems, check.Path("writablePaths", dir)...)
		for _, name := range slices.Sorted(maps.Keys(a.files())) {
			problems = append(problems, check.That(!strings.HasPrefix(name+"/", dir+"/"), "writablePaths", dir,
				"must not contain the file "+name)...)
		}
	}
	return problems
}

func (d *Shutdown) validate() field.ErrorList {
	return slices.Concat(
		check.Range("serve", d.Serve, minServe, 3600),
		check.Range("longestRequest", d.LongestRequest, 1, 3000),
		check.Optional(check.Variable, "serveVariable", d.ServeVariable),
		check.Optional(check.Variable, "timeoutVariable", d.TimeoutVariable),
		check.That(d.ServeVariable == "" || d.ServeVariable != d.TimeoutVariable, "timeoutVariable", d.TimeoutVariable,
			"must differ from serveVariable"),
	)
}

// WebApp runs an app in containers that share one DNS name. Each depends on the previous one, so that the engine
// replaces them one at a time: it stops one gracefully, and continues only when its replacement is healthy.
type WebApp struct {
	pulumi.ResourceState

	// Host is the DNS name that resolves to the addresses of all containers.
	Host string
	// Port that the containers listen on.
	Port int
	// Ready holds the containers, for dependents.
	Ready []pulumi.Resource
}

// NewWebApp creates the containers. Their DNS name on the network is the component's name.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	args = cmp.Or(args, &WebAppArgs{})
	w := &WebApp{Host: name, Port: args.Port}
	problems := slices.Concat(args.Validate(), check.ObjectName(name), args.checkInputs())
	b, err := component.Register(ctx, "scaleout:index", "DockerWebApp", name, problems, w, opts)
	if err != nil {
		return nil, err
	}
	var after pulumi.Resource
	if args.Redis != nil {
		after = args.Redis.Connection.Ready
	}
	for i := range args.Replicas {
		after = newContainer(b, fmt.Sprintf("-%d", i+1), args.Network, args.Limits, args.container(), after)
		w.Ready = append(w.Ready, after)
	}
	return w, b.Finish(pulumi.Map{"host": pulumi.String(name), "port": pulumi.Int(args.Port)})
}

func (a *WebAppArgs) container() *docker.ContainerArgs {
	files := a.files()
	uploads := docker.ContainerUploadArray{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		uploads = append(uploads, file(name, pulumi.ToSecret(files[name]).(pulumi.StringOutput)))
	}
	args := &docker.ContainerArgs{
		Image:               a.Image,
		Entrypoints:         component.OptionalList(a.Command),
		Command:             component.OptionalList(a.Args),
		User:                pulumi.Sprintf("%d:%d", a.User, a.User),
		Envs:                a.environment(),
		Uploads:             uploads,
		DestroyGraceSeconds: pulumi.Int(a.Shutdown.Serve + a.Shutdown.LongestRequest + killMargin),
	}
	if len(a.WritablePaths) > 0 {
		tmpfs := pulumi.StringMap{}
		for _, dir := range a.WritablePaths {
			tmpfs[dir] = pulumi.String(tmpfsOptions)
		}
		args.Tmpfs = tmpfs
	}
	if len(a.HealthCommand) > 0 {
		args.Healthcheck = healthcheck(append([]string{"CMD"}, a.HealthCommand...)...)
	}
	return args
}

func (a *WebAppArgs) hasPasswordFile() bool {
	return a.Redis != nil && a.Redis.Environment.PasswordFile != ""
}

// files returns the files of the arguments and the Redis password.
func (a *WebAppArgs) files() map[string]pulumi.StringInput {
	files := map[string]pulumi.StringInput{}
	if a.hasPasswordFile() {
		files[passwordFile] = a.Redis.Password
	}
	maps.Copy(files, a.Files)
	return files
}

// environment is sorted by name, so that a preview shows only real changes.
func (a *WebAppArgs) environment() pulumi.StringArray {
	variables := map[string]pulumi.StringInput{}
	if a.Redis != nil {
		names := a.Redis.Environment
		maps.Copy(variables, names.Variables(a.Redis.Connection))
		if names.Password != "" {
			variables[names.Password] = pulumi.ToSecret(a.Redis.Password).(pulumi.StringOutput)
		}
		if names.PasswordFile != "" {
			variables[names.PasswordFile] = pulumi.String(passwordFile)
		}
	}
	variables[a.Shutdown.ServeVariable] = pulumi.Sprintf("%ds", a.Shutdown.Serve)
	variables[a.Shutdown.TimeoutVariable] = pulumi.Sprintf("%ds", a.Shutdown.LongestRequest)
	delete(variables, "") // variables that the app does not read
	maps.Copy(variables, a.Env)
	var lines pulumi.StringArray
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		lines = append(lines, pulumi.Sprintf("%s=%s", name, variables[name]))
	}
	return lines
}
