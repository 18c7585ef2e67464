package components

import (
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// DockerRedisArgs describe a Redis in a container.
type DockerRedisArgs struct {
	// Network it is in. Required.
	Network *DockerNetwork
	// Password that every client must give. Kept as a secret. Required.
	Password pulumi.StringInput
	DockerRedisSettings
}

// DockerRedisSettings are the decisions about a Redis in a container.
type DockerRedisSettings struct {
	// Image behaves like Docker's official redis image. Required, with a pinned version.
	Image string
	// Limits of the container. Required. The data may use 3/4 of the memory.
	Limits DockerLimits
	// Volume is the name of a volume to create for the data, which outlives the container and goes with the component.
	// Empty for an anonymous one, which outlives restarts but goes with the container: replacing that (another image,
	// password or Fsync) starts at 0.
	Volume string
	// Fsync is FsyncEverySecond or FsyncAlways. Required.
	Fsync string
}

// Validate reports everything wrong with the arguments.
func (a *DockerRedisArgs) Validate() field.ErrorList {
	problems := check.Set("network", a.Network != nil)
	problems = append(problems, check.Set("password", a.Password != nil)...)
	return append(problems, a.DockerRedisSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *DockerRedisSettings) Validate() field.ErrorList {
	problems := check.Image("image", s.Image)
	problems = append(problems, s.Limits.Validate()...)
	if s.Volume != "" {
		problems = append(problems, check.Label("volume", s.Volume)...)
	}
	return append(problems, checkFsync(s.Fsync)...)
}

// DockerRedis is one Redis server with a password, on a volume.
type DockerRedis struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection DockerRedisConnection
}

// DockerRedisConnection is what an app in the same network needs to know of a Redis.
type DockerRedisConnection struct {
	// Host is its name in the network.
	Host string
	// Port of the server.
	Port int
	// Password is a secret.
	Password pulumi.StringOutput

	server pulumi.Resource
}

// NewDockerRedis creates the container.
func NewDockerRedis(
	ctx *pulumi.Context, name string, args *DockerRedisArgs, opts ...pulumi.ResourceOption,
) (*DockerRedis, error) {
	r := &DockerRedis{}
	inputs := pulumi.Map{
		"image": pulumi.String(args.Image), "limits": args.Limits.inputs(), "volume": pulumi.String(args.Volume),
		"fsync": pulumi.String(args.Fsync),
	}
	if err := register(ctx, "DockerRedis", name, args.Validate(), inputs, r, opts); err != nil {
		return nil, err
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput) // and so is all that follows from it
	// The container refers to the image by its ID. By its name, each refresh would show a change.
	image, err := docker.NewRemoteImage(ctx, name, &docker.RemoteImageArgs{
		Name: pulumi.String(args.Image), KeepLocally: pulumi.Bool(true), // others may use it
	}, pulumi.Parent(r))
	if err != nil {
		return nil, creating("image", name, err)
	}
	data := docker.ContainerVolumeArgs{ContainerPath: pulumi.String(redisDataDir)}
	if args.Volume != "" {
		volume, err := docker.NewVolume(ctx, name, &docker.VolumeArgs{
			Name: pulumi.String(args.Volume),
			Labels: docker.VolumeLabelArray{docker.VolumeLabelArgs{
				Label: pulumi.String(networkLabel), Value: pulumi.String(args.Network.prefix),
			}},
		}, pulumi.Parent(r))
		if err != nil {
			return nil, creating("volume", name, err)
		}
		data.VolumeName = volume.Name
	}
	server, err := newDockerContainer(ctx, r, name, name, args.Network, args.Limits, &docker.ContainerArgs{
		Image:   image.ImageId,
		Command: pulumi.ToStringArray([]string{"redis-server", redisConfigDir + "/redis.conf"}),
		User:    pulumi.Sprintf("%d:%d", redisUser, redisUser),
		// Not read-only: Docker copies files only into a container that can be written to. It is root's, though, and
		// the server is not root and has no capability to become it.
		Uploads: docker.ContainerUploadArray{
			dockerFile(redisConfigDir+"/redis.conf", pulumi.String(redisConfiguration(args.Limits.Memory, args.Fsync))),
			dockerFile(redisAuthDir+"/auth.conf", password.ApplyT(requirePass).(pulumi.StringOutput)),
			dockerFile(redisAuthDir+"/"+passwordKey, password),
		},
		Volumes:             docker.ContainerVolumeArray{data},
		Healthcheck:         dockerHealthcheck("CMD-SHELL", redisProbe),
		DestroyGraceSeconds: pulumi.Int(30), // to finish writing the append-only file
	})
	if err != nil {
		return nil, err
	}
	r.Connection = DockerRedisConnection{Host: name, Port: redisPort, Password: password, server: server}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"host": pulumi.String(name), "port": pulumi.Int(redisPort)})
}
