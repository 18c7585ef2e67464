// Package monitoring collects metrics of a web app and its pods, and alerts on problems: by a Prometheus of its own, or
// through the Prometheus Operator of the cluster.
package monitoring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
)

// PrometheusArgs describes a Prometheus for one app, in a cluster that has none.
type PrometheusArgs struct {
	// Namespace to run in, which must be the app's. Required.
	Namespace pulumi.StringInput
	// App is the app to scrape. Required.
	App Target
	// Alerts are the rules to evaluate. Required.
	Alerts Alerts
	// KubeStateMetrics is the address of a kube-state-metrics, KubeStateMetricsPods the labels of its pods. Required.
	KubeStateMetrics     pulumi.StringInput
	KubeStateMetricsPods map[string]string
	// KubeletInsecureTLS skips the verification of the kubelets' certificates: see addons.MetricsServerArgs.
	KubeletInsecureTLS bool
	// Readers are the labels of the only pods that may query it. `kubectl port-forward` connects from the node, which
	// network policies do not restrict.
	Readers []map[string]string
	// Image of Prometheus 2.40 or later. Required, with a tag other than latest or with a digest.
	Image string
	// RetentionDays is the retention of metrics in days. 3 to 365, because the alerts look back three days. Required.
	RetentionDays int
	// StorageSize of the claim. The oldest metrics are deleted before it is full. At least 100Mi. Required.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class. Changing it later is an error.
	StorageClass string
}

const (
	prometheusPort      = 9090
	prometheusUser      = 65534 // the image's nobody
	prometheusConfigDir = "/etc/prometheus"
	prometheusDataDir   = "/prometheus"
	kubeletPort         = 10250
)

// PrometheusSize is its resource request. 1,400 series of two pods take 80 MB; a query over days needs more.
var PrometheusSize = kube.OnePod(kube.Resources{CPURequest: "50m", MemoryLimit: "512Mi"})

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *PrometheusArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Image("image", a.Image),
		check.Selectors("readers", a.Readers),
		check.Range("retentionDays", a.RetentionDays, 3, 365),
		check.Quantity("storageSize", a.StorageSize, "100Mi", "64Ti", "5Gi"),
		check.Optional(check.Name, "storageClass", a.StorageClass),
		check.In("alerts", a.Alerts.Validate()),
	)
}

// Prometheus is one server whose metrics survive restarts. It can access only the pods of its namespace and the
// metrics of the kubelets, and only its readers can connect to it.
type Prometheus struct {
	pulumi.ResourceState

	// URL inside the cluster.
	URL pulumi.StringOutput
	// Service is the name of its Service.
	Service pulumi.StringOutput
}

// PrometheusPods returns the labels of the pods of the Prometheus with that name, for network policies.
func PrometheusPods(name string) map[string]string { return prometheusApp(name).Selector() }

func prometheusApp(name string) objects.Pods { return objects.Pods{Name: "prometheus", Instance: name} }

// NewPrometheus creates the server, its configuration, storage, permissions and network policy.
func NewPrometheus(
	ctx *pulumi.Context, name string, args *PrometheusArgs, opts ...pulumi.ResourceOption,
) (*Prometheus, error) {
	args = cmp.Or(args, &PrometheusArgs{})
	p := &Prometheus{}
	o := objects.Owner{Pods: prometheusApp(name), Namespace: args.Namespace}
	problems := slices.Concat(args.Validate(), check.In("app", args.App.Validate()),
		check.Set("kubeStateMetrics", args.KubeStateMetrics != nil && len(args.KubeStateMetricsPods) > 0))
	if err := o.Register(ctx, "Prometheus", name, problems, p, opts); err != nil {
		return nil, err
	}
	account := o.ServiceAccount(pulumi.Sprintf("%s-%s", args.Namespace, name),
		rbacv1.PolicyRuleArray{objects.Rule("", "nodes", objects.Read), objects.Rule("", "nodes/metrics", "get")},
		rbacv1.PolicyRuleArray{objects.Rule("", "pods", objects.Read)})
	rules := args.Alerts.file()
	configuration := args.KubeStateMetrics.ToStringOutput().ApplyT(args.configuration).(pulumi.StringOutput)
	config := o.ConfigMap("-config", pulumi.StringMap{
		"prometheus.yaml": configuration, "rules.yaml": pulumi.String(rules),
	})
	data := o.Claim(args.StorageSize, args.StorageClass, false)
	service := o.Service("http", prometheusPort)
	o.NetworkPolicy(objects.PeersOf(args.Readers, prometheusPort), args.scraped())
	o.SinglePodStatefulSet(service, o.Pod(prometheusUser, objects.Checksum(configuration, pulumi.String(rules)),
		corev1.PodSpecArgs{
			ServiceAccountName:            account,
			TerminationGracePeriodSeconds: pulumi.Int(60), // to write the samples in memory to disk
		},
		args.container(),
		objects.ConfigVolume("config", prometheusConfigDir, config),
		objects.Volume{Source: data, Path: prometheusDataDir},
	))
	if err := o.Err(); err != nil {
		return nil, err
	}
	p.Service = objects.NameOf(service.Metadata)
	p.URL = pulumi.Sprintf("http://%s.%s.svc:%d", p.Service, args.Namespace, prometheusPort)
	return p, o.Finish(pulumi.Map{"url": p.URL, "service": p.Service})
}

