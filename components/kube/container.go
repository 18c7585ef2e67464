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

// Names of the container's ports.
const portName, metricsPortName = "http", "metrics"

// MetricsPortName is the name of the port with the metrics, by which Prometheus finds it.
func (c *Container) MetricsPortName() string {
	if c.Metrics.Port == c.Port {
		return portName
	}
	return metricsPortName
}

// Validate reports everything wrong with the container but a missing image, which another resource may produce.
func (c *Container) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Label("name", c.name()),
		check.Range("port", c.Port, 1, 65535),
		check.In("probes", c.Probes.Validate()),
		checkVariables("env", c.Env),
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
	args := corev1.ContainerArgs{
		Name:                     pulumi.String(c.name()),
		Image:                    c.Image,
		Ports:                    ports,
		Env:                      a.environment(),
		Resources:                c.Resources.Requirements(),
		Lifecycle:                objects.Sleep(a.Drain.PreStop()),
		TerminationMessagePolicy: objects.FallbackToLogs,
	}
	args.StartupProbe, args.ReadinessProbe, args.LivenessProbe = c.Probes.args()
	if len(c.Command) > 0 { // an empty list would take the place of the image's own
		args.Command = pulumi.ToStringArray(c.Command)
	}
	if len(c.Args) > 0 {
		args.Args = pulumi.ToStringArray(c.Args)
	}
	return args
}

// environment is in the order of the names, so that a preview shows a change and nothing else.
func (a *WebAppArgs) environment() corev1.EnvVarArray {
	plain, secret := map[string]pulumi.StringInput{}, map[string]SecretKey{}
	for _, b := range a.Bindings {
		maps.Copy(plain, b.Env)
		maps.Copy(secret, b.SecretEnv)
	}
	plain[a.Container.DrainEnv.Delay] = pulumi.String(fmt.Sprintf("%ds", a.Drain.AppDrain()))
	plain[a.Container.DrainEnv.Timeout] = pulumi.String(fmt.Sprintf("%ds", a.Drain.Shutdown()))
	delete(plain, "") // where the app reads no such variable
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

// checksum changes with every Secret that the pods read; nil if there is none.
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

// Resources are what one container asks for and may use. All are Kubernetes quantities.
type Resources struct {
	// CPURequest is what the scheduler reserves, and 100 % to the autoscaler, e.g. 100m for a tenth of a core. Required.
	CPURequest string
	// CPULimit is where the kernel throttles. Empty for no limit, which lets a pod use idle CPU; a limit keeps one pod
	// from starving its neighbours, and must leave room above the request or latency rises before the autoscaler acts.
	CPULimit string
	// MemoryLimit is what a container is killed above. Required. E.g. 64Mi.
	MemoryLimit string
	// MemoryRequest is what the scheduler reserves. Empty for the limit: nothing is then promised twice.
	MemoryRequest string
	// EphemeralStorage on the node's disk, logs included, is reserved and limited. Empty for neither, e.g. 1Gi.
	EphemeralStorage string
}

// Validate reports everything wrong with the resources.
func (r Resources) Validate() field.ErrorList {
	cpu := append(check.CPU("cpuRequest", r.CPURequest), check.Optional(check.CPU, "cpuLimit", r.CPULimit)...)
	if len(cpu) == 0 {
		cpu = notBelow("cpuLimit", r.CPULimit, "CPU request", r.CPURequest)
	}
	memory := append(check.Memory("memoryLimit", r.MemoryLimit),
		check.Optional(check.Memory, "memoryRequest", r.MemoryRequest)...)
	if len(memory) == 0 {
		memory = notBelow("memoryLimit", r.MemoryLimit, "memory request", r.MemoryRequest)
	}
	return slices.Concat(cpu, memory, check.Optional(check.Storage, "ephemeralStorage", r.EphemeralStorage))
}

// notBelow wants a limit that is no smaller than the request, where both are given.
func notBelow(name, limit, of, request string) field.ErrorList {
	if limit == "" || request == "" {
		return nil
	}
	least, most := resource.MustParse(request), resource.MustParse(limit)
	if most.Cmp(least) < 0 {
		return check.Invalid(name, limit, "must be at least the "+of+" of "+request)
	}
	return nil
}

// Requirements is the form that a container takes.
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

// Probe is how the kubelet asks a container. Exactly one of HTTP, TCP and Exec is set.
// https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
type Probe struct {
	// HTTP is a path that is answered by 200 to 399 on the container's port.
	HTTP string
	// TCP asks whether the container's port accepts a connection.
	TCP bool
	// Exec is a command in the container that ends with 0.
	Exec []string
	// Seconds between two questions and for an answer, and misses in a row that count as a failure. 0: see Probes.
	PeriodSeconds, TimeoutSeconds, FailureThreshold int
}

// Probes tell the kubelet how a container is. A nil one has the default, and what of a given one is 0.
type Probes struct {
	// Startup succeeds once the container has started. Default: the question of Liveness, each second, 30 times. One
	// without HTTP, TCP and Exec asks what Liveness does: &Probe{FailureThreshold: 120} gives a slow start two minutes.
	Startup *Probe
	// Readiness says that the pod may get requests: once it can serve, until its shutdown begins. A pod whose backing
	// service is away should say no. Default: TCP, every 2 s, two misses.
	Readiness *Probe
	// Liveness says that the process is not stuck; a failure restarts the container. It must not ask a backing service: an
	// outage there would restart every pod. Default: TCP, every 10 s, three misses.
	Liveness *Probe
}

// HTTPProbes ask one path whether the process is alive, and another whether it is ready.
func HTTPProbes(live, ready string) Probes {
	return Probes{Readiness: &Probe{HTTP: ready}, Liveness: &Probe{HTTP: live}}
}

// Validate reports everything wrong with the probes.
func (p Probes) Validate() (problems field.ErrorList) {
	if p.Startup != nil && p.Startup.questions() == 0 { // it asks what Liveness does, which is checked there
		startup := *p.Startup
		startup.TCP = true
		p.Startup = &startup
	}
	for name, probe := range map[string]*Probe{"startup": p.Startup, "readiness": p.Readiness, "liveness": p.Liveness} {
		if probe != nil {
			problems = append(problems, check.In(name, probe.Validate())...)
		}
	}
	return problems
}

// questions is how many of HTTP, TCP and Exec are set.
func (p *Probe) questions() (n int) {
	for _, set := range []bool{p.HTTP != "", p.TCP, len(p.Exec) > 0} {
		if set {
			n++
		}
	}
	return n
}

// Validate reports everything wrong with the probe.
func (p *Probe) Validate() (problems field.ErrorList) {
	if p.questions() != 1 {
		problems = check.Invalid("http", p.HTTP, "must be given, or else one of tcp and exec")
	}
	return slices.Concat(problems,
		check.Optional(checkPath, "http", p.HTTP),
		check.Range("periodSeconds", p.PeriodSeconds, 0, 3600),
		check.Range("timeoutSeconds", p.TimeoutSeconds, 0, 3600),
		check.Range("failureThreshold", p.FailureThreshold, 0, 3600),
	)
}

// checkPath wants a path of a URL, without a query.
func checkPath(name, path string) field.ErrorList {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n?#") {
		return check.Invalid(name, path, "must be a path that begins with / and has neither white space nor ? nor #")
	}
	return nil
}

