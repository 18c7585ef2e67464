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

// RedisArgs describe a Redis in the cluster.
type RedisArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects. Empty for the component's name: see the package's documentation.
	Name string
	// Secret holds the password. Required.
	Secret *RedisSecret
	// Clients are the only pods that may connect, by their labels.
	Clients []map[string]string
	// Image behaves like Docker's official redis image. Required, with a tag other than latest or with a digest.
	Image string
	// Resources of the Redis container. Required. The data may use 3/4 of the memory.
	Resources Resources
	// Ephemeral keeps the data in the pod, where a restart loses it, instead of on a PersistentVolumeClaim.
	Ephemeral bool
	// StorageSize of the claim, e.g. 1Gi; with Ephemeral the limit of the folder, 1Gi by default. It can only grow.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class. Another one than the data is on is refused.
	StorageClass string
	// Protect makes Pulumi refuse to delete the claim.
	Protect bool
	// Fsync is redis.FsyncEverySecond or redis.FsyncAlways. Required.
	Fsync string
}

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *RedisArgs) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Image("image", a.Image),
		check.Selectors("clients", a.Clients),
		check.In("resources", a.Resources.Validate()),
		check.Optional(check.Name, "storageClass", a.StorageClass),
		redis.CheckFsync(a.Fsync),
	)
	if !a.Ephemeral {
		problems = append(problems, check.Storage("storageSize", a.StorageSize)...)
	}
	return problems
}

// redisFinish is how many seconds Redis gets to finish its append-only file, once it is told to stop.
const redisFinish = 30

// Redis is one Redis server with a password, whose data survives restarts, and that only its clients can reach.
type Redis struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection redis.Connection
}

// NewRedis creates the configuration, the claim, the StatefulSet, the Service and the network policy.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	args = cmp.Or(args, &RedisArgs{})
	r := &Redis{}
	o := redisOwner(ctx, r, name, args.Name, args.Namespace)
	problems := slices.Concat(args.Validate(), check.ObjectName(o.Instance),
		check.Set("namespace", args.Namespace != nil), check.Set("secret", args.Secret != nil))
	if err := component.Register(ctx, "scaleout:index", "Redis", name, problems, r, opts); err != nil {
		return nil, err
	}
	configuration := pulumi.String(redis.Configuration(args.Resources.MemoryLimit, args.Fsync))
	config, err := o.ConfigMap("-config", pulumi.StringMap{redis.ConfigFile: configuration})
	if err != nil {
		return nil, err
	}
	data := objects.WritableDir("data", redis.DataDir, cmp.Or(args.StorageSize, "1Gi"))
	if !args.Ephemeral {
		if data.Source, err = o.Claim(args.StorageSize, args.StorageClass, args.Protect); err != nil {
			return nil, err
		}
	}
	service, err := o.Service("redis", redis.Port)
	if err != nil {
		return nil, err
	}
	policy, err := o.NetworkPolicy(objects.PeersOf(args.Clients, redis.Port), []Peer{})
	if err != nil {
		return nil, err
	}
	liveness := pingProbe(10, 6)
	liveness.TerminationGracePeriodSeconds = pulumi.Int(redisFinish) // one that hangs serves nobody meanwhile
	server, err := o.SingleServer(service, o.Pod(redis.User, objects.Checksum(configuration, args.Secret.ref.Version),
		corev1.PodSpecArgs{TerminationGracePeriodSeconds: pulumi.Int(redis.LingerSeconds + redisFinish)},
		corev1.ContainerArgs{
			Image:                    pulumi.String(args.Image),
			Args:                     objects.Args("redis-server " + redis.ConfigDir + "/" + redis.ConfigFile),
			Ports:                    corev1.ContainerPortArray{objects.Port("redis", redis.Port)},
			Resources:                args.Resources.Requirements(),
			TerminationMessagePolicy: objects.FallbackToLogs,
			// After a switch to another Redis old pods of the app still have visits. The Service leads to a pod that is going
			// as long as no other is ready (KEP 1669, Proxy Terminating Endpoints).
			Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{Exec: shell(redis.Linger())}},
			// A large append-only file takes minutes to load: 120 x 2 s, about 10 GB at 40 MB/s.
			StartupProbe:   pingProbe(2, 120),
			ReadinessProbe: pingProbe(5, 2),
			LivenessProbe:  liveness,
		},
		objects.ConfigVolume("config", redis.ConfigDir, config),
		objects.SecretVolume("auth", redis.AuthDir, args.Secret.ref.Name),
		data,
	), pulumi.DependsOn([]pulumi.Resource{policy})) // which goes after it: without, its clients could not reach it
	if err != nil {
		return nil, err
	}
	host := pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), args.Namespace)
	r.Connection = redis.Connection{Host: host, Port: redis.Port, Pods: o.Pods(), Ready: server}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"host": host, "port": pulumi.Int(redis.Port)})
}

