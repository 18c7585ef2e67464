package monitoring

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// OperatorArgs describes the objects through which an existing Prometheus Operator monitors one app.
type OperatorArgs struct {
	// Namespace of the app. Required.
	Namespace pulumi.StringInput
	// App is the app to scrape. Required.
	App Target
	// Name of the objects, which are in the app's namespace. Required.
	Name string
	// Dashboards are JSON models, keyed by file name. Empty for no ConfigMap.
	Dashboards map[string]string
	// Alerts are the rules to evaluate. Required.
	Alerts Alerts
	// Labels by which the operator selects PodMonitors and rules, e.g. release: kube-prometheus-stack.
	Labels map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *OperatorArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Set("namespace", a.Namespace != nil),
		check.In("app", a.App.Validate()),
		check.Labels("labels", a.Labels),
		check.ObjectName(a.Name),
		check.In("alerts", a.Alerts.Validate()),
	)
}

// Operator lets an existing Prometheus Operator scrape an app and evaluate its alerts, and the Grafana sidecar of
// kube-prometheus-stack load its dashboards. The kubelets and kube-state-metrics must be scraped already, as they are
// by kube-prometheus-stack.
type Operator struct{ pulumi.ResourceState }

// NewOperator creates the PodMonitor, the PrometheusRule and the ConfigMap with the dashboards.
func NewOperator(
	ctx *pulumi.Context, name string, args *OperatorArgs, opts ...pulumi.ResourceOption,
) (*Operator, error) {
	args = cmp.Or(args, &OperatorArgs{})
	m := &Operator{}
	app := objects.Pods{Name: "monitoring", Instance: name}
	problems := append(args.Validate(), check.Labels("component", app.Selector())...)
	b, err := component.Register(ctx, "scaleout:index", "OperatorMonitoring", name, problems, m, opts)
	if err != nil {
		return nil, err
	}
	create := func(suffix, kind string, spec object) {
		component.Create(b, apiextensions.NewCustomResource, suffix, &apiextensions.CustomResourceArgs{
			// https://prometheus-operator.dev/docs/api-reference/api/
			ApiVersion: pulumi.String("monitoring.coreos.com/v1"), Kind: pulumi.String(kind),
			Metadata: args.meta(app, "", args.Labels), OtherFields: kubernetes.UntypedArgs{"spec": spec},
		})
	}
	if args.App.PortName != "" { // otherwise the app has no metrics of its own
		endpoint := object{"port": args.App.PortName, "path": args.App.Path, "interval": scrapeInterval}
		create("", "PodMonitor", object{
			"selector": object{"matchLabels": args.App.Pods}, "podMetricsEndpoints": []any{endpoint},
		})
	}
	var rules object // untyped, as a custom resource requires
	if err := yaml.Unmarshal([]byte(args.Alerts.file()), &rules); err != nil {
		return nil, err
	}
	create("-rules", "PrometheusRule", rules)
	if len(args.Dashboards) > 0 {
		component.Create(b, corev1.NewConfigMap, "-dashboards", &corev1.ConfigMapArgs{
			Metadata: args.meta(app, "-dashboards", map[string]string{"grafana_dashboard": "1"}), // for the sidecar
			Data:     pulumi.ToStringMap(args.Dashboards),
		})
	}
	return m, b.Finish(pulumi.Map{})
}

// meta returns the metadata of an object, with labels by which the operator or the sidecar selects it.
func (a *OperatorArgs) meta(app objects.Pods, suffix string, labels map[string]string) *metav1.ObjectMetaArgs {
	all := app.LabelSet()
	maps.Copy(all, pulumi.ToStringMap(labels))
	return &metav1.ObjectMetaArgs{Name: pulumi.String(a.Name + suffix), Namespace: a.Namespace, Labels: all}
}
