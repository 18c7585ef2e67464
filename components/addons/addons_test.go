package addons

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

func testTraefik() *TraefikArgs {
	return &TraefikArgs{
		Image: "docker.io/traefik:v3.6.12", HTTPNodePort: 30080, HTTPSNodePort: 30443, LongestRequest: 10,
	}
}

func traefik(name string, args *TraefikArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := NewTraefik(ctx, name, args)
		return err
	}
}

func metricsServer(name string, args *MetricsServerArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := NewMetricsServer(ctx, name, args)
		return err
	}
}

var testMetricsServer = &MetricsServerArgs{Image: "registry.k8s.io/metrics-server/metrics-server:v0.8.0"}

func TestTwoIngressControllersCoexist(t *testing.T) {
	componenttest.Coexist(t, 12, func(ctx *pulumi.Context, prefix string) error {
		return traefik(prefix+"traefik", testTraefik())(ctx)
	})
}

func TestPodsAreRestrictedAndBelowTheirComponents(t *testing.T) {
	for _, program := range []pulumi.RunFunc{traefik("traefik", testTraefik()),
		metricsServer("metrics-server", testMetricsServer)} {
		result := componenttest.Record(t, program)
		componenttest.BelowComponents(t, result)
		pods := componenttest.Pods(result)
		if len(pods) != 1 {
			t.Errorf("got the pods %v, want those of one Deployment", pods)
		}
		for name, template := range pods {
			for _, problem := range componenttest.Unrestricted(template) {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}

func arguments(t *testing.T, result *offline.Result, deployment string) []any {
	t.Helper()
	args, _ := componenttest.Value(t, result, "Deployment", deployment, "spec", "template", "spec", "containers", 0,
		"args").([]any)
	return args
}

func TestTraefikArguments(t *testing.T) {
	args := arguments(t, componenttest.Record(t, traefik("proxy", testTraefik())), "proxy")
	for _, want := range []string{
		// Without it, no Ingress is served on the HTTPS entry point.
		"--entrypoints.https.http.tls=true",
		"--entrypoints.https.address=:8443",
		"--providers.kubernetesingress.ingressclass=proxy",
		"--providers.kubernetesingress.ingressendpoint.hostname=localhost",
	} {
		if !slices.Contains(args, any(want)) {
			t.Errorf("got %q, want %s among them", args, want)
		}
	}
	for _, arg := range args {
		if !strings.HasPrefix(arg.(string), "--") || strings.Contains(arg.(string), "%!") {
			t.Errorf("%q is not a flag", arg)
		}
	}
}

// The nodes still send new connections to a terminating Traefik for a moment.
func TestTraefikDrains(t *testing.T) {
	if traefikConnectionAge >= traefikPreStop {
		t.Errorf("connections of %d s, a sleep of %d s: want the first below the second",
			traefikConnectionAge, traefikPreStop)
	}
	for longest, flag := range map[int]string{10: "", 90: "--entrypoints.http.transport.lifecycle.gracetimeout=90s"} {
		args := testTraefik()
		args.LongestRequest = longest
		result := componenttest.Record(t, traefik("traefik", args))
		spec := componenttest.Value(t, result, "Deployment", "traefik", "spec", "template", "spec")
		sleep := offline.Lookup(spec, "containers", 0, "lifecycle", "preStop", "sleep", "seconds")
		grace := offline.Lookup(spec, "terminationGracePeriodSeconds")
		if want := int64(traefikPreStop + longest + traefikEnd); sleep != int64(traefikPreStop) || grace != want {
			t.Errorf("got sleep %v and grace %v, want %d and %d", sleep, grace, traefikPreStop, want)
		}
		flags := fmt.Sprint(offline.Lookup(spec, "containers", 0, "args"))
		if got := strings.Contains(flags, "lifecycle.gracetimeout"); got != (flag != "") || !strings.Contains(flags, flag) {
			t.Errorf("requests of %d s: got the flags %s, want %q", longest, flags, flag)
		}
	}
}

func TestTraefikIsOpenOnItsEntryPointsOnly(t *testing.T) {
	result := componenttest.Record(t, traefik("traefik", testTraefik()))
	if got := componenttest.Openings(t, result, "traefik", "ingress"); !slices.Equal(got,
		[]string{"anyone 8000", "anyone 8443"}) {
		t.Errorf("got %q, want the two entry points", got)
	}
	if got := componenttest.Openings(t, result, "traefik-default-deny", "ingress"); got != nil {
		t.Errorf("the namespace admits %q, want no peer", got)
	}
}

func TestInsecureKubeletsOnlyIfAsked(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		args := *testMetricsServer
		args.KubeletInsecureTLS = insecure
		got := arguments(t, componenttest.Record(t, metricsServer("metrics-server", &args)), "metrics-server")
		if slices.Contains(got, any("--kubelet-insecure-tls")) != insecure {
			t.Errorf("insecure %t: got %q", insecure, got)
		}
	}
}

// The API is ready once it responds, and an autoscaler depends on that.
func TestMetricsServerIsReadyWhenItsAPIIs(t *testing.T) {
	result := componenttest.Record(t, metricsServer("metrics-server", testMetricsServer))
	api := componenttest.Find(t, result, "APIService", "metrics-server")
	if wait := offline.Lookup(api.Inputs, "metadata", "annotations", "pulumi.com/waitFor"); wait != "condition=Available" {
		t.Errorf("got %v, want condition=Available", wait)
	}
	if !result.DependsOn(api.URN, componenttest.Find(t, result, "Deployment", "metrics-server").URN) {
		t.Error("the API does not depend on the pods that serve it")
	}
}

func TestConstructorsRefuse(t *testing.T) {
	long := strings.Repeat("a", 53)
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"traefik": {traefik("traefik", &TraefikArgs{Image: "docker.io/traefik:latest", HTTPNodePort: 80}),
			[]string{"image", "httpNodePort", "httpsNodePort", "longestRequest"}},
		"one port for both": {traefik("traefik", &TraefikArgs{
			Image: "docker.io/traefik:v3.6.12", HTTPNodePort: 30080, HTTPSNodePort: 30080, LongestRequest: 10,
		}), []string{"httpsNodePort"}},
		"long name":                 {traefik(long, testTraefik()), []string{"name"}},
		"metrics-server":            {metricsServer("metrics-server", &MetricsServerArgs{}), []string{"image"}},
		"long name, metrics-server": {metricsServer(long, testMetricsServer), []string{"name"}},
	} {
		t.Run(name, func(t *testing.T) { componenttest.Refuses(t, test.program, test.fields...) })
	}
}
