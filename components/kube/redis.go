package kube

import (
	"cmp"
	"path"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// RedisArgs describes a Redis in the cluster.
type RedisArgs struct {
	// Namespace to run in. Required.
	Namespace pulumi.StringInput
	// Name of its objects. Empty for the component's name: see the package documentation.
	Name string
	// Secret holds the password. Required.
	Secret *RedisSecret
	// Clients are the labels of the only pods that may connect.
	Clients []map[string]string
	// Image compatible with Docker's official redis image. Required, with a tag other than latest or with a digest.
	Image string
	// Resources of the Redis container. Required. The data may use 3/4 of the memory.
	Resources Resources
	// Ephemeral stores the data in the pod, where a restart loses it, instead of on a PersistentVolumeClaim.
	Ephemeral bool
	// StorageSize of the claim, e.g. 1Gi, which can only grow. With Ephemeral the folder's limit, by default 1Gi.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class. Changing it later is an error.
	StorageClass string
	// Protect makes Pulumi refuse to delete the claim.
	Protect bool
	// Fsync is redis.FsyncEverySecond or redis.FsyncAlways. Required.
	Fsync string
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *RedisArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Image("image", a.Image),
		check.Selectors("clients", a.Clients),
		check.In("resources", a.Resources.Validate()),
		check.Optional(check.Name, "storageClass", a.StorageClass),
		check.Set("storageSize", a.Ephemeral || a.StorageSize != ""),
		check.Optional(check.Storage, "storageSize", a.StorageSize),
		redis.CheckFsync(a.Fsync),
	)
}

// redisFinish is the number of seconds for Redis to finish its append-only file after SIGTERM.
const redisFinish = 30

// Redis is one Redis server with a password, whose data survives restarts. Only its clients can connect.
type Redis struct {
	pulumi.ResourceState

	// Connection holds the connection settings for an app.
	Connection redis.Connection
}

// NewRedis creates the configuration, the claim, the StatefulSet, the Service and the network policy.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	args = cmp.Or(args, &RedisArgs{})
	r := &Redis{}
	o := objects.Owner{Pods: objects.Pods{Name: "redis", Instance: args.Name}, Namespace: args.Namespace}
	problems := append(args.Validate(), check.Set("secret", args.Secret != nil)...)
	if err := o.Register(ctx, "Redis", name, problems, r, opts); err != nil {
		return nil, err
	}
	configuration := pulumi.String(redis.Configuration(args.Resources.MemoryLimit, args.Fsync))
	config := o.ConfigMap("-config", pulumi.StringMap{redis.ConfigFile: configuration})
	data := objects.WritableDir("data", redis.DataDir, cmp.Or(args.StorageSize, "1Gi"))
	if !args.Ephemeral {
		data.Source = o.Claim(args.StorageSize, args.StorageClass, args.Protect)
	}
	service := o.Service("redis", redis.Port)
	policy := o.NetworkPolicy(objects.PeersOf(args.Clients, redis.Port), []Peer{})
	ping := Probe{Exec: []string{"sh", "-c", redis.Probe}, TimeoutSeconds: 3}
	liveness := ping.Args("redis", 10, 6)
	liveness.TerminationGracePeriodSeconds = pulumi.Int(redisFinish) // a server that hangs must not linger
	server := o.SinglePodStatefulSet(service, o.Pod(redis.User, objects.Checksum(configuration, args.Secret.ref.Version),
		corev1.PodSpecArgs{TerminationGracePeriodSeconds: pulumi.Int(redis.LingerSeconds + redisFinish)},
		corev1.ContainerArgs{
			Image:                    pulumi.String(args.Image),
			Args:                     objects.Args("redis-server " + redis.ConfigDir + "/" + redis.ConfigFile),
			Ports:                    corev1.ContainerPortArray{objects.Port("redis", redis.Port)},
			Resources:                args.Resources.Requirements(),
			TerminationMessagePolicy: objects.FallbackToLogs,
			// After a switch to another Redis, old pods of the app still serve requests. The Service routes to a terminating
			// pod as long as no other pod is ready (KEP 1669, Proxy Terminating Endpoints).
			Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{Exec: &corev1.ExecActionArgs{
				Command: pulumi.ToStringArray([]string{"sh", "-c", redis.Linger()}),
			}}},
			// A large append-only file takes minutes to load: 120 x 2 s, about 10 GB at 40 MB/s.
			StartupProbe:   ping.Args("redis", 2, 120),
			ReadinessProbe: ping.Args("redis", 5, 2),
			LivenessProbe:  liveness,
		},
		objects.ConfigVolume("config", redis.ConfigDir, config),
		objects.SecretVolume("auth", redis.AuthDir, args.Secret.ref.Name),
		data,
	), pulumi.DependsOn([]pulumi.Resource{policy})) // deleted after the server, which clients need it to reach
	if err := o.Err(); err != nil {
		return nil, err
	}
	host := pulumi.Sprintf("%s.%s.svc", objects.NameOf(service.Metadata), args.Namespace)
	r.Connection = redis.Connection{Host: host, Port: redis.Port, Pods: o.Selector(), Ready: server}
	return r, o.Finish(pulumi.Map{"host": host, "port": pulumi.Int(redis.Port)})
}

