package config

import (
	"net/url"

	"scaleout/components"
	"scaleout/internal/check"
)

// Monitoring is how the app is measured. At most one of Prometheus and Operator is set; neither measures nothing.
type Monitoring struct {
	Alerts components.Alerts
	// Prometheus is run in the namespace, together with kube-state-metrics of that image.
	Prometheus            *components.PrometheusSettings
	KubeStateMetricsImage string
	KubeletInsecureTLS    bool
	// GrafanaImage is empty for no Grafana.
	GrafanaImage string
	// Operator is told about the app.
	Operator *Operator
}

// Operator is a Prometheus Operator that runs in the cluster already.
type Operator struct {
	// Labels that it looks for.
	Labels map[string]string
}

func (d *decoder) monitoring(namespace string) Monitoring {
	m := Monitoring{
		Alerts: components.Alerts{
			Namespace: namespace,
			Objectives: components.Objectives{
				AvailabilityPercent: d.Decimal("sloAvailabilityPercent"),
				FastPercent:         d.Decimal("sloFastPercent"),
				FastMilliseconds:    d.Integer("sloFastMilliseconds"),
			},
			Runbook: d.Text("runbookUrl"),
		},
		KubeStateMetricsImage: d.Text("kubeStateMetricsImage"),
		KubeletInsecureTLS:    d.Boolean("kubeletInsecureTls"),
	}
	prometheus := &components.PrometheusSettings{
		Image:         d.Text("prometheusImage"),
		RetentionDays: d.Integer("prometheusRetentionDays"),
		StorageSize:   d.Text("prometheusStorageSize"),
		StorageClass:  d.Text("prometheusStorageClass"),
	}
	operator := &Operator{Labels: d.StringMap("prometheusLabels")}
	install, grafana, image := d.Boolean("installPrometheus"), d.Boolean("installGrafana"), d.Text("grafanaImage")
	useOperator := d.Boolean("prometheusOperator")
	if install && useOperator {
		d.Problem("prometheusOperator", "got %s, and installPrometheus %s: the app needs one Prometheus, so at most one of them is true",
			d.Shown("prometheusOperator"), d.Shown("installPrometheus"))
	}
	if install || useOperator {
		d.Check(m.Alerts.Validate(), map[string]string{"runbook": "runbookUrl"})
	}
	if install {
		m.Prometheus = prometheus
		d.Check(prometheus.Validate(), map[string]string{
			"image": "prometheusImage", "retentionDays": "prometheusRetentionDays",
			"storageSize": "prometheusStorageSize", "storageClass": "prometheusStorageClass",
		})
		d.Check(check.Image("kubeStateMetricsImage", m.KubeStateMetricsImage), nil)
	}
	if useOperator {
		m.Operator = operator
		if u, err := url.Parse(m.Alerts.Runbook); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			d.Problem("runbookUrl", "got %s, must be an http or https URL with prometheusOperator, whose messages link to it", d.Shown("runbookUrl"))
		}
		d.Check(check.Labels("prometheusLabels", operator.Labels), nil)
	}
	if grafana && !install {
		d.Problem("installGrafana", "got %s, but it shows what the Prometheus of installPrometheus measures; set that too",
			d.Shown("installGrafana"))
	} else if grafana {
		m.GrafanaImage = image
		d.Check(check.Image("grafanaImage", image), nil)
	}
	return m
}

// scraperNamespace is where the operator's Prometheus is. Without it the network policy would keep that out, silently.
func (d *decoder) scraperNamespace() string {
	namespace, operator := d.Text("prometheusNamespace"), d.Optional("prometheusOperator") == "true"
	if operator != (namespace != "") {
		d.Problem("prometheusNamespace", "got %s, must be set together with prometheusOperator, or neither: where its Prometheus runs",
			d.Shown("prometheusNamespace"))
	}
	return namespace
}
