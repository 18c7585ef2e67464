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

// Pod completes the pod of an app, which has one container: its labels, the user it runs as, its volumes, and no more
// rights than the Pod Security Standard `restricted` allows. Without a service account it gets no token for the API.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func (a App) Pod(
	user int, annotations pulumi.StringMap, spec corev1.PodSpecArgs, c corev1.ContainerArgs, volumes ...Volume,
) *corev1.PodTemplateSpecArgs {
	if c.Name == nil {
		c.Name = pulumi.String(a.Name)
	}
	if spec.ServiceAccountName == nil {
		spec.AutomountServiceAccountToken = pulumi.Bool(false)
	}
	// Otherwise a Service named redis sets REDIS_PORT to a URL in every pod.
	spec.EnableServiceLinks = pulumi.Bool(false)
	spec.SecurityContext = &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(user),
		RunAsGroup:     pulumi.Int(user),
		FsGroup:        pulumi.Int(user), // volumes and mounted secrets become readable for the user
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

// Volume is a volume of a pod, and where the container sees it.
type Volume struct {
	Source   corev1.VolumeArgs
	Path     string
	ReadOnly bool
}

// WritableDir is a folder on the node's disk, of a limited size, for a container whose root file system is read-only.
// Without a limit one pod fills the disk, and the kubelet then evicts its neighbours as well.
func WritableDir(name, path, size string) Volume {
	return Volume{Path: path, Source: corev1.VolumeArgs{
		Name: pulumi.String(name), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(size)},
	}}
}

// ScratchSize is enough for temporary files.
const ScratchSize = "64Mi"

// Tmp is for temporary files.
func Tmp() Volume { return WritableDir("tmp", "/tmp", ScratchSize) }

// ConfigVolume shows a ConfigMap's entries as files.
func ConfigVolume(name, path string, config *corev1.ConfigMap, items ...corev1.KeyToPathInput) Volume {
	source := &corev1.ConfigMapVolumeSourceArgs{Name: config.Metadata.Name()}
	if len(items) > 0 {
		source.Items = corev1.KeyToPathArray(items)
	}
	return Volume{Path: path, ReadOnly: true, Source: corev1.VolumeArgs{Name: pulumi.String(name), ConfigMap: source}}
}

// SecretVolume mounts a Secret, or those of its keys that are given, for its owner's group only. A file, unlike an
// environment variable, does not show in /proc or in a crash dump, and does not pass to child processes.
func SecretVolume(name, path string, secret pulumi.StringInput, keys ...string) Volume {
	source := &corev1.SecretVolumeSourceArgs{SecretName: secret, DefaultMode: pulumi.Int(0o440)}
	var items corev1.KeyToPathArray
	for _, key := range keys {
		items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(key), Path: pulumi.String(key)})
	}
	source.Items = items
	return Volume{Path: path, ReadOnly: true, Source: corev1.VolumeArgs{Name: pulumi.String(name), Secret: source}}
}

// FallbackToLogs makes the end of a container's log the reason for its end, which then shows in `pulumi up`.
const FallbackToLogs = pulumi.String("FallbackToLogsOnError")

// Port is a port of a container by its name.
func Port(name string, number int) corev1.ContainerPortArgs {
	return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(number)}
}

// Args splits a command line at white space.
func Args(line string) pulumi.StringArray { return pulumi.ToStringArray(strings.Fields(line)) }

// HTTPProbe asks path on a named port every period seconds and gives up after failures misses in a row.
func HTTPProbe(path, port string, period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		HttpGet:          &corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(port)},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(2),
		FailureThreshold: pulumi.Int(failures),
	}
}

// Sleep is the kubelet's own sleep before a container is told to stop: the image may have no shell that could.
func Sleep(seconds int) *corev1.LifecycleArgs {
	return &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
		Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(seconds)},
	}}
}

// Spread keeps pods apart by zone and by node as far as there is room. Counting each revision alone
// (pod-template-hash) spreads a rollout by itself, where the old pods would otherwise decide its places:
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
func (a App) Spread() corev1.TopologySpreadConstraintArray {
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

// checksumLength is how many hexadecimal digits of the hash are kept: 64 bits, enough to notice any change.
const checksumLength = 16

// Checksum is an annotation of a pod that changes with what it reads only when it starts, so that a change rolls the
// pods. It must get no secrets, only their versions: whoever may read pods could try passwords against the hash of one.
func Checksum(values ...any) pulumi.StringMap {
	return pulumi.StringMap{"checksum/config": pulumi.All(values...).ApplyT(func(all []any) string {
		sum := sha256.New()
		for _, v := range all {
			fmt.Fprintf(sum, "%q\n", v)
		}
		return hex.EncodeToString(sum.Sum(nil))[:checksumLength]
	}).(pulumi.StringOutput)}
}
