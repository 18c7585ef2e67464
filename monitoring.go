package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
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
func scrapers(cfg *config.Config, target *config.Kubernetes) []kube.Peer {
	if target.Monitoring.Prometheus == nil || cfg.App.Metrics == nil {
		return nil
	}
	return []kube.Peer{{Pods: monitoring.PrometheusPods(prometheusName), Ports: []int{cfg.App.Metrics.Port}}}
}

// monitor sets up monitoring of the app: by a Prometheus in its namespace, or by one that an operator runs.
func monitor(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, namespace *kube.Namespace,
	cluster pulumi.ResourceOption,
) error {
	m := &target.Monitoring
	app := monitoring.Target{Pods: kube.WebAppPods(webName)}
	if metrics := cfg.App.Metrics; metrics != nil {
		app.Port, app.PortName, app.Path = metrics.Port, target.Web.Container.MetricsPortName(), metrics.Path
	}
	if args := m.Operator; args != nil {
		args.Namespace, args.Name, args.App, args.Dashboards = namespace.Name, webName, app, counter.Dashboards
		_, err := monitoring.NewOperator(ctx, "monitoring", args, cluster)
		return err
	}
	if m.Prometheus == nil {
		return nil
	}
	state, err := monitoring.NewKubeStateMetrics(ctx, stateName, &monitoring.KubeStateMetricsArgs{
		Namespace: namespace.Name, Image: m.KubeStateMetricsImage,
		Readers: []map[string]string{monitoring.PrometheusPods(prometheusName)},
	}, cluster)
	if err != nil {
		return err
	}
	args := m.Prometheus
	args.Namespace, args.App = namespace.Name, app
	args.KubeStateMetrics, args.KubeStateMetricsPods = state.Address, monitoring.KubeStateMetricsPods(stateName)
	args.Readers = []map[string]string{monitoring.GrafanaPods(grafanaName)}
	prometheus, err := monitoring.NewPrometheus(ctx, prometheusName, args, cluster)
	if err != nil {
		return err
	}
	ctx.Export("prometheus", prometheus.Service)
	if m.GrafanaImage == "" {
		return nil
	}
	grafana, err := monitoring.NewGrafana(ctx, grafanaName, &monitoring.GrafanaArgs{
		Namespace: namespace.Name, Image: m.GrafanaImage, Prometheus: prometheus.URL,
		PrometheusPods: monitoring.PrometheusPods(prometheusName),
		Dashboards:     counter.Dashboards, Home: counter.HomeDashboard,
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("grafana", grafana.Service)
	return nil
}
