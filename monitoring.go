package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
	"example.com/scaleout/internal/counter"
)

// Names of the monitoring components, which network policies refer to before the components exist.
const (
	prometheusName = "prometheus"
	stateName      = "kube-state-metrics"
	grafanaName    = "grafana"
)

// scrapers returns the peers that may scrape the app's metrics: the Prometheus of this stack, if any.
func scrapers(cfg *config.Config) []kube.Peer {
	if cfg.Kubernetes.Monitoring.Prometheus == nil || cfg.App.Metrics == nil {
		return nil
	}
	return []kube.Peer{{Pods: monitoring.PrometheusPods(prometheusName), Ports: []int{cfg.App.Metrics.Port}}}
}

// monitor sets up monitoring of the app: by a Prometheus in its namespace, or by one that an operator runs.
func monitor(b *component.Builder, cfg *config.Config, namespace *kube.Namespace, cluster pulumi.ResourceOption) {
	m := &cfg.Kubernetes.Monitoring
	app := monitoring.Target{Pods: kube.WebAppPods(webName)}
	if metrics := cfg.App.Metrics; metrics != nil {
		app.Port, app.PortName, app.Path = metrics.Port, cfg.Kubernetes.Web.Container.MetricsPortName(), metrics.Path
	}
	if args := m.Operator; args != nil {
		args.Namespace, args.Name, args.App, args.Dashboards = namespace.Name, webName, app, counter.Dashboards
		component.Create(b, monitoring.NewOperator, "monitoring", args, cluster)
		return
	}
	if m.Prometheus == nil {
		return
	}
	state := component.Create(b, monitoring.NewKubeStateMetrics, stateName, &monitoring.KubeStateMetricsArgs{
		Namespace: namespace.Name, Image: m.KubeStateMetricsImage,
		Readers: []map[string]string{monitoring.PrometheusPods(prometheusName)},
	}, cluster)
	args := m.Prometheus
	args.Namespace, args.App = namespace.Name, app
	args.KubeStateMetrics, args.KubeStateMetricsPods = state.Address, monitoring.KubeStateMetricsPods(stateName)
	args.Readers = []map[string]string{monitoring.GrafanaPods(grafanaName)}
	prometheus := component.Create(b, monitoring.NewPrometheus, prometheusName, args, cluster)
	b.Context.Export("prometheus", prometheus.Service)
	if m.GrafanaImage == "" {
		return
	}
	grafana := component.Create(b, monitoring.NewGrafana, grafanaName, &monitoring.GrafanaArgs{
		Namespace: namespace.Name, Image: m.GrafanaImage, Prometheus: prometheus.URL,
		PrometheusPods: monitoring.PrometheusPods(prometheusName),
		Dashboards:     counter.Dashboards, Home: counter.HomeDashboard,
	}, cluster)
	b.Context.Export("grafana", grafana.Service)
}
