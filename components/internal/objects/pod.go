package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Pod completes the pod template of an app with one container: labels, user, volumes, and no more privileges than the
// Pod Security Standard `restricted` allows. Without a service account it gets no token for the API.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func (a Pods) Pod(
	user int, annotations pulumi.StringMap, spec corev1.PodSpecArgs, c corev1.ContainerArgs, volumes ...Volume,
) *corev1.PodTemplateSpecArgs {
	if c.Name == nil {
		c.Name = pulumi.String(a.Name)
	}
	if spec.ServiceAccountName == nil {
		spec.AutomountServiceAccountToken = pulumi.Bool(false)
	}
	// Otherwise a Service named redis would set REDIS_PORT to a URL in every pod.
	spec.EnableServiceLinks = pulumi.Bool(false)
	spec.SecurityContext = &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(user),
		RunAsGroup:     pulumi.Int(user),
		FsGroup:        pulumi.Int(user), // makes volumes and mounted Secrets readable for the user
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
	c.SecurityContext = &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.StringArray{pulumi.String("ALL")}},
	}
	var all corev1.VolumeArray
	var mounts corev1.VolumeMountArray
	for _, v := range volumes {
		mount := corev1.VolumeMountArgs{Name: v.Source.Name, MountPath: pulumi.String(v.Path)}
		if v.ReadOnly {
			mount.ReadOnly = pulumi.Bool(true)
		}
		all, mounts = append(all, v.Source), append(mounts, mount)
	}
	c.VolumeMounts = mounts // before the container is copied into the pod
	spec.Volumes, spec.Containers = all, corev1.ContainerArray{c}
	meta := annotated(&metav1.ObjectMetaArgs{Labels: a.LabelSet()}, annotations)
	return &corev1.PodTemplateSpecArgs{Metadata: meta, Spec: &spec}
}

// Volume is a volume of a pod and its mount path in the container.
type Volume struct {
	Source   corev1.VolumeArgs
	Path     string
	ReadOnly bool
}

// WritableDir returns a folder on the node's disk with a size limit, for a container with a read-only root file
// system. Without a limit, one pod can fill the disk, and the kubelet then evicts its neighbors too.
func WritableDir(name, path, size string) Volume {
	return Volume{Path: path, Source: corev1.VolumeArgs{
		Name: pulumi.String(name), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(size)},
	}}
}

// ScratchSize is the size limit of a folder for temporary files.
const ScratchSize = "64Mi"

// Tmp returns a volume for temporary files.
func Tmp() Volume { return WritableDir("tmp", "/tmp", ScratchSize) }

// ConfigVolume mounts the entries of a ConfigMap as files.
func ConfigVolume(name, path string, config *corev1.ConfigMap, items ...corev1.KeyToPathInput) Volume {
	source := &corev1.ConfigMapVolumeSourceArgs{Name: NameOf(config.Metadata), Items: corev1.KeyToPathArray(items)}
	return Volume{Path: path, ReadOnly: true, Source: corev1.VolumeArgs{Name: pulumi.String(name), ConfigMap: source}}
}

// SecretVolume mounts a Secret, or only the given keys, readable for the user's group. A file, unlike an environment
// variable, is not visible in /proc or in a crash dump, and is not inherited by child processes.
func SecretVolume(name, path string, secret pulumi.StringInput, keys ...string) Volume {
	var items corev1.KeyToPathArray
	for _, key := range keys {
		items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(key), Path: pulumi.String(key)})
	}
	source := &corev1.SecretVolumeSourceArgs{SecretName: secret, DefaultMode: pulumi.Int(0o440), Items: items}
	return Volume{Path: path, ReadOnly: true, Source: corev1.VolumeArgs{Name: pulumi.String(name), Secret: source}}
}

// FallbackToLogs makes the end of a failed container's log its termination message, which `pulumi up` shows.
const FallbackToLogs = pulumi.String("FallbackToLogsOnError")

// Port returns a named container port.
func Port(name string, number int) corev1.ContainerPortArgs {
	return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(number)}
}

// Args splits a command line at white space.
func Args(line string) pulumi.StringArray { return pulumi.ToStringArray(strings.Fields(line)) }

// Sleep returns a preStop hook with the kubelet's own sleep action, because the image may not contain a shell.
func Sleep(seconds int) *corev1.LifecycleArgs {
	return &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
		Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(seconds)},
	}}
}

// Spread distributes pods over zones and nodes as far as possible. With pod-template-hash each revision counts alone;
// otherwise the old pods would determine the distribution of the new ones during a rollout:
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
func (a Pods) Spread() corev1.TopologySpreadConstraintArray {
	var constraints corev1.TopologySpreadConstraintArray
	for _, key := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		constraints = append(constraints, corev1.TopologySpreadConstraintArgs{
			TopologyKey:       pulumi.String(key),
			MaxSkew:           pulumi.Int(1),
			WhenUnsatisfiable: pulumi.String("ScheduleAnyway"), // a full zone must not stop scaling out
			LabelSelector:     a.LabelSelector(),
			MatchLabelKeys:    pulumi.ToStringArray([]string{"pod-template-hash"}),
		})
	}
	return constraints
}

// Checksum returns a pod annotation that triggers a rollout when data changes that the pod reads only at its start. It
// must get no secrets, only their versions: everyone who may read pods could test passwords against a hash.
func Checksum(values ...any) pulumi.StringMap {
	return pulumi.StringMap{"checksum/config": pulumi.All(values...).ApplyT(func(all []any) string {
		sum := sha256.New()
		for _, v := range all {
			fmt.Fprintf(sum, "%q\n", v)
		}
		return hex.EncodeToString(sum.Sum(nil)[:8]) // 64 bits are enough to notice any change
	}).(pulumi.StringOutput)}
}
