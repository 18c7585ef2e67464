package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Container describes the main container of an app's pods.
type Container struct {
	// Name in the pod, to which the autoscaler and dashboards refer. Default: web.
	Name string
	// Image, best by digest. Required.
	Image pulumi.StringInput
	// Command and Args replace the image's ENTRYPOINT and CMD. Empty for the image's own.
	Command, Args []string
	// Port that the container listens on, 1 to 65535. Required.
	Port int
	// Metrics is the endpoint that Prometheus scrapes. Nil for an app without metrics.
	Metrics *Metrics
	// Probes of the container. By default, they check that Port accepts connections.
	Probes Probes
	// Env are variables that hold no secrets; use a Binding for secrets. They override the variables of bindings.
	Env map[string]pulumi.StringInput
	// DrainEnv passes the shutdown times to the app.
	DrainEnv DrainEnv
	// User is the user ID that the container runs as, 1 or more. Default: 65532, the "nonroot" of distroless images.
	User int
	// WritablePaths are writable folders of 64 MiB each, which are deleted with the pod. Everything else is read-only.
	WritablePaths []string
	// Resources of the container. Required.
	Resources Resources
}

// Metrics is a metrics endpoint in the format of Prometheus.
type Metrics struct {
	// Port of the endpoint. On the container's own port, every client of the app can read the metrics. Required.
	Port int
	// Path of the endpoint. Default: /metrics.
	Path string
}

// DrainEnv holds the names of variables, whose values are seconds such as 5s. One with an empty name is not set.
type DrainEnv struct {
	// Delay is for the time after SIGTERM during which the app accepts requests: Shutdown.AppDrain.
	Delay string
	// Timeout is for the time for requests in flight after that: Shutdown.InFlight.
	Timeout string
}

// Names of the container's ports.
const portName, metricsPortName = "http", "metrics"

// MetricsPortName returns the name of the metrics port.
func (c *Container) MetricsPortName() string {
	if c.Metrics.Port == c.Port {
		return portName
	}
	return metricsPortName
}

// Validate reports everything wrong with the container, except a missing image, which another resource may produce.
func (c *Container) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Label("name", c.name()),
		check.Range("port", c.Port, 1, 65535),
		check.In("probes", c.Probes.Validate()),
		checkAll(check.Variable, "env", slices.Sorted(maps.Keys(c.Env))),
		check.Optional(check.Variable, "drainEnv.delay", c.DrainEnv.Delay),
		check.Optional(check.Variable, "drainEnv.timeout", c.DrainEnv.Timeout),
		check.Range("user", c.user(), 1, 1<<31-1),
		check.In("resources", c.Resources.Validate()),
	)
	if c.Metrics != nil {
		problems = append(problems, check.Range("metrics.port", c.Metrics.Port, 1, 65535)...)
		problems = append(problems, checkPath("metrics.path", cmp.Or(c.Metrics.Path, "/metrics"))...)
	}
	for i, dir := range c.WritablePaths {
		problems = append(problems, check.Path(field.NewPath("writablePaths").Index(i).String(), dir)...)
	}
	return problems
}

func (c *Container) name() string { return cmp.Or(c.Name, "web") }
func (c *Container) user() int    { return cmp.Or(c.User, 65532) }

func (a *WebAppArgs) container() corev1.ContainerArgs {
	c := &a.Container
	ports := corev1.ContainerPortArray{objects.Port(portName, c.Port)}
	if c.Metrics != nil && c.Metrics.Port != c.Port {
		ports = append(ports, objects.Port(metricsPortName, c.Metrics.Port))
	}
	return corev1.ContainerArgs{
		Name:                     pulumi.String(c.name()),
		Image:                    c.Image,
		Command:                  component.OptionalList(c.Command), // an empty list would replace the image's own
		Args:                     component.OptionalList(c.Args),
		Ports:                    ports,
		Env:                      a.environment(),
		Resources:                c.Resources.Requirements(),
		Lifecycle:                objects.Sleep(a.Shutdown.PreStop()),
		TerminationMessagePolicy: objects.FallbackToLogs,
		StartupProbe:             c.Probes.startup().Args(portName, 0, 0),
		ReadinessProbe:           c.Probes.Readiness.Args(portName, 2, 2),
		LivenessProbe:            c.Probes.Liveness.Args(portName, 10, 3),
	}
}