func pingProbe(period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		Exec:             shell(redis.Probe),
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}

func shell(script string) *corev1.ExecActionArgs {
	return &corev1.ExecActionArgs{Command: pulumi.ToStringArray([]string{"sh", "-c", script})}
}

// RedisSecretArgs describe the secrets of a Redis, wherever that runs.
type RedisSecretArgs struct {
	// Namespace of the pods that use it. Required.
	Namespace pulumi.StringInput
	// Name before the -auth of the Secret. Empty for the component's name: see the package's documentation.
	Name string
	// Password that every client must give. Kept as a secret. Required.
	Password pulumi.StringInput
	// CA is the certificate (PEM) of a private authority that signed the server's. Nil for a public one, or without TLS.
	CA pulumi.StringInput
}

// Validate reports everything wrong with the arguments.
func (a *RedisSecretArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	return append(problems, check.Set("password", a.Password != nil)...)
}

// RedisSecret holds the password in the forms in which pods read it. It is apart from the Redis: one in the cluster, at
// AWS or elsewhere may take the place of another, and the pods of the app go on with the same Secret.
type RedisSecret struct {
	pulumi.ResourceState

	ref   SecretRef
	hasCA bool
}

// NewRedisSecret creates the Secret. It takes over the one of a stack in which it was part of the component of a Redis.
func NewRedisSecret(
	ctx *pulumi.Context, name string, args *RedisSecretArgs, opts ...pulumi.ResourceOption,
) (*RedisSecret, error) {
	args = cmp.Or(args, &RedisSecretArgs{})
	s := &RedisSecret{hasCA: args.CA != nil}
	o := redisOwner(ctx, s, name, args.Name, args.Namespace)
	problems := append(args.Validate(), check.ObjectName(o.Instance)...)
	former := pulumi.Aliases([]pulumi.Alias{{Type: pulumi.String("scaleout:index:ExternalRedis")}})
	opts = append(slices.Clone(opts), former) // a copy: the list is the caller's, who may use it again
	if err := component.Register(ctx, "scaleout:index", "RedisSecret", name, problems, s, opts); err != nil {
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
	var parents []pulumi.Alias // the components that the Secret was part of up to version 0
	for _, kind := range []string{"Redis", "ElastiCache"} {
		parents = append(parents, pulumi.Alias{ParentURN: pulumi.CreateURN(pulumi.String(name),
			pulumi.String("scaleout:index:"+kind), nil, pulumi.String(ctx.Project()), pulumi.String(ctx.Stack()))})
	}
	var err error
	if s.ref, err = newSecret(o, "-auth", data, pulumi.Aliases(parents)); err != nil {
		return nil, err
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{"name": s.ref.Name})
}

// Bind gives an app the connection to a Redis with these secrets, under the names that it reads.
func (s *RedisSecret) Bind(connection redis.Connection, names redis.Environment) Binding {
	return BindRedis(connection, names, s.ref, s.hasCA)
}

// BindRedis is Bind with a Secret that something else has made, such as an operator: its entries are redis.PasswordFile
// and, with hasCA, redis.CAFile. A Redis without a password needs none; names then has none either.
func BindRedis(connection redis.Connection, names redis.Environment, secret SecretRef, hasCA bool) Binding {
	b := Binding{
		Env: names.Variables(connection), After: present(connection.Ready),
		AllowTo: []Peer{{Pods: connection.Pods, Anyone: connection.Pods == nil, Ports: []int{connection.Port}}},
	}
	if names.Password != "" {
		b.SecretEnv = map[string]SecretKey{names.Password: {Secret: secret, Key: redis.PasswordFile}}
	}
	mounted := SecretFiles{Dir: redis.ClientDir, Secret: secret}
	mount := func(variable, file string) {
		if variable != "" { // else the app does not read it
			b.Env[variable] = pulumi.String(path.Join(redis.ClientDir, file))
			mounted.Keys = append(mounted.Keys, file)
		}
	}
	if hasCA {
		mount(names.CAFile, redis.CAFile)
	}
	mount(names.PasswordFile, redis.PasswordFile)
	if mounted.Keys != nil {
		b.Files = []SecretFiles{mounted}
	}
	return b
}

// redisOwner is a component of a Redis; object is the name of its objects, if it is not the component's.
func redisOwner(
	ctx *pulumi.Context, parent pulumi.Resource, name, object string, namespace pulumi.StringInput,
) objects.Owner {
	return objects.Owner{Context: ctx, Component: parent, Name: name, Namespace: namespace,
		App: objects.App{Name: "redis", Instance: cmp.Or(object, name)}}
}
