package monitoring

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

const testAppPort = 9090

func testTarget(prefix string) Target {
	return Target{Pods: kube.WebAppPods(prefix + "web"), Port: testAppPort, PortName: "metrics", Path: "/metrics"}
}

func testPrometheus(prefix string) *PrometheusArgs {
	return &PrometheusArgs{
		Namespace: pulumi.String(prefix + "ns"), App: testTarget(prefix), Alerts: testAlerts(),
		KubeStateMetrics:     pulumi.String(prefix + "state.ns.svc:8080"),
		KubeStateMetricsPods: KubeStateMetricsPods(prefix + "state"),
		Readers:              []map[string]string{GrafanaPods(prefix + "grafana")},
		Image:                "docker.io/prom/prometheus:v3.5.0", RetentionDays: 15, StorageSize: "5Gi",
	}
}

func testGrafana(prefix string) *GrafanaArgs {
	return &GrafanaArgs{
		Namespace: pulumi.String(prefix + "ns"), Image: "docker.io/grafana/grafana:12.2.0",
		Prometheus: pulumi.String("http://prometheus"), PrometheusPods: PrometheusPods(prefix + "prometheus"),
		Dashboards: map[string]string{"home.json": "{}"}, Home: "home.json",
	}
}

func testOperator(prefix string) *OperatorArgs {
	return &OperatorArgs{
		Namespace: pulumi.String(prefix + "ns"), Name: "web", App: testTarget(prefix), Alerts: testAlerts(),
		Labels: map[string]string{"release": "x"}, Dashboards: map[string]string{"home.json": "{}"},
	}
}

func testState(prefix string) *KubeStateMetricsArgs {
	return &KubeStateMetricsArgs{
		Namespace: pulumi.String(prefix + "ns"), Image: "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0",
		Readers: []map[string]string{PrometheusPods(prefix + "prometheus")},
	}
}

// everything registers one of each component, all named after prefix.
func everything(ctx *pulumi.Context, prefix string) error {
	if _, err := NewOperator(ctx, prefix+"operator", testOperator(prefix)); err != nil {
		return err
	}
	if _, err := NewKubeStateMetrics(ctx, prefix+"state", testState(prefix)); err != nil {
		return err
	}
	if _, err := NewPrometheus(ctx, prefix+"prometheus", testPrometheus(prefix)); err != nil {
		return err
	}
	_, err := NewGrafana(ctx, prefix+"grafana", testGrafana(prefix))
	return err
}

func recordEverything(t *testing.T) *offline.Result {
	t.Helper()
	return componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
}

func TestTwoInstancesOfEachComponentCoexist(t *testing.T) { componenttest.Coexist(t, 25, everything) }