// environment is sorted by name, so that a preview shows only real changes.
func (a *WebAppArgs) environment() corev1.EnvVarArray {
	plain, secret := map[string]pulumi.StringInput{}, map[string]SecretKey{}
	for _, b := range a.Bindings {
		maps.Copy(plain, b.Env)
		maps.Copy(secret, b.SecretEnv)
	}
	plain[a.Container.DrainEnv.Delay] = pulumi.String(fmt.Sprintf("%ds", a.Shutdown.AppDrain()))
	plain[a.Container.DrainEnv.Timeout] = pulumi.String(fmt.Sprintf("%ds", a.Shutdown.InFlight()))
	delete(plain, "") // variables that the app does not read
	maps.Copy(plain, a.Container.Env)
	var variables corev1.EnvVarArray
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		variables = append(variables, corev1.EnvVarArgs{Name: pulumi.String(name), Value: plain[name]})
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

func (a *WebAppArgs) volumes() (volumes []objects.Volume) {
	for _, b := range a.Bindings {
		for _, f := range b.Files {
			name := fmt.Sprintf("secret-%d", len(volumes))
			volumes = append(volumes, objects.SecretVolume(name, f.Dir, f.Secret.Name, f.Keys...))
		}
	}
	for i, dir := range a.Container.WritablePaths {
		volumes = append(volumes, objects.WritableDir(fmt.Sprintf("writable-%d", i), dir, objects.ScratchSize))
	}
	return volumes
}

// checksum changes with the version of every Secret that the pods read, and with RollOn. It is nil if there are none.
func (a *WebAppArgs) checksum() pulumi.StringMap {
	var versions []any
	for _, b := range a.Bindings {
		for _, name := range slices.Sorted(maps.Keys(b.SecretEnv)) {
			versions = append(versions, b.SecretEnv[name].Secret.Version)
		}
		for _, f := range b.Files {
			versions = append(versions, f.Secret.Version)
		}
		versions = append(versions, b.RollOn)
	}
	versions = slices.DeleteFunc(versions, func(version any) bool { return version == nil })
	if len(versions) == 0 {
		return nil
	}
	return objects.Checksum(versions...)
}

// Resources are the resource requests and limits of one container, as Kubernetes quantities.
type Resources struct {
	// CPURequest is reserved by the scheduler, and is the autoscaler's 100 %, e.g. 100m for a tenth of a core. Required.
	CPURequest string
	// CPULimit is the limit for CPU throttling. Empty for no limit, which lets a pod use idle CPU. A limit protects
	// neighboring pods, and must leave room above the request, or latency rises before the autoscaler acts.
	CPULimit string
	// MemoryLimit is the memory above which the container is killed, e.g. 64Mi. Required.
	MemoryLimit string
	// MemoryRequest is reserved by the scheduler. Empty for MemoryLimit, which avoids overcommitment.
	MemoryRequest string
	// EphemeralStorage is the request and limit of disk space on the node, including logs, e.g. 1Gi. Empty for neither.
	EphemeralStorage string
}

// Validate reports everything wrong with the resources.
func (r Resources) Validate() field.ErrorList {
	cpu := append(check.CPU("cpuRequest", r.CPURequest), check.Optional(check.CPU, "cpuLimit", r.CPULimit)...)
	if len(cpu) == 0 {
		cpu = notBelow("cpuLimit", cmp.Or(r.CPULimit, r.CPURequest), "CPU request", r.CPURequest)
	}
	memory := append(check.Memory("memoryLimit", r.MemoryLimit),
		check.Optional(check.Memory, "memoryRequest", r.MemoryRequest)...)
	if len(memory) == 0 {
		memory = notBelow("memoryLimit", r.MemoryLimit, "memory request", r.memoryRequest())
	}
	return slices.Concat(cpu, memory, check.Optional(check.Storage, "ephemeralStorage", r.EphemeralStorage))
}

// notBelow reports a limit below its request.
func notBelow(name, limit, of, request string) field.ErrorList {
	least, most := resource.MustParse(request), resource.MustParse(limit)
	return check.That(most.Cmp(least) >= 0, name, limit, "must be at least the "+of+" of "+request)
}

// Requirements returns the resources in the form of a container spec.
func (r Resources) Requirements() *corev1.ResourceRequirementsArgs {
	requests := pulumi.StringMap{"cpu": pulumi.String(r.CPURequest), "memory": pulumi.String(r.memoryRequest())}
	limits := pulumi.StringMap{"memory": pulumi.String(r.MemoryLimit)}
	if r.CPULimit != "" {
		limits["cpu"] = pulumi.String(r.CPULimit)
	}
	if r.EphemeralStorage != "" {
		requests["ephemeral-storage"] = pulumi.String(r.EphemeralStorage)
		limits["ephemeral-storage"] = pulumi.String(r.EphemeralStorage)
	}
	return &corev1.ResourceRequirementsArgs{Requests: requests, Limits: limits}
}

func (r Resources) memoryRequest() string { return cmp.Or(r.MemoryRequest, r.MemoryLimit) }

// Probe is a check of a container by the kubelet: HTTP or Exec, or, if neither is set, whether the container's port
// accepts connections. https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
type Probe struct {
	// HTTP is a path on the container's port that must answer with a status from 200 to 399.
	HTTP string
	// Exec is a command in the container that must exit with 0.
	Exec []string
	// PeriodSeconds is the interval, TimeoutSeconds the time for an answer, and FailureThreshold the number of
	// consecutive failures that count. 0 for the defaults: see Probes.
	PeriodSeconds, TimeoutSeconds, FailureThreshold int
}

// Probes are the probes of a container. Fields that are 0 have defaults.
type Probes struct {
	// Startup succeeds once the container has started. Default: every second, 30 times. Without HTTP and Exec it uses
	// the check of Liveness: Probe{FailureThreshold: 120} allows two minutes for a slow start.
	Startup Probe
	// Readiness succeeds while the pod can serve requests, until its shutdown begins. It should fail while a backing
	// service is unavailable. Default: every 2 s, two failures.
	Readiness Probe
	// Liveness fails if the process is stuck, which restarts the container. It must not check a backing service, because
	// an outage of the service would restart every pod. Default: every 10 s, three failures.
	Liveness Probe
}

// HTTPProbes returns a liveness and a readiness probe with these paths.
func HTTPProbes(live, ready string) Probes {
	return Probes{Readiness: Probe{HTTP: ready}, Liveness: Probe{HTTP: live}}
}

// Validate reports everything wrong with the probes.
func (p Probes) Validate() field.ErrorList {
	return slices.Concat(check.In("startup", p.Startup.Validate()), check.In("readiness", p.Readiness.Validate()),
		check.In("liveness", p.Liveness.Validate()))
}

// Validate reports everything wrong with the probe.
func (p Probe) Validate() field.ErrorList {
	return slices.Concat(
		check.That(p.HTTP == "" || len(p.Exec) == 0, "http", p.HTTP, "must be empty with exec"),
		check.Optional(checkPath, "http", p.HTTP),
		check.Range("periodSeconds", p.PeriodSeconds, 0, 3600),
		check.Range("timeoutSeconds", p.TimeoutSeconds, 0, 3600),
		check.Range("failureThreshold", p.FailureThreshold, 0, 3600),
	)
}

// checkPath accepts the path of a URL, without a query.
func checkPath(name, path string) field.ErrorList {
	return check.That(strings.HasPrefix(path, "/") && !strings.ContainsAny(path, " \t\r\n?#"), name, path,
		"must be a path that begins with / and has neither white space nor ? nor #")
}

// startup returns the startup probe with its defaults.
func (p Probes) startup() Probe {
	startup := p.Startup
	if startup.HTTP == "" && len(startup.Exec) == 0 {
		startup.HTTP, startup.Exec = p.Liveness.HTTP, p.Liveness.Exec
		startup.TimeoutSeconds = cmp.Or(startup.TimeoutSeconds, p.Liveness.TimeoutSeconds)
	}
	startup.PeriodSeconds = cmp.Or(startup.PeriodSeconds, 1)
	startup.FailureThreshold = cmp.Or(startup.FailureThreshold, 30)
	return startup
}

// startupSeconds returns the maximum duration of a container's start.
func (p Probes) startupSeconds() int { s := p.startup(); return s.PeriodSeconds * s.FailureThreshold }

// Args returns the probe in the form of a container spec, with these defaults; port is the name of the port.
func (p Probe) Args(port string, period, failures int) *corev1.ProbeArgs {
	args := &corev1.ProbeArgs{
		PeriodSeconds:    pulumi.Int(cmp.Or(p.PeriodSeconds, period)),
		TimeoutSeconds:   pulumi.Int(cmp.Or(p.TimeoutSeconds, 2)),
		FailureThreshold: pulumi.Int(cmp.Or(p.FailureThreshold, failures)),
	}
	switch {
	case p.HTTP != "":
		args.HttpGet = &corev1.HTTPGetActionArgs{Path: pulumi.String(p.HTTP), Port: pulumi.String(port)}
	case len(p.Exec) > 0:
		args.Exec = &corev1.ExecActionArgs{Command: pulumi.ToStringArray(p.Exec)}
	default:
		args.TcpSocket = &corev1.TCPSocketActionArgs{Port: pulumi.String(port)}
	}
	return args
}
