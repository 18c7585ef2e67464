package monitoring

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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
	// KubeStateMetrics is the host and port that tells the state of Kubernetes' objects, and KubeStateMetricsPods are who
	// answers there. Required.
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

// prometheusResources: the two pods of dev make 1,400 series and take 80 MB; a query over days reads more.
var prometheusResources = kube.Resources{CPURequest: "50m", MemoryLimit: "512Mi"}

// Validate reports everything wrong with the arguments.
func (a *PrometheusArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.In("app", a.App.Validate())...)
	problems = append(problems, check.Set("kubeStateMetrics", a.KubeStateMetrics != nil && len(a.KubeStateMetricsPods) > 0)...)
	return append(problems, a.ValidateSettings()...)
}

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *PrometheusArgs) ValidateSettings() field.ErrorList {
	problems := check.Image("image", a.Image)
	problems = append(problems, check.Selectors("readers", a.Readers)...)
	problems = append(problems, check.Range("retentionDays", a.RetentionDays, 3, 365)...)
	problems = append(problems, check.Quantity("storageSize", a.StorageSize, "100Mi", "64Ti", "5Gi")...)
	if a.StorageClass != "" {
		problems = append(problems, check.Name("storageClass", a.StorageClass)...)
	}
	return append(problems, check.In("alerts", a.Alerts.Validate())...)
}

// Workload is its one pod.
func (a *PrometheusArgs) Workload() kube.Workload { return kube.OnePod(prometheusResources) }

// Prometheus is one server whose measurements survive restarts. It may see nothing but the pods of its namespace and
// what the kubelets measure, and only its readers can reach it.
type Prometheus struct {
	pulumi.ResourceState

	// URL inside the cluster.
	URL pulumi.StringOutput
	// Service is the name of its Service.
	Service pulumi.StringOutput
}

// PrometheusPods are the labels of the pods of the Prometheus with that name, so that what it scrapes can admit them before they exist.
func PrometheusPods(name string) map[string]string { return prometheusApp(name).Pods() }

func prometheusApp(name string) objects.App { return objects.App{Name: "prometheus", Instance: name} }

// NewPrometheus creates the permissions, the configuration, the claim, the Service, the network policy and the
// StatefulSet.
func NewPrometheus(
	ctx *pulumi.Context, name string, args *PrometheusArgs, opts ...pulumi.ResourceOption,
) (*Prometheus, error) {
	p := &Prometheus{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	if err := component.Register(ctx, "scaleout:index", "Prometheus", name, problems, p, opts); err != nil {
		return nil, err
	}
	app := prometheusApp(name)
	account, err := objects.NewServiceAccount(ctx, p, name, app, args.Namespace, objects.Permissions{
		ClusterName: pulumi.Sprintf("%s-%s", args.Namespace, name),
		Everywhere: []objects.Rule{
			{Groups: []string{""}, Resources: []string{"nodes"}, Verbs: objects.Read},
			{Groups: []string{""}, Resources: []string{"nodes/metrics"}, Verbs: []string{"get"}},
		},
		InNamespace: []objects.Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: objects.Read}},
	})
	if err != nil {
		return nil, err
	}
	rules, err := args.Alerts.file()
	if err != nil {
		return nil, fmt.Errorf("writing the rules of Prometheus %q: %w", name, err)
	}
	configuration := args.KubeStateMetrics.ToStringOutput().ApplyT(args.configuration).(pulumi.StringOutput)
	config, err := corev1.NewConfigMap(ctx, name+"-config", &corev1.ConfigMapArgs{
		Metadata: app.Meta(name+"-config", args.Namespace),
		Data:     pulumi.StringMap{"prometheus.yaml": configuration, "rules.yaml": pulumi.String(rules)},
	}, pulumi.Parent(p))
	if err != nil {
		return nil, component.Creating("config map", name, err)
	}
	data, err := objects.NewClaim(ctx, p, name, app, args.Namespace, objects.ClaimSettings{
		Size: args.StorageSize, Class: args.StorageClass,
	})
	if err != nil {
		return nil, err
	}
	service, err := args.network(ctx, p, name, app)
	if err != nil {
		return nil, err
	}
	pod := args.pod(app, account, config, data, objects.Checksum(configuration, pulumi.String(rules)))
	if _, err := objects.NewSingleServer(ctx, p, name, app, args.Namespace, service, pod); err != nil {
		return nil, err
	}
	p.Service = service.Metadata.Name().Elem()
	p.URL = pulumi.Sprintf("http://%s.%s.svc:%d", p.Service, args.Namespace, prometheusPort)
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"url": p.URL, "service": p.Service})
}

