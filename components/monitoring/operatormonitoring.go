package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// OperatorMonitoringArgs describe what a Prometheus Operator that runs already is told about one app.
type OperatorMonitoringArgs struct {
	// Namespace of the app. Required.
	Namespace pulumi.StringInput
	// App is what it scrapes. Required.
	App Target
	// Name of the objects, beside those of the app. Required.
	Name string
	// Dashboards are JSON models by the names of their files. None for no ConfigMap.
	Dashboards map[string]string
	// Alerts are the rules that it evaluates. Required.
	Alerts Alerts
	// Labels that the operator's podMonitorSelector and ruleSelector look for, e.g. release: kube-prometheus-stack. What
	// lacks them is ignored, silently.
	Labels map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *OperatorMonitoringArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.In("app", a.App.Validate())...)
	problems = append(problems, check.Labels("labels", a.Labels)...)
	problems = append(problems, check.ObjectName(a.Name)...)
	return append(problems, check.In("alerts", a.Alerts.Validate())...)
}

// OperatorMonitoring has an app scraped and its alerts evaluated where a Prometheus Operator runs, and its dashboards
// loaded where Grafana has the sidecar of kube-prometheus-stack. It needs the kubelets and kube-state-metrics to be
// scraped, which kube-prometheus-stack does.
type OperatorMonitoring struct{ pulumi.ResourceState }

// monitoringVersion is that of the operator's objects:
// https://prometheus-operator.dev/docs/api-reference/api/
const monitoringVersion = "monitoring.coreos.com/v1"

// NewOperatorMonitoring creates the PodMonitor, the PrometheusRule and the ConfigMap with the dashboards.
func NewOperatorMonitoring(
	ctx *pulumi.Context, name string, args *OperatorMonitoringArgs, opts ...pulumi.ResourceOption,
) (*OperatorMonitoring, error) {
	m := &OperatorMonitoring{}
	app := objects.App{Name: "monitoring", Instance: name}
	problems := append(args.Validate(), check.Labels("component", app.Pods())...)
	if err := component.Register(ctx, "scaleout:index", "OperatorMonitoring", name, problems, m, opts); err != nil {
		return nil, err
	}
	meta := app.Meta(args.Name, args.Namespace)
	labels := app.LabelSet()
	maps.Copy(labels, pulumi.ToStringMap(args.Labels))
	meta.Labels = labels

	if err := args.podMonitor(ctx, m, name, meta); err != nil {
		return nil, err
	}
	rules, err := args.Alerts.untyped()
	if err != nil {
		return nil, fmt.Errorf("writing the rules of %q: %w", name, err)
	}
	_, err = apiextensions.NewCustomResource(ctx, name+"-rules", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(monitoringVersion), Kind: pulumi.String("PrometheusRule"), Metadata: meta,
		OtherFields: kubernetes.UntypedArgs{"spec": rules},
	}, pulumi.Parent(m))
	if err != nil {
		return nil, component.Creating("prometheus rule", name, err)
	}

	if len(args.Dashboards) == 0 {
		return m, ctx.RegisterResourceOutputs(m, pulumi.Map{})
	}
	boards := app.Meta(args.Name+"-dashboards", args.Namespace)
	forSidecar := app.LabelSet()
	forSidecar["grafana_dashboard"] = pulumi.String("1")
	boards.Labels = forSidecar
	_, err = corev1.NewConfigMap(ctx, name+"-dashboards", &corev1.ConfigMapArgs{
		Metadata: boards, Data: pulumi.ToStringMap(args.Dashboards),
	}, pulumi.Parent(m))
	if err != nil {
		return nil, component.Creating("config map", name, err)
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{})
}

// podMonitor has the app's own measurements scraped, if it has any.
func (a *OperatorMonitoringArgs) podMonitor(
	ctx *pulumi.Context, parent pulumi.Resource, name string, meta *metav1.ObjectMetaArgs,
) error {
	if a.App.PortName == "" {
		return nil
	}
	_, err := apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(monitoringVersion), Kind: pulumi.String("PodMonitor"), Metadata: meta,
		OtherFields: kubernetes.UntypedArgs{"spec": object{
			"selector": object{"matchLabels": a.App.Pods},
			"podMetricsEndpoints": []any{object{
				"port": a.App.PortName, "path": a.App.Path, "interval": scrapeInterval,
			}},
		}},
	}, pulumi.Parent(parent))
	if err != nil {
		return component.Creating("pod monitor", name, err)
	}
	return nil
}

// untyped are the rules as the maps and lists that a custom resource is made of.
func (a Alerts) untyped() (rules object, err error) {
	text, err := json.Marshal(object{"groups": a.groups()})
	if err != nil {
		return nil, err
	}
	return rules, json.Unmarshal(text, &rules)
}
