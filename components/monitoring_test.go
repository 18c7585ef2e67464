package components

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/offline"
)

// openings are what a network policy admits in one direction, as "app port"; a peer without a selector is anyone.
func openings(t *testing.T, result *offline.Result, name, direction, peers string) (all []string) {
	t.Helper()
	policy := find(t, result, "NetworkPolicy", name)
	rules, _ := offline.Lookup(policy.Inputs, "spec", direction).([]any)
	for _, rule := range rules {
		who := "anyone"
		if instance, ok := offline.Lookup(rule, peers, 0, "podSelector", "matchLabels", "app.kubernetes.io/instance").(string); ok {
			who = instance
		} else if namespace, ok := offline.Lookup(rule, peers, 0, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name").(string); ok {
			who = "namespace " + namespace
		}
		ports, _ := offline.Lookup(rule, "ports").([]any)
		for _, p := range ports {
			all = append(all, fmt.Sprint(who, " ", offline.Lookup(p, "port")))
		}
	}
	slices.Sort(all)
	return all
}

// Who may ask whom: the app's metrics are for Prometheus, Prometheus is for Grafana, and Grafana is for those who may
// forward a port.
func TestMonitoringIsClosed(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	for _, c := range []struct {
		name, direction, peers string
		want                   []string
	}{
		{"web", "ingress", "from", []string{"namespace traefik 5000", "prometheus 9090"}},
		{"state", "ingress", "from", []string{"prometheus 8080"}},
		{"state", "egress", "to", []string{"anyone 443", "anyone 6443"}},
		{"prometheus", "ingress", "from", []string{"grafana 9090"}},
		{"prometheus", "egress", "to", []string{"anyone 10250", "anyone 443", "anyone 6443", "state 8080", "web 9090"}},
		{"grafana", "ingress", "from", nil},
		{"grafana", "egress", "to", []string{"prometheus 9090"}},
	} {
		if got := openings(t, result, c.name, c.direction, c.peers); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: got %q, want %q", c.name, c.direction, got, c.want)
		}
	}
}

// A Prometheus in another namespace is admitted to the metrics alone.
func TestScraperNamespace(t *testing.T) {
	settings := testWeb
	settings.ScraperNamespace = "monitoring"
	result := record(t, func(ctx *pulumi.Context) error { return webAlone(ctx, settings) })
	if got, want := openings(t, result, "web", "ingress", "from"), []string{"namespace monitoring 9090", "namespace traefik 5000"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Nothing may read a Secret or change anything, and only the kubelets' metrics are read beyond the namespace.
func TestMonitoringMayOnlyLook(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	for _, c := range []struct{ kind, name, want string }{
		{"ClusterRole", "prometheus", "nodes: get list watch; nodes/metrics: get"},
		{"Role", "prometheus", "pods: get list watch"},
		{"Role", "state", "pods: list watch; deployments: list watch; horizontalpodautoscalers: list watch"},
	} {
		var lines []string
		rules, _ := offline.Lookup(find(t, result, c.kind, c.name).Inputs, "rules").([]any)
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

// The bounds that an objective can have are bounds of the app's histogram: the rules ask for a bucket by name.
func TestFastBoundsAreBuckets(t *testing.T) {
	source, err := os.ReadFile("../app/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "durationBuckets = []float64{")
	list, _, _ = strings.Cut(list, "}")
	var buckets []int
	for _, text := range strings.Split(list, ",") {
		seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			t.Fatalf("reading the app's buckets: %v", err)
		}
		buckets = append(buckets, int(seconds*1000))
	}
	for _, bound := range fastBounds {
		if !slices.Contains(buckets, bound) {
			t.Errorf("%d ms is none of the app's buckets %v", bound, buckets)
		}
	}
}

// Nobody can log in to Grafana, so it needs no password, and nothing that has one is made.
func TestGrafanaHasNoLogin(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	container := offline.Lookup(find(t, result, "Deployment", "grafana").Inputs, "spec", "template", "spec", "containers", 0)
	vars := map[string]string{}
	list, _ := offline.Lookup(container, "env").([]any)
	for _, v := range list {
		name, _ := offline.Lookup(v, "name").(string)
		vars[name], _ = offline.Lookup(v, "value").(string)
	}
	for name, want := range map[string]string{
		"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer", "GF_AUTH_BASIC_ENABLED": "false",
		"GF_AUTH_DISABLE_LOGIN_FORM": "true", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
	} {
		if vars[name] != want {
			t.Errorf("%s is %q, want %q", name, vars[name], want)
		}
	}
}

// The old measurements go before the volume is full.
func TestRetentionLeavesRoom(t *testing.T) {
	s := PrometheusSettings{StorageSize: "5Gi"}
	if got, want := s.retentionBytes(), int64(4<<30); got != want {
		t.Errorf("got %d bytes of 5Gi, want %d", got, want)
	}
}
