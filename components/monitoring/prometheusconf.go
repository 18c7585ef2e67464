package monitoring

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	// scrapeInterval is that of metrics-server too, so that panels show what the autoscaler saw.
	scrapeInterval = "15s"
	// accountDir is where a pod finds what it needs to call the API server and the kubelets.
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	// containerMetrics are those of cAdvisor that dashboards and alerts use. A kubelet has some 60 more, of every pod on
	// its node.
	containerMetrics = "container_(cpu_usage_seconds|cpu_cfs_throttled_periods|cpu_cfs_periods)_total|container_memory_working_set_bytes"
)

type object = map[string]any

// configuration is that of a Prometheus that scrapes the app's pods, what cAdvisor knows of them, kube-state-metrics and
// itself: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
func (a *PrometheusArgs) configuration(kubeStateMetrics string) (string, error) {
	var jobs []object
	if a.App.PortName != "" {
		jobs = append(jobs, a.scrapeApp())
	}
	jobs = append(jobs, a.scrapeKubelets(), object{
		"job_name": "kube-state-metrics", "honor_labels": true, // namespace and pod are those of the objects
		"static_configs": []object{{"targets": []string{kubeStateMetrics}}},
	}, object{
		"job_name":       "prometheus",
		"static_configs": []object{{"targets": []string{fmt.Sprintf("localhost:%d", prometheusPort)}}},
	})
	text, err := yaml.Marshal(object{
		"global":         object{"scrape_interval": scrapeInterval, "evaluation_interval": scrapeInterval},
		"rule_files":     []string{prometheusConfigDir + "/rules.yaml"},
		"scrape_configs": jobs,
	})
	return string(text), err
}

// scrapeApp finds the pods of the app as they come and go.
func (a *PrometheusArgs) scrapeApp() object {
	var selector []string
	for _, label := range slices.Sorted(maps.Keys(a.App.Pods)) {
		selector = append(selector, label+"="+a.App.Pods[label])
	}
	from := func(label string) []string { return []string{"__meta_kubernetes_" + label} }
	return object{
		"job_name": "app", "metrics_path": a.App.Path,
		"kubernetes_sd_configs": []object{{
			"role": "pod", "namespaces": object{"names": []string{a.Alerts.Namespace}},
			"selectors": []object{{"role": "pod", "label": strings.Join(selector, ",")}},
		}},
		"relabel_configs": []object{
			{"source_labels": from("pod_container_port_name"), "regex": a.App.PortName, "action": "keep"},
			{"source_labels": from("pod_phase"), "regex": "Running", "action": "keep"},
			{"source_labels": from("namespace"), "target_label": "namespace"},
			{"source_labels": from("pod_name"), "target_label": "pod"},
			{"source_labels": from("pod_container_name"), "target_label": "container"},
		},
	}
}

// scrapeKubelets asks each node what its containers use.
func (a *PrometheusArgs) scrapeKubelets() object {
	return object{
		"job_name": "cadvisor", "scheme": "https", "metrics_path": "/metrics/cadvisor",
		"kubernetes_sd_configs": []object{{"role": "node"}},
		"authorization":         object{"credentials_file": accountDir + "/token"},
		"tls_config":            object{"ca_file": accountDir + "/ca.crt", "insecure_skip_verify": a.KubeletInsecureTLS},
		"metric_relabel_configs": []object{
			{"source_labels": []string{"namespace"}, "regex": a.Alerts.Namespace, "action": "keep"},
			{"source_labels": []string{"__name__"}, "regex": containerMetrics, "action": "keep"},
		},
	}
}