func (a *PrometheusArgs) network(
	ctx *pulumi.Context, parent *Prometheus, name string, app objects.App,
) (*corev1.Service, error) {
	service, err := objects.NewService(ctx, parent, name, app, a.Namespace, "http", prometheusPort)
	if err != nil {
		return nil, err
	}
	// The API server and the kubelets have addresses that nothing here knows, and the API server's port behind its Service
	// differs: 443 on EKS, 6443 on kind.
	to := []objects.Peer{
		{Ports: objects.TCP(443, 6443, kubeletPort)},
		{Pods: a.KubeStateMetricsPods, Ports: objects.TCP(kubeStateMetricsPort)},
	}
	if a.App.Port != 0 {
		to = append(to, objects.Peer{Pods: a.App.Pods, Ports: objects.TCP(a.App.Port)})
	}
	_, err = objects.NewNetworkPolicy(ctx, parent, name, app.Meta(name, a.Namespace), app.LabelSelector(),
		objects.PeersOf(a.Readers, prometheusPort), to)
	return service, err
}

func (a *PrometheusArgs) pod(
	app objects.App, account pulumi.StringInput, config *corev1.ConfigMap, data corev1.VolumeArgs, sum pulumi.StringInput,
) *corev1.PodTemplateSpecArgs {
	flags := fmt.Sprintf(`
		--config.file=%s/prometheus.yaml
		--storage.tsdb.path=%s
		--storage.tsdb.retention.time=%dd
		--storage.tsdb.retention.size=%dB
		--web.listen-address=:%d`,
		prometheusConfigDir, prometheusDataDir, a.RetentionDays, a.retentionBytes(), prometheusPort)
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Labels: app.LabelSet(), Annotations: pulumi.StringMap{objects.ChecksumAnnotation: sum},
		},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:            account,
			EnableServiceLinks:            pulumi.Bool(false),
			SecurityContext:               objects.RestrictedPod(prometheusUser),
			TerminationGracePeriodSeconds: pulumi.Int(60), // to write what it holds in memory
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("prometheus"),
				Image: pulumi.String(a.Image),
				Args:  objects.Args(flags),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("http"), ContainerPort: pulumi.Int(prometheusPort),
				}},
				Resources:                prometheusResources.Requirements(),
				SecurityContext:          objects.RestrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				StartupProbe:             objects.HTTPProbe("/-/ready", "http", 2, 150), // it replays its log first
				ReadinessProbe:           objects.HTTPProbe("/-/ready", "http", 5, 3),
				LivenessProbe:            objects.HTTPProbe("/-/healthy", "http", 10, 3),
				VolumeMounts:             corev1.VolumeMountArray{objects.MountReadOnly("config", prometheusConfigDir), objects.Mount("data", prometheusDataDir)},
			}},
			Volumes: corev1.VolumeArray{objects.ConfigVolume("config", config), data},
		},
	}
}

// retentionBytes leaves a fifth of the volume for the log and for the blocks that a compaction writes before it deletes
// the old ones: https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size
func (a *PrometheusArgs) retentionBytes() int64 {
	size := resource.MustParse(a.StorageSize)
	return size.Value() / 5 * 4
}
