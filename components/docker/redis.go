package docker

import (
	"cmp"
	"slices"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// RedisArgs describes a Redis in a container.
type RedisArgs struct {
	// Network that the container joins. Required.
	Network *Network
	// Password that every client must provide. Kept as a secret. Required.
	Password pulumi.StringInput
	// Image compatible with Docker's official redis image. Required, with a tag other than latest or with a digest.
	Image string
	// Limits of the container. Required. The data may use 3/4 of the memory.
	Limits Limits
	// Volume is the name of a volume for the data, which outlives the container and is deleted with the component. Empty
	// for an anonymous one, deleted with the container: a change of Image, Password or Fsync loses the data.
	Volume string
	// Fsync is redis.FsyncEverySecond or redis.FsyncAlways. Required.
	Fsync string
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *RedisArgs) Validate() field.ErrorList {
	return slices.Concat(check.Image("image", a.Image), check.In("limits", a.Limits.Validate()),
		check.Optional(check.Label, "volume", a.Volume), redis.CheckFsync(a.Fsync))
}

// Redis is one Redis server with a password, on a volume.
type Redis struct {
	pulumi.ResourceState

	// Connection holds the connection settings for an app.
	Connection redis.Connection
}

// NewRedis creates the container. Its DNS name on the network is the component's name.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	args = cmp.Or(args, &RedisArgs{})
	r := &Redis{}
	problems := slices.Concat(args.Validate(), check.ObjectName(name),
		check.Set("network", args.Network != nil), check.Set("password", args.Password != nil))
	b, err := component.Register(ctx, "scaleout:index", "DockerRedis", name, problems, r, opts)
	if err != nil {
		return nil, err
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput) // values derived from it are secrets too
	// The container refers to the image by its ID. With its name, every refresh would show a change.
	image := component.Create(b, docker.NewRemoteImage, "", &docker.RemoteImageArgs{
		Name: pulumi.String(args.Image), KeepLocally: pulumi.Bool(true), // other containers may use it
	})
	data := docker.ContainerVolumeArgs{ContainerPath: pulumi.String(redis.DataDir)}
	if args.Volume != "" {
		data.VolumeName = component.Create(b, docker.NewVolume, "", &docker.VolumeArgs{
			Name: pulumi.String(args.Volume),
			Labels: docker.VolumeLabelArray{docker.VolumeLabelArgs{
				Label: pulumi.String(networkLabel), Value: pulumi.String(args.Network.prefix),
			}},
		}).Name
	}
	server := newContainer(b, "", args.Network, args.Limits, &docker.ContainerArgs{
		Image:   image.ImageId,
		Command: pulumi.ToStringArray([]string{"redis-server", redis.ConfigDir + "/" + redis.ConfigFile}),
		User:    pulumi.Sprintf("%d:%d", redis.User, redis.User),
		Uploads: docker.ContainerUploadArray{
			file(redis.ConfigDir+"/"+redis.ConfigFile, pulumi.String(redis.Configuration(args.Limits.Memory, args.Fsync))),
			file(redis.AuthDir+"/"+redis.AuthFile, password.ApplyT(redis.RequirePass).(pulumi.StringOutput)),
			file(redis.AuthDir+"/"+redis.PasswordFile, password),
		},
		Volumes:             docker.ContainerVolumeArray{data},
		Healthcheck:         healthcheck("CMD-SHELL", redis.Probe),
		DestroyGraceSeconds: pulumi.Int(30), // to finish writing the append-only file
	})
	r.Connection = redis.Connection{Host: pulumi.String(name), Port: redis.Port, Ready: server}
	return r, b.Finish(pulumi.Map{"host": pulumi.String(name), "port": pulumi.Int(redis.Port)})
}