// RedisSecretArgs describes the secrets of any Redis, in the cluster or elsewhere.
type RedisSecretArgs struct {
	// Namespace of the pods that use it. Required.
	Namespace pulumi.StringInput
	// Name of the Secret without its suffix -auth. Empty for the component's name: see the package documentation.
	Name string
	// Password that every client must provide. Kept as a secret. Required.
	Password pulumi.StringInput
	// CA is the certificate (PEM) of a private authority that signed the server's. Nil for a public one or without TLS.
	CA pulumi.StringInput
}

// RedisSecret contains the password in the forms that pods read. It is separate from the Redis: a Redis in the
// cluster, at AWS or elsewhere may replace another, and the pods of the app keep the same Secret.
type RedisSecret struct {
	pulumi.ResourceState

	ref   SecretRef
	hasCA bool
}

// NewRedisSecret creates the Secret, or takes over one that was a child of the Redis component in the stack.
func NewRedisSecret(
	ctx *pulumi.Context, name string, args *RedisSecretArgs, opts ...pulumi.ResourceOption,
) (*RedisSecret, error) {
	args = cmp.Or(args, &RedisSecretArgs{})
	s := &RedisSecret{hasCA: args.CA != nil}
	o := objects.Owner{Pods: objects.Pods{Name: "redis", Instance: args.Name}, Namespace: args.Namespace}
	former := pulumi.Aliases([]pulumi.Alias{{Type: pulumi.String("scaleout:index:ExternalRedis")}})
	opts = append(slices.Clone(opts), former) // a copy, because the slice belongs to the caller
	problems := check.Set("password", args.Password != nil)
	if err := o.Register(ctx, "RedisSecret", name, problems, s, opts); err != nil {
		return nil, err
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput)
	data := map[string]pulumi.StringInput{
		redis.PasswordFile: password,
		redis.AuthFile:     password.ApplyT(redis.RequirePass).(pulumi.StringOutput),
	}
	if args.CA != nil {
		data[redis.CAFile] = args.CA
	}
	var parents []pulumi.Alias // the former parents of the Secret, up to version 0
	for _, kind := range []string{"Redis", "ElastiCache"} {
		parents = append(parents, pulumi.Alias{ParentURN: pulumi.CreateURN(pulumi.String(name),
			pulumi.String("scaleout:index:"+kind), nil, pulumi.String(ctx.Project()), pulumi.String(ctx.Stack()))})
	}
	s.ref = newSecret(o, "-auth", data, pulumi.Aliases(parents))
	return s, o.Finish(pulumi.Map{"name": s.ref.Name})
}

// Bind returns the Binding that connects an app to a Redis with this password, through variables with these names.
func (s *RedisSecret) Bind(connection redis.Connection, names redis.Environment) Binding {
	b := Binding{
		Env: names.Variables(connection), After: component.Present(connection.Ready),
		AllowTo: []Peer{{Pods: connection.Pods, Anyone: connection.Pods == nil, Ports: []int{connection.Port}}},
	}
	if names.Password != "" {
		b.SecretEnv = map[string]SecretKey{names.Password: {Secret: s.ref, Key: redis.PasswordFile}}
	}
	mounted := SecretFiles{Dir: redis.ClientDir, Secret: s.ref}
	mount := func(variable, file string) {
		if variable != "" { // otherwise the app does not read it
			b.Env[variable] = pulumi.String(path.Join(redis.ClientDir, file))
			mounted.Keys = append(mounted.Keys, file)
		}
	}
	if s.hasCA {
		mount(names.CAFile, redis.CAFile)
	}
	mount(names.PasswordFile, redis.PasswordFile)
	if mounted.Keys != nil {
		b.Files = []SecretFiles{mounted}
	}
	return b
}
