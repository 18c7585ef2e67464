package components

import (
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Resources are what one container asks for and may use.
type Resources struct {
	// CPURequest is the CPU that the scheduler reserves, and 100 % in the autoscaler's arithmetic: a target of 50 %
	// means half of this. Required. Kubernetes quantity, e.g. 100m for a tenth of a core.
	CPURequest string
	// CPULimit is where the kernel throttles. Empty for no limit, which lets a pod use idle CPU; a limit keeps one pod
	// from starving its neighbours, and must leave room above the request or latency rises before the autoscaler acts.
	CPULimit string
	// MemoryLimit is both the memory request and the limit, so that a pod is never killed for memory that the
	// scheduler had promised to another. Required. Kubernetes quantity, e.g. 64Mi.
	MemoryLimit string
}

// Validate reports everything wrong with the resources.
func (r Resources) Validate() field.ErrorList {
	problems := check.CPU("cpuRequest", r.CPURequest)
	problems = append(problems, check.Memory("memoryLimit", r.MemoryLimit)...)
	if r.CPULimit == "" {
		return problems
	}
	limitProblems := check.CPU("cpuLimit", r.CPULimit)
	if len(problems)+len(limitProblems) == 0 {
		request, limit := resource.MustParse(r.CPURequest), resource.MustParse(r.CPULimit)
		if limit.Cmp(request) < 0 {
			limitProblems = check.Invalid("cpuLimit", r.CPULimit, "must be at least the CPU request of "+r.CPURequest)
		}
	}
	return append(problems, limitProblems...)
}

func (r Resources) requirements() *corev1.ResourceRequirementsArgs {
	memory := pulumi.String(r.MemoryLimit)
	limits := pulumi.StringMap{"memory": memory}
	if r.CPULimit != "" {
		limits["cpu"] = pulumi.String(r.CPULimit)
	}
	return &corev1.ResourceRequirementsArgs{
		Requests: pulumi.StringMap{"cpu": pulumi.String(r.CPURequest), "memory": memory},
		Limits:   limits,
	}
}

func (r Resources) inputs() pulumi.Map {
	return pulumi.Map{
		"cpuRequest":  pulumi.String(r.CPURequest),
		"cpuLimit":    pulumi.String(r.CPULimit),
		"memoryLimit": pulumi.String(r.MemoryLimit),
	}
}

// restrictedPod and restrictedContainer together satisfy the Pod Security Standard `restricted`:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func restrictedPod(uid int) *corev1.PodSecurityContextArgs {
	return &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(uid),
		RunAsGroup:     pulumi.Int(uid),
		FsGroup:        pulumi.Int(uid), // volumes and mounted secrets become readable for the user
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

func restrictedContainer() *corev1.SecurityContextArgs {
	return &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.StringArray{pulumi.String("ALL")}},
	}
}

// httpProbe asks path on a named port every period seconds and gives up after failures misses in a row.
func httpProbe(path, port string, period, failures int) *corev1.ProbeArgs {
	return &corev1.ProbeArgs{
		HttpGet:          &corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(port)},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(2),
		FailureThreshold: pulumi.Int(failures),
	}
}

// writableDir is a folder in memory or on the node's disk for a container whose root file system is read-only.
func writableDir(name string) corev1.VolumeArgs {
	return corev1.VolumeArgs{Name: pulumi.String(name), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{}}
}

// configVolume shows a ConfigMap's entries as files.
func configVolume(name string, config *corev1.ConfigMap) corev1.VolumeArgs {
	return corev1.VolumeArgs{
		Name: pulumi.String(name), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: config.Metadata.Name()},
	}
}

func mount(volume, path string) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(path)}
}

func mountReadOnly(volume, path string) corev1.VolumeMountArgs {
	m := mount(volume, path)
	m.ReadOnly = pulumi.Bool(true)
	return m
}

func env(name string, value pulumi.StringInput) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: value}
}

// args splits a command line at white space.
func args(line string) pulumi.StringArray { return pulumi.ToStringArray(strings.Fields(line)) }