// startup has what is asked, each how many seconds and how often.
func (p Probes) startup() Probe {
	startup := *cmp.Or(p.Startup, &Probe{})
	if startup.questions() == 0 {
		first := cmp.Or(p.Liveness, &Probe{TCP: true})
		startup.HTTP, startup.TCP, startup.Exec = first.HTTP, first.TCP, first.Exec
		startup.TimeoutSeconds = cmp.Or(startup.TimeoutSeconds, first.TimeoutSeconds)
	}
	startup.PeriodSeconds = cmp.Or(startup.PeriodSeconds, 1)
	startup.FailureThreshold = cmp.Or(startup.FailureThreshold, 30)
	return startup
}

// startupSeconds are how long a container may take to start.
func (p Probes) startupSeconds() int { s := p.startup(); return s.PeriodSeconds * s.FailureThreshold }

// args are those of the three probes.
func (p Probes) args() (startup, readiness, liveness *corev1.ProbeArgs) {
	tcp, first := &Probe{TCP: true}, p.startup()
	return first.args(0, 0), cmp.Or(p.Readiness, tcp).args(2, 2), cmp.Or(p.Liveness, tcp).args(10, 3)
}

// args have the defaults filled in.
func (p *Probe) args(period, failures int) *corev1.ProbeArgs {
	args := &corev1.ProbeArgs{
		PeriodSeconds:    pulumi.Int(cmp.Or(p.PeriodSeconds, period)),
		TimeoutSeconds:   pulumi.Int(cmp.Or(p.TimeoutSeconds, 2)),
		FailureThreshold: pulumi.Int(cmp.Or(p.FailureThreshold, failures)),
	}
	switch {
	case p.HTTP != "":
		args.HttpGet = &corev1.HTTPGetActionArgs{Path: pulumi.String(p.HTTP), Port: pulumi.String(portName)}
	case p.TCP:
		args.TcpSocket = &corev1.TCPSocketActionArgs{Port: pulumi.String(portName)}
	default:
		args.Exec = &corev1.ExecActionArgs{Command: pulumi.ToStringArray(p.Exec)}
	}
	return args
}
