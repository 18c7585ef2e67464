package components

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// redisProbe asks for a PONG: while Redis loads its file it answers LOADING instead. The shell hands the password over
// in the environment, since process arguments are readable for everyone on the node.
const redisProbe = `REDISCLI_AUTH="$(cat ` + redisAuthDir + `/` + passwordKey + `)" redis-cli ping | grep -q PONG`

func (a *RedisArgs) pod(
	app App, config *corev1.ConfigMap, secret *corev1.Secret, data corev1.VolumeArgs, checksum pulumi.StringInput,
) *corev1.PodTemplateSpecArgs {
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Labels:      app.labels(),
			Annotations: pulumi.StringMap{checksumAnnotation: checksum},
		},
		Spec: &corev1.PodSpecArgs{
			AutomountServiceAccountToken: pulumi.Bool(false),
			EnableServiceLinks:           pulumi.Bool(false),
			SecurityContext:              restrictedPod(redisUser),
			// Time to finish writing the append-only file.
			TerminationGracePeriodSeconds: pulumi.Int(30),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("redis"),
				Image: pulumi.String(a.Image),
				Args:  args("redis-server " + redisConfigDir + "/redis.conf"),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("redis"), ContainerPort: pulumi.Int(redisPort),
				}},
				Resources:                a.Resources.requirements(),
				SecurityContext:          restrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				// A large append-only file takes minutes to load: 120 x 2 s, about 10 GB at 40 MB/s.
				StartupProbe:   pingProbe(2, 120),
				ReadinessProbe: pingProbe(5, 2),
				LivenessProbe:  pingProbe(10, 6),
				VolumeMounts: corev1.VolumeMountArray{
					mountReadOnly("config", redisConfigDir), mountReadOnly("auth", redisAuthDir), mount("data", redisDataDir),
				},
			}},
			Volumes: corev1.VolumeArray{
				configVolume("config", config),
				secretVolume("auth", secret.Metadata.Name().Elem()),
				data,
			},
		},
	}
}

func pingProbe(period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		Exec:             &corev1.ExecActionArgs{Command: pulumi.ToStringArray([]string{"sh", "-c", redisProbe})},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}
