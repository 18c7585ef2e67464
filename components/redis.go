package components

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// RedisArgs describe a Redis in the cluster.
type RedisArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and what their labels call the instance. Empty for the component's name; given where the
	// component is renamed and they are not: see the package's documentation.
	Name string
	// Password that every client must give. Kept as a secret. Required.
	Password pulumi.StringInput
	// Clients are the only pods that may connect.
	Clients []App
	RedisSettings
}

// RedisSettings are the decisions about a Redis.
type RedisSettings struct {
	// Image behaves like Docker's official redis image. Required, with a pinned version.
	Image string
	// Resources of the Redis container. Required. The data may use 3/4 of the memory; the rest is for the copy that
	// Redis makes while it rewrites its append-only file.
	Resources Resources
	// Ephemeral keeps the data in the pod, where a restart loses it, instead of on a PersistentVolumeClaim.
	Ephemeral bool
	// StorageSize of the claim, e.g. 1Gi. Required unless Ephemeral. May grow later if the class allows expansion.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class.
	StorageClass string
	// Fsync is FsyncEverySecond or FsyncAlways. Required.
	Fsync string
}

// When Redis forces its append-only file to disk. The crash of only its process loses nothing that was written to the
// file: https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
const (
	// FsyncEverySecond forces it once a second. The crash of a node loses what was not yet forced: normally up to one
	// second, up to two while the disk is slow, since Redis delays a write by at most two while a force is under way.
	FsyncEverySecond = "everysec"
	// FsyncAlways forces it before each answer. The crash of a node loses nothing that was answered, which costs
	// throughput: docs/reliability.md has the measured cost.
	FsyncAlways = "always"
)

// Validate reports everything wrong with the arguments.
func (a *RedisArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.ObjectName(a.Name)...)
	problems = append(problems, check.Set("password", a.Password != nil)...)
	return append(problems, a.RedisSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *RedisSettings) Validate() field.ErrorList {
	problems := check.Image("image", s.Image)
	problems = append(problems, s.Resources.Validate()...)
	if !s.Ephemeral {
		problems = append(problems, check.Storage("storageSize", s.StorageSize)...)
	}
	if s.StorageClass != "" {
		problems = append(problems, check.Name("storageClass", s.StorageClass)...)
	}
	return append(problems, checkFsync(s.Fsync)...)
}

const (
	redisPort = 6379
	// redisUser is the user that the official image makes, in its Debian and its Alpine form alike.
	redisUser = 999

	redisAuthDir   = "/etc/redis/auth"
	redisConfigDir = "/etc/redis/conf"
	redisDataDir   = "/data"
)

// Redis is one Redis server with a password, whose data survives restarts, and that only its clients can reach.
type Redis struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection RedisConnection
}

// NewRedis creates the Secret, the configuration, the claim, the StatefulSet, the Service and the network policy.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	r := &Redis{}
	if err := register(ctx, "Redis", name, args.Validate(), args.inputs(), r, opts); err != nil {
		return nil, err
	}
	app := App{Name: "redis", Instance: cmp.Or(args.Name, name)}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput) // and so is all that follows from it

	secret, err := newPasswordSecret(ctx, r, name, app, args.Namespace, pulumi.StringMap{
		passwordKey: password, // for clients and probes
		"auth.conf": password.ApplyT(requirePass).(pulumi.StringOutput),
	})
	if err != nil {
		return nil, err
	}
	configuration := redisConfiguration(args.Resources.MemoryLimit, args.Fsync)
	config, err := corev1.NewConfigMap(ctx, name+"-config", &corev1.ConfigMapArgs{
		Metadata: app.meta(app.Instance+"-config", args.Namespace),
		Data:     pulumi.StringMap{"redis.conf": pulumi.String(configuration)},
	}, pulumi.Parent(r))
	if err != nil {
		return nil, creating("config map", name, err)
	}
	data := writableDir("data")
	if !args.Ephemeral {
		if data, err = newClaim(ctx, r, name, app, args.Namespace, args.StorageSize, args.StorageClass); err != nil {
			return nil, err
		}
	}
	service, err := args.network(ctx, r, name, app)
	if err != nil {
		return nil, err
	}
	pod := args.pod(app, config, secret, data, checksum(pulumi.String(configuration), password))
	server, err := newSingleServer(ctx, r, name, app, args.Namespace, service, pod)
	if err != nil {
		return nil, err
	}

	r.Connection = RedisConnection{
		Host:     pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), args.Namespace),
		Port:     redisPort,
		Secret:   secret.Metadata.Name().Elem(),
		Password: password,
		peer:     podsOf(app),
		server:   server,
	}
	return r, ctx.RegisterResourceOutputs(r, r.Connection.outputs())
}

// network is the Service, and the policy that lets in nobody but the clients.
func (a *RedisArgs) network(ctx *pulumi.Context, parent *Redis, name string, app App) (*corev1.Service, error) {
	service, err := newService(ctx, parent, name, app, a.Namespace, "redis", redisPort)
	if err != nil {
		return nil, err
	}
	_, err = newNetworkPolicy(ctx, parent, name, app.meta(app.Instance, a.Namespace), app.labelSelector(),
		peersOf(a.Clients, redisPort), []peer{})
	return service, err
}

func (a *RedisArgs) inputs() pulumi.Map {
	return pulumi.Map{
		"namespace":    a.Namespace,
		"name":         pulumi.String(a.Name),
		"image":        pulumi.String(a.Image),
		"resources":    a.Resources.inputs(),
		"ephemeral":    pulumi.Bool(a.Ephemeral),
		"storageSize":  pulumi.String(a.StorageSize),
		"storageClass": pulumi.String(a.StorageClass),
		"fsync":        pulumi.String(a.Fsync),
		"clients":      instancesOf(a.Clients),
	}
}

func checkFsync(value string) field.ErrorList {
	return check.OneOf("fsync", value, FsyncEverySecond, FsyncAlways)
}

// redisConfiguration is that of a server with this much memory, whose file is forced to disk when fsync says.
func redisConfiguration(memoryLimit, fsync string) string {
	memory := resource.MustParse(memoryLimit)
	return strings.Join([]string{
		"# Other hosts may connect; the password and the network policy decide which.",
		"protected-mode no",
		"include " + redisAuthDir + "/auth.conf",
		"dir " + redisDataDir,
		"appendonly yes",
		"appendfsync " + fsync,
		`save ""`,
		fmt.Sprintf("maxmemory %d", memory.Value()/4*3),
		"# A counter must refuse to grow rather than forget.",
		"maxmemory-policy noeviction",
		"",
	}, "\n")
}
