package components

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// OperatorMonitoringArgs describe what a Prometheus Operator that runs already is told about one app.
type OperatorMonitoringArgs struct {
	// Namespace of the app. Required.
	Namespace pulumi.StringInput
	// App is what it scrapes. Required.
	App App
	// Alerts are the rules that it evaluates. Required.
	Alerts Alerts
	// Labels that the operator's podMonitorSelector and ruleSelector look for, e.g. release: kube-prometheus-stack. What
	// lacks them is ignored, silently.
	Labels map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *OperatorMonitoringArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Set("app", a.App != App{})...)
	problems = append(problems, check.Labels("labels", a.Labels)...)
	return append(problems, a.Alerts.Validate()...)
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
	inputs := pulumi.Map{
		"namespace": args.Namespace, "app": pulumi.String(args.App.Instance), "labels": pulumi.ToStringMap(args.Labels),
		"objectives": args.Alerts.Objectives.inputs(), "runbook": pulumi.String(args.Alerts.Runbook),
	}
	if err := register(ctx, "OperatorMonitoring", name, args.Validate(), inputs, m, opts); err != nil {
		return nil, err
	}
	app := App{Name: "monitoring", Instance: name}
	meta := app.meta(args.App.Instance, args.Namespace)
	labels := app.labels()
	for key, value := range args.Labels {
		labels[key] = pulumi.String(value)
	}
	meta.Labels = labels

	_, err := apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(monitoringVersion), Kind: pulumi.String("PodMonitor"), Metadata: meta,
		OtherFields: kubernetes.UntypedArgs{"spec": object{
			"selector": object{"matchLabels": object{
				"app.kubernetes.io/name": args.App.Name, "app.kubernetes.io/instance": args.App.Instance,
			}},
			"podMetricsEndpoints": []any{object{"port": metricsPortName, "interval": scrapeInterval}},
		}},
	}, pulumi.Parent(m))
	if err != nil {
		return nil, creating("pod monitor", name, err)
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
		return nil, creating("prometheus rule", name, err)
	}

	contents, err := dashboards()
	if err != nil {
		return nil, fmt.Errorf("reading the dashboards: %w", err)
	}
	boards := app.meta(args.App.Instance+"-dashboards", args.Namespace)
	forSidecar := app.labels()
	forSidecar["grafana_dashboard"] = pulumi.String("1")
	boards.Labels = forSidecar
	_, err = corev1.NewConfigMap(ctx, name+"-dashboards", &corev1.ConfigMapArgs{
		Metadata: boards, Data: pulumi.ToStringMap(contents),
	}, pulumi.Parent(m))
	if err != nil {
		return nil, creating("config map", name, err)
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{})
}

// untyped are the rules as the maps and lists that a custom resource is made of.
func (a Alerts) untyped() (rules object, err error) {
	text, err := json.Marshal(object{"groups": a.groups()})
	if err != nil {
		return nil, err
	}
	return rules, json.Unmarshal(text, &rules)
}