// container returns the server, with the paths of its volumes.
func (a *PrometheusArgs) container() corev1.ContainerArgs {
	flags := fmt.Sprintf(`
		--config.file=%s/prometheus.yaml
		--storage.tsdb.path=%s
		--storage.tsdb.retention.time=%dd
		--storage.tsdb.retention.size=%dB
		--web.listen-address=:%d`,
		prometheusConfigDir, prometheusDataDir, a.RetentionDays, a.retentionBytes(), prometheusPort)
	return corev1.ContainerArgs{
		Image:                    pulumi.String(a.Image),
		Args:                     objects.Args(flags),
		Ports:                    corev1.ContainerPortArray{objects.Port("http", prometheusPort)},
		Resources:                PrometheusSize.Resources.Requirements(),
		TerminationMessagePolicy: objects.FallbackToLogs,
		StartupProbe:             kube.Probe{HTTP: "/-/ready"}.Args("http", 2, 150), // it replays its WAL first
		ReadinessProbe:           kube.Probe{HTTP: "/-/ready"}.Args("http", 5, 3),
		LivenessProbe:            kube.Probe{HTTP: "/-/healthy"}.Args("http", 10, 3),
	}
}

// scraped returns the egress peers. The addresses of the API server and the kubelets are unknown here, and the port
// of the API server behind its Service differs: 443 on EKS, 6443 on kind.
func (a *PrometheusArgs) scraped() []objects.Peer {
	to := []objects.Peer{
		{Anyone: true, Ports: []int{443, 6443, kubeletPort}},
		{Pods: a.KubeStateMetricsPods, Ports: []int{kubeStateMetricsPort}},
	}
	if a.App.Port != 0 {
		to = append(to, objects.Peer{Pods: a.App.Pods, Ports: []int{a.App.Port}})
	}
	return to
}

// retentionBytes reserves a fifth of the volume for the WAL and for the blocks that a compaction writes before it
// deletes the old ones: https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size
func (a *PrometheusArgs) retentionBytes() int64 {
	size := resource.MustParse(a.StorageSize)
	return size.Value() / 5 * 4
}

const (
	// scrapeInterval equals the interval of metrics-server, so that dashboards show the values that the autoscaler used.
	scrapeInterval = "15s"
	// accountDir contains a pod's credentials for the API server and the kubelets.
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	// containerMetrics matches the cAdvisor metrics that dashboards and alerts use, out of some 60.
	containerMetrics = "container_(cpu_usage_seconds|cpu_cfs_throttled_periods|cpu_cfs_periods)_total|" +
		"container_memory_working_set_bytes"
)

type object = map[string]any

// Target describes the metrics endpoint of an app.
type Target struct {
	// Pods are the labels of its pods. Required.
	Pods map[string]string
	// Port is the number of the metrics port, and PortName its name. 0 and empty for an app without metrics.
	Port     int
	PortName string
	// Path, e.g. /metrics. Required with a port.
	Path string
}

// Validate reports everything wrong with the target.
func (t *Target) Validate() field.ErrorList {
	problems := check.Set("pods", len(t.Pods) > 0)
	if t.PortName == "" && t.Port == 0 {
		return problems
	}
	return slices.Concat(problems, check.Label("portName", t.PortName), check.Range("port", t.Port, 1, 65535),
		check.Set("path", t.Path != ""))
}

// configuration returns the configuration of a Prometheus that scrapes the app's pods, cAdvisor, kube-state-metrics
// and itself: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
func (a *PrometheusArgs) configuration(kubeStateMetrics string) (string, error) {
	var jobs []object
	if a.App.PortName != "" {
		jobs = append(jobs, a.scrapeApp())
	}
	jobs = append(jobs, a.scrapeKubelets(), object{
		"job_name": "kube-state-metrics", "honor_labels": true, // keeps the namespace and pod of the objects
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

// scrapeApp discovers the pods of the app.
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

// scrapeKubelets collects the resource usage of the containers on each node.
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
