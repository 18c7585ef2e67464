package kube

import (
	"cmp"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
)

// RedisArgs describe a Redis in the cluster.
type RedisArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and what their labels call the instance. Empty for the component's name; given where the
	// component is renamed and they are not: see the package's documentation.
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
	// StorageSize of the claim, e.g. 1Gi. Required unless Ephemeral, where it limits the folder (1Gi). May grow later if the class allows expansion.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class. Another one than the data is on is refused.
	StorageClass string
	// Protect makes Pulumi refuse to delete the claim.
	Protect bool
	// Fsync is redis.FsyncEverySecond or redis.FsyncAlways. Required.
	Fsync string
}

// Validate reports everything wrong with the arguments.
func (a *RedisArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Set("secret", a.Secret != nil)...)
	return append(problems, a.ValidateSettings()...)
}

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *RedisArgs) ValidateSettings() field.ErrorList {
	problems := check.Image("image", a.Image)
	problems = append(problems, check.Selectors("clients", a.Clients)...)
	problems = append(problems, check.In("resources", a.Resources.Validate())...)
	if !a.Ephemeral {
		problems = append(problems, check.Storage("storageSize", a.StorageSize)...)
	}
	if a.StorageClass != "" {
		problems = append(problems, check.Name("storageClass", a.StorageClass)...)
	}
	return append(problems, redis.CheckFsync(a.Fsync)...)
}

// Redis is one Redis server with a password, whose data survives restarts, and that only its clients can reach.
type Redis struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection redis.Connection
}

// NewRedis creates the configuration, the claim, the StatefulSet, the Service and the network policy.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	r := &Redis{}
	app := redisApp(cmp.Or(args.Name, name))
	problems := append(args.Validate(), check.ObjectName(app.Instance)...)
	if err := register(ctx, "Redis", name, problems, r, opts); err != nil {
		return nil, err
	}
	configuration := pulumi.String(redis.Configuration(args.Resources.MemoryLimit, args.Fsync))
	config, err := corev1.NewConfigMap(ctx, name+"-config", &corev1.ConfigMapArgs{
		Metadata: app.Meta(app.Instance+"-config", args.Namespace),
		Data:     pulumi.StringMap{redis.ConfigFile: configuration},
	}, pulumi.Parent(r))
	if err != nil {
		return nil, creating("config map", name, err)
	}
	data := objects.WritableDir("data", cmp.Or(args.StorageSize, "1Gi"))
	if !args.Ephemeral {
		data, err = objects.NewClaim(ctx, r, name, app, args.Namespace, objects.ClaimSettings{
			Size: args.StorageSize, Class: args.StorageClass, Protect: args.Protect,
		})
		if err != nil {
			return nil, err
		}
	}
	service, err := args.network(ctx, r, name, app)
	if err != nil {
		return nil, err
	}
	pod := args.pod(app, config, data, objects.Checksum(configuration, args.Secret.ref.Version))
	server, err := objects.NewSingleServer(ctx, r, name, app, args.Namespace, service, pod)
	if err != nil {
		return nil, err
	}
	host := pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), args.Namespace)
	r.Connection = redis.Connection{Host: host, Port: redis.Port, Pods: app.Pods(), Ready: server}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"host": host, "port": pulumi.Int(redis.Port)})
}

// network is the Service, and the policy that lets in nobody but the clients.
func (a *RedisArgs) network(
	ctx *pulumi.Context, parent *Redis, name string, app objects.App,
) (*corev1.Service, error) {
	service, err := objects.NewService(ctx, parent, name, app, a.Namespace, "redis", redis.Port)
	if err != nil {
		return nil, err
	}
	_, err = objects.NewNetworkPolicy(ctx, parent, name, app.Meta(app.Instance, a.Namespace), app.LabelSelector(),
		objects.PeersOf(a.Clients, redis.Port), []objects.Peer{})
	return service, err
}

func (a *RedisArgs) pod(
	app objects.App, config *corev1.ConfigMap, data corev1.VolumeArgs, checksum pulumi.StringInput,
) *corev1.PodTemplateSpecArgs {
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Labels:      app.LabelSet(),
			Annotations: pulumi.StringMap{objects.ChecksumAnnotation: checksum},
		},
		Spec: &corev1.PodSpecArgs{
			AutomountServiceAccountToken: pulumi.Bool(false),
			EnableServiceLinks:           pulumi.Bool(false),
			SecurityContext:              objects.RestrictedPod(redis.User),
			// Time to finish writing the append-only file.
			TerminationGracePeriodSeconds: pulumi.Int(30),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("redis"),
				Image: pulumi.String(a.Image),
				Args:  objects.Args("redis-server " + redis.ConfigDir + "/" + redis.ConfigFile),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("redis"), ContainerPort: pulumi.Int(redis.Port),
				}},
				Resources:                a.Resources.Requirements(),
				SecurityContext:          objects.RestrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				// A large append-only file takes minutes to load: 120 x 2 s, about 10 GB at 40 MB/s.
				StartupProbe:   pingProbe(2, 120),
				ReadinessProbe: pingProbe(5, 2),
				LivenessProbe:  pingProbe(10, 6),
				VolumeMounts: corev1.VolumeMountArray{
					objects.MountReadOnly("config", redis.ConfigDir), objects.MountReadOnly("auth", redis.AuthDir),
					objects.Mount("data", redis.DataDir),
				},
			}},
			Volumes: corev1.VolumeArray{
				objects.ConfigVolume("config", config), objects.SecretVolume("auth", a.Secret.ref.Name), data,
			},
		},
	}
}

func pingProbe(period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		Exec:             &corev1.ExecActionArgs{Command: pulumi.ToStringArray([]string{"sh", "-c", redis.Probe})},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}
