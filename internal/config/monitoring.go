package config

import (
	"net/url"
	"strconv"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/counter"
)

// Monitoring configures the monitoring of the app. At most one of Prometheus and Operator is set, neither for none.
type Monitoring struct {
	Prometheus            *monitoring.PrometheusArgs // in the namespace, with kube-state-metrics
	KubeStateMetricsImage string
	GrafanaImage          string                   // empty for no Grafana
	Operator              *monitoring.OperatorArgs // objects for a Prometheus Operator in the cluster
}

// monitoring also lets the operator's Prometheus reach the app's metrics.
func (d *decoder) monitoring(c *Config, t *Kubernetes) Monitoring {
	alerts := monitoring.Alerts{
		Namespace: t.Namespace.Name, Objectives: d.objectives(c), Autoscaled: t.Web.Scaling.Fixed == 0,
		Rules: counter.Alerts, Runbook: d.Text("runbookUrl"),
	}
	scraper := d.Text("prometheusNamespace")
	m := Monitoring{KubeStateMetricsImage: d.Text("kubeStateMetricsImage")}
	prometheus := &monitoring.PrometheusArgs{Alerts: alerts, KubeletInsecureTLS: d.Boolean("kubeletInsecureTls")}
	d.Fill("prometheus", prometheus)
	operator := &monitoring.OperatorArgs{Alerts: alerts, Labels: d.StringMap("prometheusLabels")}
	install, operated := d.Boolean("installPrometheus"), d.Boolean("prometheusOperator")
	grafana, image := d.Boolean("installGrafana"), d.Text("grafanaImage")
	d.RefuseIf(install && operated, "prometheusOperator", "and installPrometheus %s: at most one of them may be true, "+
		"since the app needs one Prometheus", d.Display("installPrometheus"))
	if install {
		m.Prometheus = prometheus
		d.Check("prometheus", prometheus.Validate())
		d.Check("kubeStateMetricsImage", check.Image("kubeStateMetricsImage", m.KubeStateMetricsImage))
	}
	if operated {
		m.Operator = operator
		d.Check("prometheus.alerts", alerts.Validate())
		u, err := url.Parse(alerts.Runbook)
		d.RefuseIf(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http",
			"runbookUrl", "must be an http or https URL with prometheusOperator, whose alerts link to it")
		d.Check("prometheusLabels", check.Labels("prometheusLabels", operator.Labels))
	}
	d.RefuseIf(operated != (scraper != ""),
		"prometheusNamespace", "must be set together with prometheusOperator, or neither: the namespace of its Prometheus")
	d.Check("prometheusNamespace", check.Optional(check.Label, "prometheusNamespace", scraper))
	if scraper != "" && c.App.Metrics != nil { // otherwise the network policy would silently block the scraping
		t.Web.AllowFrom = append(t.Web.AllowFrom, kube.Peer{Namespace: scraper, Ports: []int{c.App.Metrics.Port}})
	}
	d.RefuseIf(grafana && !install, "installGrafana", "but Grafana shows the data of installPrometheus; set that too")
	if grafana {
		m.GrafanaImage = image
		d.Check("grafanaImage", check.Image("grafanaImage", image))
	}
	return m
}

// objectives returns nil for an app without its own metrics.
func (d *decoder) objectives(c *Config) *monitoring.Objectives {
	o := &monitoring.Objectives{}
	d.Fill("prometheus.alerts.objectives", o)
	if c.App.Metrics == nil || o.Histogram == "" {
		return nil
	}
	if c.Build != nil && c.Build.Context == defaultContext { // the hit counter
		bound := strconv.Itoa(o.FastMilliseconds)
		d.Check("sloFastMilliseconds", check.OneOf("sloFastMilliseconds", bound, counter.FastMilliseconds...))
	}
	return o
}
