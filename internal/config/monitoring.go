package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"example.com/scaleout/components/monitoring"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/counter"
)

// Monitoring configures the monitoring of the app. At most one of Prometheus and Operator is set; without them there
// is none.
type Monitoring struct {
	Alerts monitoring.Alerts
	// Prometheus runs in the namespace, with a kube-state-metrics of KubeStateMetricsImage.
	Prometheus            *monitoring.PrometheusArgs
	KubeStateMetricsImage string
	KubeletInsecureTLS    bool
	// GrafanaImage is empty for no Grafana.
	GrafanaImage string
	// Operator creates objects with the OperatorLabels for a Prometheus Operator in the cluster.
	Operator       bool
	OperatorLabels map[string]string
}

func (d *decoder) monitoring(c *Config, t *Kubernetes) Monitoring {
	namespace := t.Namespace.Name
	m := Monitoring{
		Alerts: monitoring.Alerts{
			Namespace:  namespace,
			Objectives: d.objectives(c),
			Autoscaled: t.Web.Scaling.Fixed == 0,
			Runbook:    d.Text("runbookUrl"),
		},
		KubeStateMetricsImage: d.Text("kubeStateMetricsImage"),
		KubeletInsecureTLS:    d.Boolean("kubeletInsecureTls"),
		Operator:              d.Boolean("prometheusOperator"),
		OperatorLabels:        d.StringMap("prometheusLabels"),
	}
	prometheus := &monitoring.PrometheusArgs{}
	d.Fill("prometheus", prometheus)
	install, grafana, image := d.Boolean("installPrometheus"), d.Boolean("installGrafana"), d.Text("grafanaImage")
	d.RefuseIf(install && m.Operator,
		"prometheusOperator", "and installPrometheus %s: at most one of them may be true, since the app needs one "+
			"Prometheus", d.Display("installPrometheus"))
	if install {
		prometheus.Alerts = m.Alerts
		m.Prometheus = prometheus
		d.Check("prometheus", prometheus.Validate())
		d.CheckKey("kubeStateMetricsImage", check.Image("kubeStateMetricsImage", m.KubeStateMetricsImage))
	}
	if m.Operator {
		d.Check("prometheus", check.In("alerts", m.Alerts.Validate())) // under the same keys as the stack's own Prometheus
		if u, err := url.Parse(m.Alerts.Runbook); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			d.Refuse("runbookUrl", "must be an http or https URL with prometheusOperator, whose alerts link to it")
		}
		d.CheckKey("prometheusLabels", check.Labels("prometheusLabels", m.OperatorLabels))
	}
	if grafana && !install {
		d.Refuse("installGrafana", "but Grafana shows the data of installPrometheus; set that too")
	} else if grafana {
		m.GrafanaImage = image
		d.CheckKey("grafanaImage", check.Image("grafanaImage", image))
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
	hitCounter := c.Build != nil && c.Build.Context == defaultContext
	if hitCounter && !slices.Contains(counter.FastMilliseconds, o.FastMilliseconds) {
		d.CheckKey("sloFastMilliseconds", check.Invalid("sloFastMilliseconds", o.FastMilliseconds,
			"must be one of "+strings.Trim(strings.ReplaceAll(fmt.Sprint(counter.FastMilliseconds), " ", ", "), "[]")+
				": the bucket bounds of the hit counter's histogram"))
	}
	return o
}

// scraperNamespace returns the namespace of the operator's Prometheus. Without it the network policy would silently
// block the scraping.
func (d *decoder) scraperNamespace() string {
	namespace, operator := d.Text("prometheusNamespace"), d.Optional("prometheusOperator") == "true"
	d.RefuseIf(operator != (namespace != ""),
		"prometheusNamespace", "must be set together with prometheusOperator, or neither: the namespace of its Prometheus")
	if namespace != "" {
		d.CheckKey("prometheusNamespace", check.Label("prometheusNamespace", namespace))
	}
	return namespace
}
