package components

import (
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// What the image in app/ promises: its ports, its user and its health endpoints.
const (
	// AppRedisAccess is all that the app does to a Redis, as an access control list. A test of the app runs it with just that.
	AppRedisAccess = "on ~hits -@all +incr +incrby +ping"

	container       = "web"
	httpPort        = 5000
	metricsPort     = 9090
	metricsPortName = "metrics"
	appUser         = 65532

	// livePath says that the process is alive, and never asks Redis: an outage there must not restart every pod.
	livePath = "/healthz"
	// readyPath says that the pod may get requests: once Redis was reached, until shutdown begins.
	readyPath = "/readyz"

	redisSecretDir = "/etc/redis"
)

func (a *WebAppArgs) pod(app App) *corev1.PodTemplateSpecArgs {
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Labels:      app.labels(),
			Annotations: pulumi.StringMap{checksumAnnotation: checksum(a.Redis.Password)},
		},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:           pulumi.String(app.Instance),
			AutomountServiceAccountToken: pulumi.Bool(false),
			// A Service named redis would otherwise set REDIS_PORT to a URL in every pod.
			EnableServiceLinks:            pulumi.Bool(false),
			SecurityContext:               restrictedPod(appUser),
			TerminationGracePeriodSeconds: pulumi.Int(a.Drain.Grace()),
			TopologySpreadConstraints:     spread(app),
			NodeSelector:                  a.nodes(),
			Containers:                    corev1.ContainerArray{a.container()},
			Volumes:                       corev1.VolumeArray{a.passwordVolume()},
		},
	}
}

func (a *WebAppArgs) container() corev1.ContainerArgs {
	return corev1.ContainerArgs{
		Name:  pulumi.String(container),
		Image: a.Image,
		Ports: corev1.ContainerPortArray{
			corev1.ContainerPortArgs{Name: pulumi.String("http"), ContainerPort: pulumi.Int(httpPort)},
			corev1.ContainerPortArgs{Name: pulumi.String(metricsPortName), ContainerPort: pulumi.Int(metricsPort)},
		},
		Env:             a.environment(),
		Resources:       a.Resources.requirements(),
		SecurityContext: restrictedContainer(),
		// The kubelet's own sleep: the image has no shell that could.
		Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
			Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(a.Drain.PreStop())},
		}},
		StartupProbe:             httpProbe(livePath, "http", 1, 30),
		ReadinessProbe:           httpProbe(readyPath, "http", 2, 2),
		LivenessProbe:            httpProbe(livePath, "http", 10, 3),
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"), // the reason shows in `pulumi up`
		VolumeMounts:             corev1.VolumeMountArray{mountReadOnly("redis", redisSecretDir)},
	}
}

func (a *WebAppArgs) environment() corev1.EnvVarArray {
	vars := corev1.EnvVarArray{
		env("REDIS_HOST", a.Redis.Host),
		env("REDIS_PORT", pulumi.String(strconv.Itoa(a.Redis.Port))),
		env("REDIS_TLS", pulumi.String(strconv.FormatBool(a.Redis.TLS))),
		env("REDIS_PASSWORD_FILE", pulumi.String(redisSecretDir+"/"+passwordKey)),
		env("DRAIN_DELAY", seconds(a.Drain.AppDrain())),
		env("SHUTDOWN_TIMEOUT", seconds(a.Drain.Shutdown())),
		env("LOG_LEVEL", pulumi.String(a.LogLevel)),
	}
	if a.Redis.Username != "" {
		vars = append(vars, env("REDIS_USERNAME", pulumi.String(a.Redis.Username)))
	}
	return vars
}

// nodes are those that can run the image. On any other a pod would end at once, in "exec format error".
func (a *WebAppArgs) nodes() pulumi.StringMapInput {
	if a.Architecture == "" {
		return nil
	}
	return pulumi.StringMap{"kubernetes.io/arch": pulumi.String(a.Architecture)}
}

// passwordVolume shows the app the password alone: the Secret may hold more.
func (a *WebAppArgs) passwordVolume() corev1.VolumeArgs {
	volume := secretVolume("redis", a.Redis.Secret)
	volume.Secret.(*corev1.SecretVolumeSourceArgs).Items = corev1.KeyToPathArray{
		corev1.KeyToPathArgs{Key: pulumi.String(passwordKey), Path: pulumi.String(passwordKey)},
	}
	return volume
}

// spread keeps pods apart by zone and by node as far as there is room. Counting each revision alone
// (pod-template-hash) spreads a rollout by itself, where the old pods would otherwise decide its places:
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
func spread(app App) corev1.TopologySpreadConstraintArray {
	var constraints corev1.TopologySpreadConstraintArray
	for _, key := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		constraints = append(constraints, corev1.TopologySpreadConstraintArgs{
			TopologyKey:       pulumi.String(key),
			MaxSkew:           pulumi.Int(1),
			WhenUnsatisfiable: pulumi.String("ScheduleAnyway"), // a full zone must not stop scaling out
			LabelSelector:     app.labelSelector(),
			MatchLabelKeys:    pulumi.ToStringArray([]string{"pod-template-hash"}),
		})
	}
	return constraints
}
