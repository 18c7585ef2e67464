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

// WebAppArgs describe a web app in a fixed number of containers.
type WebAppArgs struct {
	// Network it is in. Required.
	Network *Network
	// Image, best by digest. Required.
	Image pulumi.StringInput
	// Command and Args take the place of the image's ENTRYPOINT and CMD. Empty for those.
	Command, Args []string
	// Port that each container listens on, 1 to 65535. Required.
	Port int
	// User is the number that it runs as, 1 or more. Required.
	User int
	// Env wins over the variables of Redis and Drain. `docker inspect` shows it, so secrets belong into Files.
	Env map[string]pulumi.StringInput
	// Files are copied into the container, by their absolute paths. Their contents are kept as secrets.
	Files map[string]pulumi.StringInput
	// WritablePaths are empty folders in memory, of 64 MiB each. They would hide a file that is in one.
	WritablePaths []string
	// Redis is where it keeps its state. Nil for an app without one.
	Redis *RedisBinding
	// HealthCommand ends with 0 in a container that can serve. `pulumi up` waits for it, and replaces the next container
	// only then. Empty where there is none: a container is then taken for ready as soon as it runs.
	HealthCommand []string
	// Replicas is how many containers there are, 1 to 100. From 2 on, a change of the image is no outage. Required.
	Replicas int
	// Limits of each container. Required.
	Limits Limits
	// Drain is how long a container takes to leave. Required.
	Drain Drain
}

// RedisBinding is the connection to a Redis of this network.
type RedisBinding struct {
	Connection redis.Connection
	// Environment has the variables that the app reads. PasswordFile becomes /etc/redis/password; there is no CAFile.
	Environment redis.Environment
	// Password of the server. Kept as a secret. Required.
	Password pulumi.StringInput
}

// Drain holds every time, in seconds, that passes while a container leaves. Docker has no preStop hook, so the app
// itself has to serve until the balancer has let go of it.
type Drain struct {
	// Serve is how long the app goes on accepting requests after SIGTERM, while it says that it is not ready. At least 4:
	// the balancer takes 3.6 s to give up a container that is too busy to answer (balancer/finder.go).
	Serve int
	// LongestRequest is how long requests under way may then take. 1 to 3000.
	LongestRequest int
	// ServeVariable and TimeoutVariable are the variables that tell the app these two, e.g. 4s. Empty for none.
	ServeVariable, TimeoutVariable string
}

const (
	// maxReplicas bounds the chain: a roll takes some 15 s for each container.
	maxReplicas = 100
	minServe    = 4
	// killMargin is what Docker and the process need around the times above.
	killMargin = 5
	// passwordFile is where an app finds the password of Redis.
	passwordFile = redis.ClientDir + "/" + redis.PasswordFile
	// tmpfsOptions of a writable folder.
	tmpfsOptions = "rw,noexec,nosuid,size=64m,mode=1777"
)

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Range("port", a.Port, 1, 65535),
		check.Range("user", a.User, 1, 1<<31-1),
		a.checkPaths(),
		check.Range("replicas", a.Replicas, 1, maxReplicas),
		check.In("limits", a.Limits.Validate()),
		check.In("drain", a.Drain.validate()),
	)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		problems = slices.Concat(problems, check.Variable("env", name), check.Set("env["+name+"]", a.Env[name] != nil))
	}
	if a.Redis != nil {
		problems = append(problems, check.In("redis.environment", a.Redis.Environment.Validate())...)
	}
	return problems
}

// checkInputs reports what is wrong with what other resources may produce.
func (a *WebAppArgs) checkInputs() field.ErrorList {
	problems := append(check.Set("network", a.Network != nil), check.Set("image", a.Image != nil)...)
	if a.Redis == nil {
		return problems
	}
	return slices.Concat(problems, check.In("redis.connection", a.Redis.Connection.Validate()),
		check.That(a.Redis.Environment.CAFile == "" || !a.Redis.Connection.TLS, "redis.environment.caFile",
			a.Redis.Environment.CAFile, "must be empty: on Docker a Redis with TLS has a certificate of a public authority"),
		check.Set("redis.password", a.Redis.Password != nil))
}

