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
	"example.com/scaleout/internal/component"
)

// PrometheusArgs describe a Prometheus for one app, in a cluster that has none.
type PrometheusArgs struct {
	// Namespace it runs in: that of the app. Required.
	Namespace pulumi.StringInput
	// App is what it scrapes. Required.
	App Target
	// Alerts are the rules that it evaluates. Required.
	Alerts Alerts
	// KubeStateMetrics is the address of a kube-state-metrics, and KubeStateMetricsPods are its pods. Required.
	KubeStateMetrics     pulumi.StringInput
	KubeStateMetricsPods map[string]string
	// KubeletInsecureTLS skips the check of the kubelets' certificates: see addons.MetricsServerArgs.
	KubeletInsecureTLS bool
	// Readers are the only pods that may query it. A forwarded port comes from the node itself, past any network policy.
	Readers []map[string]string
	// Image of Prometheus 2.40 or later. Required, with a tag other than latest or with a digest.
	Image string
	// RetentionDays is how long measurements are kept. 3 to 365: the alerts look back three days. Required.
	RetentionDays int
	// StorageSize of the claim for them. The oldest go before it is full. At least 100Mi. Required.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class. Another one than the data is on is refused.
	StorageClass string
}

const (
	prometheusPort      = 9090
	prometheusUser      = 65534 // the image's nobody
	prometheusConfigDir = "/etc/prometheus"
	prometheusDataDir   = "/prometheus"
	kubeletPort         = 10250
)

// PrometheusSize is what it asks for. 1,400 series of two pods take 80 MB; a query over days reads more.
var PrometheusSize = kube.OnePod(kube.Resources{CPURequest: "50m", MemoryLimit: "512Mi"})

// Validate reports everything wrong with the arguments that is known before other resources exist.
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

// Prometheus is one server whose measurements survive restarts. It may see nothing but the pods of its namespace and
// what the kubelets measure, and only its readers can reach it.
type Prometheus struct {
	pulumi.ResourceState

	// URL inside the cluster.
	URL pulumi.StringOutput
	// Service is the name of its Service.
	Service pulumi.StringOutput
}

// PrometheusPods are the labels of the pods of the Prometheus with that name, for others to admit them.
func PrometheusPods(name string) map[string]string { return prometheusApp(name).Pods() }

func prometheusApp(name string) objects.App { return objects.App{Name: "prometheus", Instance: name} }

// NewPrometheus creates the server and what it needs.
func NewPrometheus(
	ctx *pulumi.Context, name string, args *PrometheusArgs, opts ...pulumi.ResourceOption,
) (*Prometheus, error) {
	args = cmp.Or(args, &PrometheusArgs{})
	p := &Prometheus{}
	problems := slices.Concat(args.Validate(), check.ObjectName(name), check.In("app", args.App.Validate()),
		check.Set("namespace", args.Namespace != nil),
		check.Set("kubeStateMetrics", args.KubeStateMetrics != nil && len(args.KubeStateMetricsPods) > 0))
	if err := component.Register(ctx, "scaleout:index", "Prometheus", name, problems, p, opts); err != nil {
		return nil, err
	}
	o := objects.Owner{App: prometheusApp(name), Context: ctx, Component: p, Name: name, Namespace: args.Namespace}
	account, err := o.ServiceAccount(pulumi.Sprintf("%s-%s", args.Namespace, name),
		rbacv1.PolicyRuleArray{objects.Rule("", "nodes", objects.Read), objects.Rule("", "nodes/metrics", "get")},
		rbacv1.PolicyRuleArray{objects.Rule("", "pods", objects.Read)})
	if err != nil {
		return nil, err
	}
	rules, err := args.Alerts.file()
	if err != nil {
		return nil, fmt.Errorf("writing the rules of Prometheus %q: %w", name, err)
	}
	configuration := args.KubeStateMetrics.ToStringOutput().ApplyT(args.configuration).(pulumi.StringOutput)
	config, err := o.ConfigMap("-config", pulumi.StringMap{
		"prometheus.yaml": configuration, "rules.yaml": pulumi.String(rules),
	})
	if err != nil {
		return nil, err
	}
	data, err := o.Claim(args.StorageSize, args.StorageClass, false)
	if err != nil {
		return nil, err
	}
	service, err := o.Service("http", prometheusPort)
	if err != nil {
		return nil, err
	}
	if _, err := o.NetworkPolicy(objects.PeersOf(args.Readers, prometheusPort), args.scraped()); err != nil {
		return nil, err
	}
	flags := fmt.Sprintf(`
		--config.file=%s/prometheus.yaml
		--storage.tsdb.path=%s
		--storage.tsdb.retention.time=%dd
		--storage.tsdb.retention.size=%dB
		--web.listen-address=:%d`,
		prometheusConfigDir, prometheusDataDir, args.RetentionDays, args.retentionBytes(), prometheusPort)
	_, err = o.SingleServer(service, o.Pod(prometheusUser, objects.Checksum(configuration, pulumi.String(rules)),
		corev1.PodSpecArgs{
			ServiceAccountName:            account,
			TerminationGracePeriodSeconds: pulumi.Int(60), // to write what it holds in memory
		},
		corev1.ContainerArgs{
			Image:                    pulumi.String(args.Image),
			Args:                     objects.Args(flags),
			Ports:                    corev1.ContainerPortArray{objects.Port("http", prometheusPort)},
			Resources:                PrometheusSize.Resources.Requirements(),
			TerminationMessagePolicy: objects.FallbackToLogs,
			StartupProbe:             objects.HTTPProbe("/-/ready", "http", 2, 150), // it replays its log first
			ReadinessProbe:           objects.HTTPProbe("/-/ready", "http", 5, 3),
			LivenessProbe:            objects.HTTPProbe("/-/healthy", "http", 10, 3),
		},
		objects.ConfigVolume("config", prometheusConfigDir, config),
		objects.Volume{Source: data, Path: prometheusDataDir},
	))
	if err != nil {
		return nil, err
	}
	p.Service = service.Metadata.Name().Elem()
	p.URL = pulumi.Sprintf("http://%s.%s.svc:%d", p.Service, args.Namespace, prometheusPort)
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"url": p.URL, "service": p.Service})
}

// scraped are those that it asks. The API server and the kubelets have addresses that nothing here knows, and the API
// server's port behind its Service differs: 443 on EKS, 6443 on kind.
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

// retentionBytes leaves a fifth of the volume for the log and for the blocks that a compaction writes before it deletes
// the old ones: https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size
func (a *PrometheusArgs) retentionBytes() int64 {
	size := resource.MustParse(a.StorageSize)
	return size.Value() / 5 * 4
}

const (
	// scrapeInterval is that of metrics-server too, so that panels show what the autoscaler saw.
	scrapeInterval = "15s"
	// accountDir is where a pod finds what it needs to call the API server and the kubelets.
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	// containerMetrics are those of cAdvisor that dashboards and alerts use, of some 60.
	containerMetrics = "container_(cpu_usage_seconds|cpu_cfs_throttled_periods|cpu_cfs_periods)_total|container_memory_working_set_bytes"
)

type object = map[string]any

// Target is where an app's own measurements are found.
type Target struct {
	// Pods are the labels of its pods. Required.
	Pods map[string]string
	// Port with the measurements: its number and its name. 0 and empty for an app without any.
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

// configuration is that of a Prometheus that scrapes the app's pods, what cAdvisor knows of them, kube-state-metrics
// and itself: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
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
