package docker

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
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
	// Env are variables of the environment, which win over those of Redis and Drain. `docker inspect` shows them, so
	// secrets belong into Files.
	Env map[string]pulumi.StringInput
	// Files are copied into the container, by their absolute paths. Their contents are kept as secrets.
	Files map[string]pulumi.StringInput
	// WritablePaths are folders in memory that it may write to, of 64 MiB each. They are empty at first: what the image or
	// Files have there would be hidden, so no file may be in one.
	WritablePaths []string
	// Redis is where it keeps its state. Nil for an app without one.
	Redis *RedisBinding
	// HealthCommand ends with 0 in a container that can serve. `pulumi up` waits for it, and replaces the next container
	// only then. Empty for an image that has no such command: a container is then taken for ready as soon as it runs, even
	// if the image has a HEALTHCHECK of its own.
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
	// Environment has the names of the variables that the app reads. The file that PasswordFile names is
	// /etc/redis/password.
	Environment redis.Environment
	// Password of the server. Kept as a secret. Required.
	Password pulumi.StringInput
}

// Drain holds every time, in seconds, that passes while a container leaves. Docker has no preStop hook, so the app
// itself has to serve until the balancer has let go of it.
type Drain struct {
	// Serve is how long the app goes on accepting requests after SIGTERM, while it says that it is not ready. At least 4:
	// the balancer takes 3.6 s to give up a container that is too busy to answer (balancer/finder.go), and a tenth of one
	// to reload nginx.
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

// Validate reports everything wrong with the arguments.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := check.Set("network", a.Network != nil)
	problems = append(problems, check.Set("image", a.Image != nil)...)
	if a.Redis != nil {
		problems = append(problems, check.In("redis.connection", a.Redis.Connection.Validate())...)
		problems = append(problems, check.Set("redis.password", a.Redis.Password != nil)...)
	}
	return append(problems, a.ValidateSettings()...)
}

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *WebAppArgs) ValidateSettings() field.ErrorList {
	problems := check.Range("port", a.Port, 1, 65535)
	problems = append(problems, check.Range("user", a.User, 1, 1<<31-1)...)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		problems = append(problems, check.Variable("env", name)...)
		problems = append(problems, check.Set("env["+name+"]", a.Env[name] != nil)...)
	}
	problems = append(problems, a.checkPaths()...)
	if a.Redis != nil {
		problems = append(problems, check.In("redis.environment", a.Redis.Environment.Validate())...)
	}
	problems = append(problems, check.Range("replicas", a.Replicas, 1, maxReplicas)...)
	problems = append(problems, check.In("limits", a.Limits.Validate())...)
	return append(problems, check.In("drain", a.Drain.validate())...)
}

// checkPaths wants paths that Docker takes, each file once, and none in a folder that would hide it.
func (a *WebAppArgs) checkPaths() (problems field.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		problems = append(problems, checkPath("files", name)...)
		problems = append(problems, check.Set("files["+name+"]", a.Files[name] != nil)...)
		if name == passwordFile && a.hasPasswordFile() {
			problems = append(problems, check.Invalid("files", name, "must not be that of the password of Redis")...)
		}
	}
	for _, dir := range a.WritablePaths {
		problems = append(problems, checkPath("writablePaths", dir)...)
		for _, name := range slices.Sorted(maps.Keys(a.files())) {
			if name == dir || strings.HasPrefix(name, dir+"/") {
				problems = append(problems, check.Invalid("writablePaths", dir, "must not hold the file "+name)...)
			}
		}
	}
	return problems
}

func checkPath(name, value string) field.ErrorList {
	if !path.IsAbs(value) || path.Clean(value) != value || value == "/" || strings.Contains(value, ":") {
		return check.Invalid(name, value, "must be an absolute path such as /tmp, without : and without / at its end")
	}
	return nil
}

func (d *Drain) validate() field.ErrorList {
	problems := check.Range("serve", d.Serve, minServe, 3600)
	problems = append(problems, check.Range("longestRequest", d.LongestRequest, 1, 3000)...)
	if d.ServeVariable != "" {
		problems = append(problems, check.Variable("serveVariable", d.ServeVariable)...)
	}
	if d.TimeoutVariable != "" {
		problems = append(problems, check.Variable("timeoutVariable", d.TimeoutVariable)...)
	}
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
	w := &WebApp{Host: name, Port: args.Port}
	if err := register(ctx, "DockerWebApp", name, named(name, args.Validate()), w, opts); err != nil {
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
	maps.Copy(files, a.Files)
	if a.hasPasswordFile() {
		files[passwordFile] = a.Redis.Password
	}
	return files
}

func (a *WebAppArgs) hasPasswordFile() bool {
	return a.Redis != nil && a.Redis.Environment.PasswordFile != ""
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
	for name, seconds := range map[string]int{
		a.Drain.ServeVariable: a.Drain.Serve, a.Drain.TimeoutVariable: a.Drain.LongestRequest,
	} {
		variables[name] = pulumi.Sprintf("%ds", seconds)
	}
	delete(variables, "") // where the app reads no such variable
	maps.Copy(variables, a.Env)
	var lines pulumi.StringArray
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		lines = append(lines, pulumi.Sprintf("%s=%s", name, variables[name]))
	}
	return lines
}