// checkPaths wants paths that Docker takes, each file once, and none in a folder that would hide it.
func (a *WebAppArgs) checkPaths() (problems field.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		problems = append(problems, check.Path("files", name)...)
		problems = append(problems, check.Set("files["+name+"]", a.Files[name] != nil)...)
		if name == passwordFile && a.Redis != nil && a.Redis.Environment.PasswordFile != "" {
			problems = append(problems, check.Invalid("files", name, "must not be that of the password of Redis")...)
		}
	}
	for _, dir := range a.WritablePaths {
		problems = append(problems, check.Path("writablePaths", dir)...)
		for _, name := range slices.Sorted(maps.Keys(a.files())) {
			if name == dir || strings.HasPrefix(name, dir+"/") {
				problems = append(problems, check.Invalid("writablePaths", dir, "must not hold the file "+name)...)
			}
		}
	}
	return problems
}

func (d *Drain) validate() field.ErrorList {
	problems := slices.Concat(
		check.Range("serve", d.Serve, minServe, 3600),
		check.Range("longestRequest", d.LongestRequest, 1, 3000),
		check.Optional(check.Variable, "serveVariable", d.ServeVariable),
		check.Optional(check.Variable, "timeoutVariable", d.TimeoutVariable),
	)
	if d.ServeVariable != "" && d.ServeVariable == d.TimeoutVariable {
		problems = append(problems, check.Invalid("timeoutVariable", d.TimeoutVariable,
			"must be another than serveVariable")...)
	}
	return problems
}

// WebApp runs an app in containers that are all found under one name. They form a chain, each depending on the
// one before, so that the engine touches one at a time: on a change it stops the first, which takes as long as that
// needs to leave without losing a request, and goes on only when its successor is healthy.
type WebApp struct {
	pulumi.ResourceState

	// Host is the name in the network that has the addresses of all containers.
	Host string
	// Port they listen on.
	Port int
	// Ready are the containers, for others to depend on.
	Ready []pulumi.Resource
}

// NewWebApp creates the containers. Others in the network find them by name.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	args = cmp.Or(args, &WebAppArgs{})
	w := &WebApp{Host: name, Port: args.Port}
	problems := slices.Concat(args.Validate(), check.ObjectName(name), args.checkInputs())
	if err := component.Register(ctx, "scaleout:index", "DockerWebApp", name, problems, w, opts); err != nil {
		return nil, err
	}
	var after pulumi.Resource
	if args.Redis != nil {
		after = args.Redis.Connection.Ready
	}
	for i := range args.Replicas {
		container, err := newContainer(ctx, w, fmt.Sprintf("%s-%d", name, i+1), name, args.Network, args.Limits,
			args.container(), after)
		if err != nil {
			return nil, err
		}
		w.Ready = append(w.Ready, container)
		after = container
	}
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{"host": pulumi.String(name), "port": pulumi.Int(args.Port)})
}

func (a *WebAppArgs) container() *docker.ContainerArgs {
	files := a.files()
	uploads := docker.ContainerUploadArray{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		uploads = append(uploads, file(name, pulumi.ToSecret(files[name]).(pulumi.StringOutput)))
	}
	args := &docker.ContainerArgs{
		Image: a.Image,
		User:  pulumi.Sprintf("%d:%d", a.User, a.User),
		Envs:  a.environment(),
		// Not read-only: Docker copies files only into a container that can be written to. It is root's, though, and the
		// app is not root and has no capability to become it.
		Uploads:             uploads,
		DestroyGraceSeconds: pulumi.Int(a.Drain.Serve + a.Drain.LongestRequest + killMargin),
	}
	if len(a.Command) > 0 {
		args.Entrypoints = pulumi.ToStringArray(a.Command)
	}
	if len(a.Args) > 0 {
		args.Command = pulumi.ToStringArray(a.Args)
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

// files are those of the arguments and the password of Redis.
func (a *WebAppArgs) files() map[string]pulumi.StringInput {
	files := map[string]pulumi.StringInput{}
	if a.Redis != nil && a.Redis.Environment.PasswordFile != "" {
		files[passwordFile] = a.Redis.Password
	}
	maps.Copy(files, a.Files)
	return files
}

// environment is in the order of the names, so that a preview shows a change and nothing else.
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
	variables[a.Drain.ServeVariable] = pulumi.Sprintf("%ds", a.Drain.Serve)
	variables[a.Drain.TimeoutVariable] = pulumi.Sprintf("%ds", a.Drain.LongestRequest)
	delete(variables, "") // where the app reads no such variable
	maps.Copy(variables, a.Env)
	var lines pulumi.StringArray
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		lines = append(lines, pulumi.Sprintf("%s=%s", name, variables[name]))
	}
	return lines
}
