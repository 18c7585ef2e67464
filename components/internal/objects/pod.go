package objects

import (
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RestrictedPod and RestrictedContainer together satisfy the Pod Security Standard `restricted`:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func RestrictedPod(uid int) *corev1.PodSecurityContextArgs {
	return &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(uid),
		RunAsGroup:     pulumi.Int(uid),
		FsGroup:        pulumi.Int(uid), // volumes and mounted secrets become readable for the user
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

// RestrictedContainer is the part of `restricted` that is about the container: see RestrictedPod.
func RestrictedContainer() *corev1.SecurityContextArgs {
	return &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.StringArray{pulumi.String("ALL")}},
	}
}

// HTTPProbe asks path on a named port every period seconds and gives up after failures misses in a row.
func HTTPProbe(path, port string, period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		HttpGet:          &corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(port)},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(2),
		FailureThreshold: pulumi.Int(failures),
	}
}

// ScratchSize is enough for temporary files.
const ScratchSize = "64Mi"

// WritableDir is a folder on the node's disk, of a limited size, for a container whose root file system is read-only.
// Without a limit one pod fills the disk, and the kubelet then evicts its neighbours as well.
func WritableDir(name, size string) corev1.VolumeArgs {
	return corev1.VolumeArgs{
		Name: pulumi.String(name), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(size)},
	}
}

// ConfigVolume shows a ConfigMap's entries as files.
func ConfigVolume(name string, config *corev1.ConfigMap) corev1.VolumeArgs {
	return corev1.VolumeArgs{
		Name: pulumi.String(name), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: config.Metadata.Name()},
	}
}

// SecretVolume mounts a Secret, or those of its keys that are given, for its owner's group only. A file, unlike an
// environment variable, does not show in /proc or in a crash dump, and does not pass to child processes.
func SecretVolume(name string, secret pulumi.StringInput, keys ...string) corev1.VolumeArgs {
	source := &corev1.SecretVolumeSourceArgs{SecretName: secret, DefaultMode: pulumi.Int(0o440)}
	if len(keys) > 0 {
		items := corev1.KeyToPathArray{}
		for _, key := range keys {
			items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(key), Path: pulumi.String(key)})
		}
		source.Items = items
	}
	return corev1.VolumeArgs{Name: pulumi.String(name), Secret: source}
}

// Mount shows a volume of the pod in the container.
func Mount(volume, path string) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(path)}
}

// MountReadOnly is Mount for what the container must not change.
func MountReadOnly(volume, path string) corev1.VolumeMountArgs {
	m := Mount(volume, path)
	m.ReadOnly = pulumi.Bool(true)
	return m
}

// Env is a variable of a container's environment.
func Env(name string, value pulumi.StringInput) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: value}
}

// Args splits a command line at white space.
func Args(line string) pulumi.StringArray { return pulumi.ToStringArray(strings.Fields(line)) }

// Spread keeps pods apart by zone and by node as far as there is room. Counting each revision alone
// (pod-template-hash) spreads a rollout by itself, where the old pods would otherwise decide its places:
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
func Spread(app App) corev1.TopologySpreadConstraintArray {
	var constraints corev1.TopologySpreadConstraintArray
	for _, key := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		constraints = append(constraints, corev1.TopologySpreadConstraintArgs{
			TopologyKey:       pulumi.String(key),
			MaxSkew:           pulumi.Int(1),
			WhenUnsatisfiable: pulumi.String("ScheduleAnyway"), // a full zone must not stop scaling out
			LabelSelector:     app.LabelSelector(),
			MatchLabelKeys:    pulumi.ToStringArray([]string{"pod-template-hash"}),
		})
	}
	return constraints
}

// Present are the resources that exist.
func Present(resources ...pulumi.Resource) []pulumi.Resource {
	var given []pulumi.Resource
	for _, r := range resources {
		if r != nil {
			given = append(given, r)
		}
	}
	return given
}
