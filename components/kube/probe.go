package kube

import (
	"cmp"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Probe is how the kubelet asks a container. Exactly one of HTTP, TCP and Exec is set.
// https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
type Probe struct {
	// HTTP is a path that is answered by 200 to 399 on the container's port.
	HTTP string
	// TCP asks whether the container's port accepts a connection.
	TCP bool
	// Exec is a command in the container that ends with 0.
	Exec []string
	// PeriodSeconds between two questions, TimeoutSeconds for an answer (2), FailureThreshold misses in a row that count as
	// a failure. 0 for the default of the kind of probe: see Probes.
	PeriodSeconds, TimeoutSeconds, FailureThreshold int
}

// Probes tell the kubelet how a container is. A nil one has the default, and what of a given one is 0.
type Probes struct {
	// Startup succeeds once the container has started; the others begin then. Default: the question of Liveness with its
	// time for an answer, each second, 30 times.
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
func (p Probes) Validate() field.ErrorList {
	var problems field.ErrorList
	for _, each := range []struct {
		name  string
		probe *Probe
	}{{"startup", p.Startup}, {"readiness", p.Readiness}, {"liveness", p.Liveness}} {
		if each.probe != nil {
			problems = append(problems, check.In(each.name, each.probe.Validate())...)
		}
	}
	return problems
}

// Validate reports everything wrong with the probe.
func (p *Probe) Validate() field.ErrorList {
	var problems field.ErrorList
	given := 0
	for _, set := range []bool{p.HTTP != "", p.TCP, len(p.Exec) > 0} {
		if set {
			given++
		}
	}
	if given != 1 {
		problems = check.Invalid("http", p.HTTP, "must be given, or else one of tcp and exec")
	}
	if p.HTTP != "" {
		problems = append(problems, checkPath("http", p.HTTP)...)
	}
	problems = append(problems, check.Range("periodSeconds", p.PeriodSeconds, 0, 3600)...)
	problems = append(problems, check.Range("timeoutSeconds", p.TimeoutSeconds, 0, 3600)...)
	return append(problems, check.Range("failureThreshold", p.FailureThreshold, 0, 3600)...)
}

// checkPath wants a path of a URL, without a query.
func checkPath(name, path string) field.ErrorList {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n?#") {
		return check.Invalid(name, path, "must be a path that begins with / and has neither white space nor ? nor #")
	}
	return nil
}

func (p Probes) startup() *corev1.ProbeArgs {
	like := Probe{TCP: true}
	if p.Liveness != nil {
		like = *p.Liveness
		like.PeriodSeconds, like.FailureThreshold = 0, 0
	}
	return p.Startup.with(like, 1, 30)
}

func (p Probes) readiness() *corev1.ProbeArgs { return p.Readiness.with(Probe{TCP: true}, 2, 2) }

func (p Probes) liveness() *corev1.ProbeArgs { return p.Liveness.with(Probe{TCP: true}, 10, 3) }

// with fills in the defaults.
func (p *Probe) with(fallback Probe, period, failures int) *corev1.ProbeArgs {
	if p == nil {
		p = &fallback
	}
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
