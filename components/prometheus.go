package components

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// PrometheusArgs describe a Prometheus for one app, in a cluster that has none.
type PrometheusArgs struct {
	// Namespace it runs in: that of the app. Required.
	Namespace pulumi.StringInput
	// App is what it scrapes. Required.
	App App
	// Alerts are the rules that it evaluates. Required.
	Alerts Alerts
	// KubeStateMetrics is the host and port that tells the state of Kubernetes' objects, and KubeStateMetricsPods are who
	// answers there. Required.
	KubeStateMetrics     pulumi.StringInput
	KubeStateMetricsPods App
	// KubeletInsecureTLS: see MetricsServerArgs.
	KubeletInsecureTLS bool
	// Readers are the only pods that may query it. A forwarded port comes from the node itself, past any network policy.
	Readers []App
	PrometheusSettings
}

// PrometheusSettings are the decisions about a Prometheus.
type PrometheusSettings struct {
	// Image of Prometheus 2.40 or later. Required, with a pinned version.
	Image string
	// RetentionDays is how long measurements are kept. 3 to 365: the alerts look back three days. Required.
	RetentionDays int
	// StorageSize of the claim for them. The oldest go before it is full. At least 100Mi. Required.
	StorageSize string
	// StorageClass of the claim. Empty for the cluster's default class.
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
var prometheusResources = Resources{CPURequest: "50m", MemoryLimit: "512Mi"}

// Validate reports everything wrong with the arguments.
func (a *PrometheusArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Set("app", a.App != App{})...)
	problems = append(problems, check.Set("kubeStateMetrics", a.KubeStateMetrics != nil && a.KubeStateMetricsPods != App{})...)
	problems = append(problems, a.Alerts.Validate()...)
	return append(problems, a.PrometheusSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *PrometheusSettings) Validate() field.ErrorList {
	problems := check.Image("image", s.Image)
	problems = append(problems, check.Range("retentionDays", s.RetentionDays, 3, 365)...)
	problems = append(problems, check.Quantity("storageSize", s.StorageSize, "100Mi", "64Ti", "5Gi")...)
	if s.StorageClass != "" {
		problems = append(problems, check.Name("storageClass", s.StorageClass)...)
	}
	return problems
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

// PrometheusPods are the pods of the Prometheus with that name, so that what it scrapes can admit them before they exist.
func PrometheusPods(name string) App { return App{Name: "prometheus", Instance: name} }

// NewPrometheus creates the permissions, the configuration, the claim, the Service, the network policy and the
// StatefulSet.
func NewPrometheus(
	ctx *pulumi.Context, name string, args *PrometheusArgs, opts ...pulumi.ResourceOption,
) (*Prometheus, error) {
	p := &Prometheus{}
	if err := register(ctx, "Prometheus", name, args.Validate(), args.inputs(), p, opts); err != nil {
		return nil, err
	}
	app := PrometheusPods(name)
	account, err := newServiceAccount(ctx, p, name, app, args.Namespace, permissions{
		clusterName: pulumi.Sprintf("%s-%s", args.Namespace, name),
		everywhere: []rule{
			{groups: []string{""}, resources: []string{"nodes"}, verbs: read},
			{groups: []string{""}, resources: []string{"nodes/metrics"}, verbs: []string{"get"}},
		},
		inNamespace: []rule{{groups: []string{""}, resources: []string{"pods"}, verbs: read}},
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
		Metadata: app.meta(name+"-config", args.Namespace),
		Data:     pulumi.StringMap{"prometheus.yaml": configuration, "rules.yaml": pulumi.String(rules)},
	}, pulumi.Parent(p))
	if err != nil {
		return nil, creating("config map", name, err)
	}
	data, err := newClaim(ctx, p, name, app, args.Namespace, args.StorageSize, args.StorageClass)
	if err != nil {
		return nil, err
	}
	service, err := args.network(ctx, p, name, app)
	if err != nil {
		return nil, err
	}
	pod := args.pod(app, account, config, data, checksum(configuration, pulumi.String(rules)))
	if _, err := newSingleServer(ctx, p, name, app, args.Namespace, service, pod); err != nil {
		return nil, err
	}
	p.Service = service.Metadata.Name().Elem()
	p.URL = pulumi.Sprintf("http://%s.%s.svc:%d", p.Service, args.Namespace, prometheusPort)
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"url": p.URL, "service": p.Service})
}

func (a *PrometheusArgs) inputs() pulumi.Map {
	return pulumi.Map{
		"namespace": a.Namespace, "app": pulumi.String(a.App.Instance), "kubeStateMetrics": a.KubeStateMetrics,
		"kubeletInsecureTls": pulumi.Bool(a.KubeletInsecureTLS), "readers": instancesOf(a.Readers),
		"objectives": a.Alerts.Objectives.inputs(), "runbook": pulumi.String(a.Alerts.Runbook),
		"image": pulumi.String(a.Image), "retentionDays": pulumi.Int(a.RetentionDays),
		"storageSize": pulumi.String(a.StorageSize), "storageClass": pulumi.String(a.StorageClass),
	}
}

func (a *PrometheusArgs) network(
	ctx *pulumi.Context, parent *Prometheus, name string, app App,
) (*corev1.Service, error) {
	service, err := newService(ctx, parent, name, app, a.Namespace, "http", prometheusPort)
	if err != nil {
		return nil, err
	}
	// The API server and the kubelets have addresses that nothing here knows, and the API server's port behind its Service
	// differs: 443 on EKS, 6443 on kind.
	cluster := peer{ports: []port{{"TCP", 443}, {"TCP", 6443}, {"TCP", kubeletPort}}}
	_, err = newNetworkPolicy(ctx, parent, name, app.meta(name, a.Namespace), app.labelSelector(),
		peersOf(a.Readers, prometheusPort), []peer{
			{to: podsOf(a.App), ports: []port{{"TCP", metricsPort}}},
			{to: podsOf(a.KubeStateMetricsPods), ports: []port{{"TCP", kubeStateMetricsPort}}},
			cluster,
		})
	return service, err
}

func (a *PrometheusArgs) pod(
	app App, account pulumi.StringInput, config *corev1.ConfigMap, data corev1.VolumeArgs, sum pulumi.StringInput,
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
			Labels: app.labels(), Annotations: pulumi.StringMap{checksumAnnotation: sum},
		},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:            account,
			EnableServiceLinks:            pulumi.Bool(false),
			SecurityContext:               restrictedPod(prometheusUser),
			TerminationGracePeriodSeconds: pulumi.Int(60), // to write what it holds in memory
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("prometheus"),
				Image: pulumi.String(a.Image),
				Args:  args(flags),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("http"), ContainerPort: pulumi.Int(prometheusPort),
				}},
				Resources:                prometheusResources.requirements(),
				SecurityContext:          restrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				StartupProbe:             httpProbe("/-/ready", "http", 2, 150), // it replays its log first
				ReadinessProbe:           httpProbe("/-/ready", "http", 5, 3),
				LivenessProbe:            httpProbe("/-/healthy", "http", 10, 3),
				VolumeMounts:             corev1.VolumeMountArray{mountReadOnly("config", prometheusConfigDir), mount("data", prometheusDataDir)},
			}},
			Volumes: corev1.VolumeArray{configVolume("config", config), data},
		},
	}
}

// retentionBytes leaves a fifth of the volume for the log and for the blocks that a compaction writes before it deletes
// the old ones: https://prometheus.io/docs/prometheus/latest/storage/#right-sizing-retention-size
func (s *PrometheusSettings) retentionBytes() int64 {
	size := resource.MustParse(s.StorageSize)
	return size.Value() / 5 * 4
}