func TestPodsAreRestrictedAndBelowTheirComponents(t *testing.T) {
	result := recordEverything(t)
	componenttest.BelowComponents(t, result)
	pods := componenttest.Pods(result)
	if len(pods) != 3 {
		t.Errorf("got %d kinds of pods, want 3", len(pods))
	}
	for name, template := range pods {
		for _, problem := range componenttest.Unrestricted(template) {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// Prometheus may connect to the pods, Grafana to Prometheus, and users to Grafana through a forwarded port.
func TestMonitoringIsClosed(t *testing.T) {
	result := recordEverything(t)
	for _, c := range []struct {
		name, direction string
		want            []string
	}{
		{"state", "ingress", []string{"prometheus 8080"}},
		{"state", "egress", []string{"anyone 443", "anyone 6443"}},
		{"prometheus", "ingress", []string{"grafana 9090"}},
		{"prometheus", "egress", []string{"anyone 10250", "anyone 443", "anyone 6443", "state 8080", "web 9090"}},
		{"grafana", "ingress", nil},
		{"grafana", "egress", []string{"prometheus 9090"}},
	} {
		if got := componenttest.Openings(t, result, c.name, c.direction); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: got %q, want %q", c.name, c.direction, got, c.want)
		}
		types, _ := componenttest.Value(t, result, "NetworkPolicy", c.name, "spec", "policyTypes").([]any)
		if len(types) != 2 {
			t.Errorf("%s restricts %v, want both directions", c.name, types)
		}
	}
}

// No component may read Secrets or change anything, and only the kubelets' metrics are read outside the namespace.
func TestMonitoringMayOnlyLook(t *testing.T) {
	result := recordEverything(t)
	for _, c := range []struct{ kind, name, want string }{
		{"ClusterRole", "prometheus", "nodes: get list watch; nodes/metrics: get"},
		{"Role", "prometheus", "pods: get list watch"},
		{"Role", "state", "pods: list watch; deployments: list watch; horizontalpodautoscalers: list watch"},
	} {
		var lines []string
		rules, _ := componenttest.Value(t, result, c.kind, c.name, "rules").([]any)
		for _, rule := range rules {
			words := func(key string) string {
				var list []string
				values, _ := offline.Lookup(rule, key).([]any)
				for _, v := range values {
					list = append(list, v.(string))
				}
				return strings.Join(list, " ")
			}
			lines = append(lines, words("resources")+": "+words("verbs"))
		}
		if got := strings.Join(lines, "; "); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.kind, c.name, got, c.want)
		}
	}
}

// Grafana has no logins, so it needs no password and no Secret.
func TestGrafanaHasNoLogin(t *testing.T) {
	result := recordEverything(t)
	if componenttest.Has(result, "Secret") {
		t.Error("there is a Secret")
	}
	container := componenttest.Value(t, result, "Deployment", "grafana", "spec", "template", "spec", "containers", 0)
	vars := map[string]string{}
	list, _ := offline.Lookup(container, "env").([]any)
	for _, v := range list {
		name, _ := offline.Lookup(v, "name").(string)
		vars[name], _ = offline.Lookup(v, "value").(string)
	}
	for name, want := range map[string]string{
		"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer", "GF_AUTH_BASIC_ENABLED": "false",
		"GF_AUTH_DISABLE_LOGIN_FORM": "true", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
		"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/etc/grafana/dashboards/home.json",
	} {
		if vars[name] != want {
			t.Errorf("%s is %q, want %q", name, vars[name], want)
		}
	}
}

