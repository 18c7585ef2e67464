package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
)

// prometheusName is the name of the Prometheus, which the app has to admit before it exists.
const prometheusName = "prometheus"

func scrapers(target *config.Kubernetes) []components.App {
	if target.Monitoring.Prometheus == nil {
		return nil
	}
	return []components.App{components.PrometheusPods(prometheusName)}
}

// monitor has the app measured: by a Prometheus of its own, or by one that an operator runs.
func monitor(
	ctx *pulumi.Context, m *config.Monitoring, namespace *components.Namespace, cluster pulumi.ResourceOption,
) error {
	if m.Operator != nil {
		_, err := components.NewOperatorMonitoring(ctx, "monitoring", &components.OperatorMonitoringArgs{
			Namespace: namespace.Name, App: components.WebAppPods(webName), Alerts: m.Alerts, Labels: m.Operator.Labels,
		}, cluster)
		return err
	}
	if m.Prometheus == nil {
		return nil
	}
	const stateName = "kube-state-metrics"
	state, err := components.NewKubeStateMetrics(ctx, stateName, &components.KubeStateMetricsArgs{
		Namespace: namespace.Name, Image: m.KubeStateMetricsImage,
		Readers: []components.App{components.PrometheusPods(prometheusName)},
	}, cluster)
	if err != nil {
		return err
	}
	const grafanaName = "grafana"
	prometheus, err := components.NewPrometheus(ctx, prometheusName, &components.PrometheusArgs{
		Namespace: namespace.Name, App: components.WebAppPods(webName), Alerts: m.Alerts,
		KubeStateMetrics: state.Address, KubeStateMetricsPods: components.KubeStateMetricsPods(stateName),
		KubeletInsecureTLS: m.KubeletInsecureTLS, Readers: []components.App{components.GrafanaPods(grafanaName)},
		PrometheusSettings: *m.Prometheus,
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("prometheus", prometheus.Service)
	if m.GrafanaImage == "" {
		return nil
	}
	grafana, err := components.NewGrafana(ctx, grafanaName, &components.GrafanaArgs{
		Namespace: namespace.Name, Image: m.GrafanaImage,
		Prometheus: prometheus.URL, PrometheusPods: components.PrometheusPods(prometheusName),
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("grafana", grafana.Service)
	return nil
}
