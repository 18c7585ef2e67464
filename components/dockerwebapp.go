package components

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// DockerWebAppArgs describe a web app in a fixed number of containers.
type DockerWebAppArgs struct {
	// Network it is in. Required.
	Network *DockerNetwork
	// Image by digest. Required.
	Image pulumi.StringInput
	// Redis is where the app keeps its state. Required.
	Redis DockerRedisConnection
	DockerWebAppSettings
}

// DockerWebAppSettings are the decisions about a web app in containers.
type DockerWebAppSettings struct {
	// Replicas is how many containers there are, 1 to 100. From 2 on, a change of the image is no outage. Required.
	Replicas int
	// Limits of each container. Required.
	Limits DockerLimits
	// Drain is how long a container takes to leave. Required.
	Drain Drain
	// LogLevel of the app: debug, info, warn or error. Required.
	LogLevel string
}

// maxDockerReplicas bounds the chain: a roll takes some 15 s for each container.
const maxDockerReplicas = 100

// minDockerDelay makes a container that leaves serve for at least four seconds (AppDrain adds one), in which the balancer
// has surely noticed: it takes 3.6 of them if the container is too busy to answer (balancer/finder.go), and reloads nginx
// in a tenth of one.
const minDockerDelay = 3

// Validate reports everything wrong with the arguments.
func (a *DockerWebAppArgs) Validate() field.ErrorList {
	problems := check.Set("network", a.Network != nil)
	problems = append(problems, check.Set("image", a.Image != nil)...)
	problems = append(problems, check.Set("redis", a.Redis.Port != 0)...)
	return append(problems, a.DockerWebAppSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *DockerWebAppSettings) Validate() field.ErrorList {
	problems := check.Range("replicas", s.Replicas, 1, maxDockerReplicas)
	problems = append(problems, s.Limits.Validate()...)
	problems = append(problems,
		check.Range("loadBalancerDelaySeconds", s.Drain.LoadBalancerDelay, minDockerDelay, maxLoadBalancerDelay)...)
	return append(problems, check.OneOf("logLevel", s.LogLevel, logLevels...)...)
}

// DockerWebApp runs an app in containers that are all found under one name. They form a chain, each depending on the
// one before, so that the engine touches one at a time: on a change it stops the first, which takes as long as that
// needs to leave without losing a request, and goes on only when its successor is healthy.
type DockerWebApp struct {
	pulumi.ResourceState

	// Host is the name in the network that has the addresses of all containers.
	Host string
	// Port they listen on.
	Port int
	// Ready are the containers, for others to depend on.
	Ready []pulumi.Resource
}

// NewDockerWebApp creates the containers.
func NewDockerWebApp(
	ctx *pulumi.Context, name string, args *DockerWebAppArgs, opts ...pulumi.ResourceOption,
) (*DockerWebApp, error) {
	w := &DockerWebApp{Host: name, Port: httpPort}
	inputs := pulumi.Map{
		"image": args.Image, "replicas": pulumi.Int(args.Replicas), "limits": args.Limits.inputs(),
		"loadBalancerDelaySeconds": pulumi.Int(args.Drain.LoadBalancerDelay), "logLevel": pulumi.String(args.LogLevel),
	}
	if err := register(ctx, "DockerWebApp", name, args.Validate(), inputs, w, opts); err != nil {
		return nil, err
	}
	after := args.Redis.server
	for i := range args.Replicas {
		container, err := newDockerContainer(ctx, w, fmt.Sprintf("%s-%d", name, i+1), name, args.Network, args.Limits,
			args.container(), after)
		if err != nil {
			return nil, err
		}
		w.Ready = append(w.Ready, container)
		after = container
	}
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{"host": pulumi.String(name), "port": pulumi.Int(httpPort)})
}

func (a *DockerWebAppArgs) container() *docker.ContainerArgs {
	return &docker.ContainerArgs{
		Image: a.Image,
		User:  pulumi.Sprintf("%d:%d", appUser, appUser),
		Envs: pulumi.ToStringArray([]string{
			"REDIS_HOST=" + a.Redis.Host,
			"REDIS_PORT=" + strconv.Itoa(a.Redis.Port),
			"REDIS_PASSWORD_FILE=" + redisSecretDir + "/" + passwordKey,
			// Docker has no preStop hook, so the app itself serves for the whole time.
			"DRAIN_DELAY=" + string(seconds(a.Drain.PreStop()+a.Drain.AppDrain())),
			"SHUTDOWN_TIMEOUT=" + string(seconds(a.Drain.Shutdown())),
			"LOG_LEVEL=" + a.LogLevel,
		}),
		// A file rather than a variable, which `docker inspect` would show. Not read-only: see DockerRedis.
		Uploads: docker.ContainerUploadArray{dockerFile(redisSecretDir+"/"+passwordKey, a.Redis.Password)},
		Healthcheck: dockerHealthcheck("CMD", "/app", "-healthcheck",
			fmt.Sprintf("http://127.0.0.1:%d%s", httpPort, readyPath)),
		DestroyGraceSeconds: pulumi.Int(a.Drain.Grace()),
	}
}