// jobs returns the scrape configurations, keyed by name.
func jobs(t *testing.T, result *offline.Result) map[string]any {
	t.Helper()
	text, _ := componenttest.Value(t, result, "ConfigMap", "prometheus-config", "data", "prometheus.yaml").(string)
	var config struct {
		Jobs []map[string]any `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	for _, job := range config.Jobs {
		found[job["job_name"].(string)] = job
	}
	return found
}

func prometheus(args *PrometheusArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := NewPrometheus(ctx, "prometheus", args)
		return err
	}
}

func TestPrometheusScrapesTheApp(t *testing.T) {
	found := jobs(t, recordEverything(t))
	if len(found) != 4 {
		t.Errorf("got the jobs %v, want 4", found)
	}
	if got := offline.Lookup(found["app"], "kubernetes_sd_configs", 0, "selectors", 0, "label"); got !=
		"app.kubernetes.io/instance=web,app.kubernetes.io/name=webapp" {
		t.Errorf("the app's pods are selected by %v", got)
	}
	if got := offline.Lookup(found["app"], "relabel_configs", 0, "regex"); got != "metrics" {
		t.Errorf("the app's port is called %v, want metrics", got)
	}
}

// An app without metrics still has the metrics of its containers.
func TestPrometheusWithoutMetricsOfTheApp(t *testing.T) {
	args := testPrometheus("")
	args.App, args.Alerts.Objectives = Target{Pods: kube.WebAppPods("web")}, nil
	result := componenttest.Record(t, prometheus(args))
	found := jobs(t, result)
	if _, scraped := found["app"]; scraped || len(found) != 3 {
		t.Errorf("got the jobs %v, want none for the app", found)
	}
	want := []string{"anyone 10250", "anyone 443", "anyone 6443", "state 8080"}
	if got := componenttest.Openings(t, result, "prometheus", "egress"); !slices.Equal(got, want) {
		t.Errorf("got egress %q, want %q", got, want)
	}
}

func TestPodMonitorOnlyForAnAppWithMetrics(t *testing.T) {
	operator := func(args *OperatorArgs) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := NewOperator(ctx, "operator", args)
			return err
		}
	}
	args := testOperator("")
	result := componenttest.Record(t, operator(args))
	for _, object := range [][2]string{{"PodMonitor", "operator"}, {"PrometheusRule", "operator-rules"}} {
		if got := componenttest.Value(t, result, object[0], object[1], "metadata", "labels", "release"); got != "x" {
			t.Errorf("%s has the label release %v, want x: the operator would ignore it", object[0], got)
		}
	}
	endpoint := componenttest.Value(t, result, "PodMonitor", "operator", "spec", "podMetricsEndpoints", 0)
	if offline.Lookup(endpoint, "port") != "metrics" || offline.Lookup(endpoint, "path") != "/metrics" {
		t.Errorf("it scrapes %v, want /metrics of the port metrics", endpoint)
	}
	args.App, args.Alerts.Objectives, args.Dashboards = Target{Pods: kube.WebAppPods("web")}, nil, nil
	result = componenttest.Record(t, operator(args))
	if componenttest.Has(result, "PodMonitor") || componenttest.Has(result, "ConfigMap") {
		t.Error("there is a PodMonitor or a ConfigMap, want the rules alone")
	}
	componenttest.Find(t, result, "PrometheusRule", "operator-rules")
}

// The oldest metrics are deleted before the volume is full.
func TestRetentionLeavesRoom(t *testing.T) {
	if got, want := testPrometheus("").retentionBytes(), int64(4<<30); got != want {
		t.Errorf("got %d bytes of 5Gi, want %d", got, want)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	long := strings.Repeat("a", 53)
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"kube-state-metrics": {func(ctx *pulumi.Context) error {
			_, err := NewKubeStateMetrics(ctx, long, &KubeStateMetricsArgs{Readers: []map[string]string{{}}})
			return err
		}, []string{"namespace", "image", "readers[0]", "name"}},
		"prometheus": {func(ctx *pulumi.Context) error {
			_, err := NewPrometheus(ctx, long, &PrometheusArgs{
				StorageClass: "A", Alerts: Alerts{Objectives: &Objectives{Selector: "a"}}, Readers: []map[string]string{nil},
				App: Target{Port: 1},
			})
			return err
		}, []string{
			"namespace", "app.pods", "app.portName", "app.path", "kubeStateMetrics", "alerts.namespace",
			"alerts.objectives.availabilityPercent", "alerts.objectives.fastPercent", "alerts.objectives.fastMilliseconds",
			"alerts.objectives.histogram", "alerts.objectives.selector", "alerts.runbook", "image", "retentionDays",
			"storageSize",
			"storageClass", "readers[0]", "name",
		}},
		"grafana": {func(ctx *pulumi.Context) error {
			_, err := NewGrafana(ctx, long, &GrafanaArgs{Image: "grafana"})
			return err
		}, []string{"namespace", "image", "prometheus", "prometheusPods", "home", "name"}},
		"operator monitoring": {func(ctx *pulumi.Context) error {
			_, err := NewOperator(ctx, "my monitoring", &OperatorArgs{
				Name: long, Alerts: testAlerts(), Labels: map[string]string{"a b": "c"},
			})
			return err
		}, []string{"namespace", "app.pods", "labels", "name", "component"}},
	} {
		t.Run(name, func(t *testing.T) { componenttest.Refuses(t, test.program, test.fields...) })
	}
}
