package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
)

// Container describes what runs in each pod of an app.
type Container struct {
	// Name in the pod, by which the autoscaler and dashboards know it. Default: web.
	Name string
	// Image, best by digest. Required.
	Image pulumi.StringInput
	// Command and Args take the place of the image's ENTRYPOINT and CMD. Empty for those.
	Command, Args []string
	// Port that it listens on, 1 to 65535. Required.
	Port int
	// Metrics is where Prometheus finds its measurements. Nil for an app without any.
	Metrics *Metrics
	// Probes tell the kubelet how it is. The defaults ask whether Port accepts a connection.
	Probes Probes
	// Env are variables whose values are no secrets; those come by a Binding. What is here wins over a binding's.
	Env map[string]pulumi.StringInput
	// DrainEnv passes on how long the app has when it is told to stop.
	DrainEnv DrainEnv
	// User is the number that it runs as, 1 or more. Default: 65532, the "nonroot" of distroless images.
	User int
	// WritablePaths are folders that it may write to, of 64 MiB each, gone with the pod. All else is read-only.
	WritablePaths []string
	// Resources that it asks for and may use. Required.
	Resources Resources
}

// Metrics is an endpoint in the format of Prometheus.
type Metrics struct {
	// Port may be the container's own, where anyone who reaches the app can read them. Required.
	Port int
	// Path, default /metrics.
	Path string
}

// DrainEnv are the names of variables, each a number of seconds with an s, e.g. 5s. What is empty is not passed.
type DrainEnv struct {
	// Delay is how long the app goes on accepting requests after SIGTERM: Drain.AppDrain.
	Delay string
	// Timeout is how long requests under way may then take: Drain.Shutdown.
	Timeout string
}

const (
	defaultContainer   = "web"
	defaultUser        = 65532
	defaultMetricsPath = "/metrics"
	portName           = "http"
	metricsPortName    = "metrics"
)

// MetricsPortName is what the container calls the port of its metrics, by which Prometheus finds it: where that is the port
// of the app itself, the name of that one.
func (c *Container) MetricsPortName() string {
	if c.Metrics.Port == c.Port {
		return portName
	}
	return metricsPortName
}

// Validate reports everything wrong with the container.
func (c *Container) Validate() field.ErrorList {
	problems := check.Set("image", c.Image != nil)
	return append(problems, c.ValidateSettings()...)
}

// ValidateSettings is Validate without the image.
func (c *Container) ValidateSettings() field.ErrorList {
	problems := check.Label("name", c.name())
	problems = append(problems, check.Range("port", c.Port, 1, 65535)...)
	if c.Metrics != nil {
		problems = append(problems, check.Range("metrics.port", c.Metrics.Port, 1, 65535)...)
		problems = append(problems, checkPath("metrics.path", c.Metrics.path())...)
	}
	problems = append(problems, check.In("probes", c.Probes.Validate())...)
	problems = append(problems, checkVariables("env", c.Env)...)
	for name, variable := range map[string]string{"drainEnv.delay": c.DrainEnv.Delay, "drainEnv.timeout": c.DrainEnv.Timeout} {
		if variable != "" {
			problems = append(problems, check.Variable(name, variable)...)
		}
	}
	problems = append(problems, check.Range("user", c.user(), 1, 1<<31-1)...)
	for i, dir := range c.WritablePaths {
		problems = append(problems, checkDir(field.NewPath("writablePaths").Index(i).String(), dir)...)
	}
	return append(problems, check.In("resources", c.Resources.Validate())...)
}

func (c *Container) name() string { return cmp.Or(c.Name, defaultContainer) }
func (c *Container) user() int    { return cmp.Or(c.User, defaultUser) }
func (m *Metrics) path() string   { return cmp.Or(m.Path, defaultMetricsPath) }
func seconds(n int) pulumi.String { return pulumi.String(strconv.Itoa(n) + "s") }
func writableVolume(i int) string { return fmt.Sprintf("writable-%d", i) }
func secretVolume(i int) string   { return fmt.Sprintf("secret-%d", i) }
func words(list []string) pulumi.StringArray {
	if len(list) == 0 {
		return nil // an empty list would take the place of the image's own
	}
	return pulumi.ToStringArray(list)
}

