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
	dashboards, err := counter.Dashboards()
	if err != nil {
		return err
	}
	app := monitoring.Target{Pods: kube.WebAppPods(webName)}
	if metrics := cfg.App.Metrics; metrics != nil {
		app.Port, app.PortName, app.Path = metrics.Port, target.Web.Container.MetricsPortName(), metrics.Path
	}
	alerts := m.Alerts
	alerts.Rules = counter.Alerts
	if m.Operator {
		_, err := monitoring.NewOperator(ctx, "monitoring", &monitoring.OperatorArgs{
			Namespace: namespace.Name, Name: webName, App: app, Alerts: alerts, Labels: m.OperatorLabels, Dashboards: dashboards,
		}, cluster)
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
	args := *m.Prometheus
	args.Namespace, args.App, args.Alerts = namespace.Name, app, alerts
	args.KubeStateMetrics, args.KubeStateMetricsPods = state.Address, monitoring.KubeStateMetricsPods(stateName)
	args.KubeletInsecureTLS = m.KubeletInsecureTLS
	args.Readers = []map[string]string{monitoring.GrafanaPods(grafanaName)}
	prometheus, err := monitoring.NewPrometheus(ctx, prometheusName, &args, cluster)
	if err != nil {
		return err
	}
	ctx.Export("prometheus", prometheus.Service)
	if m.GrafanaImage == "" {
		return nil
	}
	grafana, err := monitoring.NewGrafana(ctx, grafanaName, &monitoring.GrafanaArgs{
		Namespace: namespace.Name, Image: m.GrafanaImage, Prometheus: prometheus.URL,
		PrometheusPods: monitoring.PrometheusPods(prometheusName), Dashboards: dashboards, Home: counter.HomeDashboard,
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("grafana", grafana.Service)
	return nil
}
