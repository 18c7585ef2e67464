package monitoring_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
)

var app = monitoring.Target{Pods: kube.WebAppPods("web"), Port: 9090, PortName: "metrics", Path: "/metrics"}

var alerts = monitoring.Alerts{
	Namespace: "shop", Runbook: "https://example.com/runbook", Autoscaled: true,
	Objectives: &monitoring.Objectives{
		Histogram: "http_request_duration_seconds", Selector: `route="/"`,
		AvailabilityPercent: 99.9, FastPercent: 99, FastMilliseconds: 100,
	},
	Rules: []monitoring.Alert{{
		Name: "QueueIsLong", Expr: `max(shop_queue_length{namespace="$namespace"}) > 1000`, For: "10m",
		Severity: monitoring.Ticket, Summary: "{{ $value }} orders wait",
	}},
}

// A dedicated Prometheus for the app, with the state of its pods from kube-state-metrics.
func ExampleNewPrometheus() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		namespace, scraper := pulumi.String("shop"), []map[string]string{monitoring.PrometheusPods("prometheus")}
		state, err := monitoring.NewKubeStateMetrics(ctx, "state", &monitoring.KubeStateMetricsArgs{
			Namespace: namespace, Image: "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0", Readers: scraper,
		})
		if err != nil {
			return err
		}
		_, err = monitoring.NewPrometheus(ctx, "prometheus", &monitoring.PrometheusArgs{
			Namespace: namespace, App: app, Alerts: alerts,
			KubeStateMetrics: state.Address, KubeStateMetricsPods: monitoring.KubeStateMetricsPods("state"),
			Readers: []map[string]string{monitoring.GrafanaPods("grafana")},
			Image:   "docker.io/prom/prometheus:v3.5.0", RetentionDays: 15, StorageSize: "5Gi",
		})
		return err
	})
}

func ExampleNewKubeStateMetrics() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		state, err := monitoring.NewKubeStateMetrics(ctx, "state", &monitoring.KubeStateMetricsArgs{
			Namespace: pulumi.String("shop"), Image: "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0",
			Readers: []map[string]string{monitoring.PrometheusPods("prometheus")},
		})
		if err != nil {
			return err
		}
		ctx.Export("state", state.Address)
		return nil
	})
}

// Dashboards over a Prometheus, for users who may forward a port to Grafana.
func ExampleNewGrafana() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		grafana, err := monitoring.NewGrafana(ctx, "grafana", &monitoring.GrafanaArgs{
			Namespace: pulumi.String("shop"), Image: "docker.io/grafana/grafana:12.2.0",
			Prometheus:     pulumi.String("http://prometheus.shop.svc:9090"),
			PrometheusPods: monitoring.PrometheusPods("prometheus"),
			Dashboards:     map[string]string{"shop.json": `{"title": "Shop", "panels": []}`}, Home: "shop.json",
		})
		if err != nil {
			return err
		}
		ctx.Export("grafana", grafana.Service)
		return nil
	})
}

// The same for a cluster with kube-prometheus-stack.
func ExampleNewOperator() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		_, err := monitoring.NewOperator(ctx, "monitoring", &monitoring.OperatorArgs{
			Namespace: pulumi.String("shop"), Name: "web", App: app, Alerts: alerts,
			Labels: map[string]string{"release": "kube-prometheus-stack"},
		})
		return err
	})
}