func (a *WebAppArgs) container() corev1.ContainerArgs {
	c := &a.Container
	ports := corev1.ContainerPortArray{
		corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(c.Port)},
	}
	if c.Metrics != nil && c.Metrics.Port != c.Port {
		ports = append(ports, corev1.ContainerPortArgs{
			Name: pulumi.String(metricsPortName), ContainerPort: pulumi.Int(c.Metrics.Port),
		})
	}
	return corev1.ContainerArgs{
		Name:            pulumi.String(c.name()),
		Image:           c.Image,
		Command:         words(c.Command),
		Args:            words(c.Args),
		Ports:           ports,
		Env:             a.environment(),
		Resources:       c.Resources.Requirements(),
		SecurityContext: objects.RestrictedContainer(),
		// The kubelet's own sleep: the image may have no shell that could.
		Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
			Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(a.Drain.PreStop())},
		}},
		StartupProbe:             c.Probes.startup(),
		ReadinessProbe:           c.Probes.readiness(),
		LivenessProbe:            c.Probes.liveness(),
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"), // the reason shows in `pulumi up`
		VolumeMounts:             a.mounts(),
	}
}

// environment is in the order of the names, so that a preview shows a change and nothing else.
func (a *WebAppArgs) environment() corev1.EnvVarArray {
	plain, secret := map[string]pulumi.StringInput{}, map[string]SecretKey{}
	for _, b := range a.Bindings {
		maps.Copy(plain, b.Env)
		maps.Copy(secret, b.SecretEnv)
	}
	if name := a.Container.DrainEnv.Delay; name != "" {
		plain[name] = seconds(a.Drain.AppDrain())
	}
	if name := a.Container.DrainEnv.Timeout; name != "" {
		plain[name] = seconds(a.Drain.Shutdown())
	}
	maps.Copy(plain, a.Container.Env)
	var variables corev1.EnvVarArray
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		variables = append(variables, objects.Env(name, plain[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(secret)) {
		if _, taken := plain[name]; taken {
			continue
		}
		variables = append(variables, corev1.EnvVarArgs{Name: pulumi.String(name), ValueFrom: &corev1.EnvVarSourceArgs{
			SecretKeyRef: &corev1.SecretKeySelectorArgs{
				Name: secret[name].Secret.Name.ToStringOutput().ToStringPtrOutput(), Key: pulumi.String(secret[name].Key),
			},
		}})
	}
	return variables
}

func (a *WebAppArgs) secretFiles() (files []SecretFiles) {
	for _, b := range a.Bindings {
		files = append(files, b.Files...)
	}
	return files
}

func (a *WebAppArgs) mounts() corev1.VolumeMountArray {
	var mounts corev1.VolumeMountArray
	for i, f := range a.secretFiles() {
		mounts = append(mounts, objects.MountReadOnly(secretVolume(i), f.Dir))
	}
	for i, dir := range a.Container.WritablePaths {
		mounts = append(mounts, objects.Mount(writableVolume(i), dir))
	}
	return mounts
}

func (a *WebAppArgs) volumes() corev1.VolumeArray {
	var volumes corev1.VolumeArray
	for i, f := range a.secretFiles() {
		volumes = append(volumes, objects.SecretVolume(secretVolume(i), f.Secret.Name, f.Keys...))
	}
	for i := range a.Container.WritablePaths {
		volumes = append(volumes, objects.WritableDir(writableVolume(i), objects.ScratchSize))
	}
	return volumes
}

// checksum changes with every Secret that the pods read and with what else is to roll them; nil if there is nothing.
func (a *WebAppArgs) checksum() pulumi.StringMap {
	var versions []pulumi.Input
	add := func(version pulumi.StringInput) {
		if version != nil {
			versions = append(versions, version)
		}
	}
	for _, b := range a.Bindings {
		for _, name := range slices.Sorted(maps.Keys(b.SecretEnv)) {
			add(b.SecretEnv[name].Secret.Version)
		}
		for _, f := range b.Files {
			add(f.Secret.Version)
		}
		add(b.Rolls)
	}
	if versions == nil {
		return nil
	}
	return pulumi.StringMap{objects.ChecksumAnnotation: objects.Checksum(versions...)}
}
