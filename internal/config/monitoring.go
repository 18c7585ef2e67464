package config

import (
	"net/url"

	"scaleout/components"
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
				AvailabilityPercent: d.decimal("sloAvailabilityPercent"),
				FastPercent:         d.decimal("sloFastPercent"),
				FastMilliseconds:    d.integer("sloFastMilliseconds"),
			},
			Runbook: d.text("runbookUrl"),
		},
		KubeStateMetricsImage: d.text("kubeStateMetricsImage"),
		KubeletInsecureTLS:    d.boolean("kubeletInsecureTls"),
	}
	prometheus := &components.PrometheusSettings{
		Image:         d.text("prometheusImage"),
		RetentionDays: d.integer("prometheusRetentionDays"),
		StorageSize:   d.text("prometheusStorageSize"),
		StorageClass:  d.text("prometheusStorageClass"),
	}
	operator := &Operator{Labels: d.stringMap("prometheusLabels")}
	install, grafana, image := d.boolean("installPrometheus"), d.boolean("installGrafana"), d.text("grafanaImage")
	useOperator := d.boolean("prometheusOperator")
	if install && useOperator {
		d.problem("prometheusOperator", "got %s, and installPrometheus %s: the app needs one Prometheus, so at most one of them is true",
			d.shown("prometheusOperator"), d.shown("installPrometheus"))
	}
	if install || useOperator {
		d.check(m.Alerts.Validate(), map[string]string{"runbook": "runbookUrl"})
	}
	if install {
		m.Prometheus = prometheus
		d.check(prometheus.Validate(), map[string]string{
			"image": "prometheusImage", "retentionDays": "prometheusRetentionDays",
			"storageSize": "prometheusStorageSize", "storageClass": "prometheusStorageClass",
		})
		d.check(components.ValidateImage("kubeStateMetricsImage", m.KubeStateMetricsImage), nil)
	}
	if useOperator {
		m.Operator = operator
		if u, err := url.Parse(m.Alerts.Runbook); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			d.problem("runbookUrl", "got %s, must be an http or https URL with prometheusOperator, whose messages link to it", d.shown("runbookUrl"))
		}
		d.check(components.ValidateLabels("prometheusLabels", operator.Labels), nil)
	}
	if grafana && !install {
		d.problem("installGrafana", "got %s, but it shows what the Prometheus of installPrometheus measures; set that too",
			d.shown("installGrafana"))
	} else if grafana {
		m.GrafanaImage = image
		d.check(components.ValidateImage("grafanaImage", image), nil)
	}
	return m
}

// scraperNamespace is where the operator's Prometheus is. Without it the network policy would keep that out, silently.
func (d *decoder) scraperNamespace() string {
	namespace, operator := d.text("prometheusNamespace"), d.values[d.key("prometheusOperator")] == "true"
	if operator != (namespace != "") {
		d.problem("prometheusNamespace", "got %s, must be set together with prometheusOperator, or neither: where its Prometheus runs",
			d.shown("prometheusNamespace"))
	}
	return namespace
}
