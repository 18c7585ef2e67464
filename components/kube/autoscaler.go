package kube

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Scaling describes the number of pods and its changes.
type Scaling struct {
	// Fixed is a constant number of pods; all other fields must then be unset. 0 for an autoscaler.
	Fixed int
	// Min is the minimum number of pods, for quiet traffic. From 2 on, the loss of one pod causes no outage. At least 1.
	Min int
	// Max is the maximum number of pods, limited by the budget and by shared services such as Redis. At least Min.
	Max int
	// TargetCPUUtilization in percent of the CPU request. A lower target reacts earlier and costs more. 1 to 100.
	TargetCPUUtilization int
	// ScaleUpWindowSeconds is the stabilization window before pods are added. 0 (Kubernetes' default) to 3600.
	ScaleUpWindowSeconds int
	// ScaleUpPercent is the percentage of pods that may be added within 15 s; four may always be added. 1 to 10000, 0 for
	// 900, with which 2 pods become 20 in one round. With Kubernetes' default, 100 %, they need three.
	ScaleUpPercent int
	// ScaleDownWindowSeconds is the stabilization window before pods are removed. 0 to 3600; Kubernetes' default is 300.
	ScaleDownWindowSeconds int
	// ScaleDownPercent of the pods may be removed in ScaleDownPeriodSeconds. 1 to 100, 0 for Kubernetes' default of 100.
	ScaleDownPercent int
	// ScaleDownPeriodSeconds is the period of ScaleDownPercent. 1 to 1800, 0 for Kubernetes' default of 15.
	ScaleDownPeriodSeconds int
	// Tolerance is the relative deviation from the target that is ignored in both directions, e.g. 0.05. Empty for the
	// cluster's default, 0.1. Requires Kubernetes 1.35, or 1.33 with the feature gate HPAConfigurableTolerance.
	Tolerance string
}

// toleranceForm allows only plain decimal fractions, although the API accepts any quantity.
var toleranceForm = regexp.MustCompile(`^$|^0(\.[0-9]{1,9})?$`)

// maxPods is the maximum number of pods in a cluster: https://kubernetes.io/docs/setup/best-practices/cluster-large/
const maxPods = 150_000

// Validate reports every invalid setting. The limits are those of the API.
func (s Scaling) Validate() field.ErrorList {
	if s.Fixed != 0 {
		alone := s == Scaling{Fixed: s.Fixed}
		return append(check.Range("fixed", s.Fixed, 1, maxPods),
			check.That(alone, "fixed", s.Fixed, "must be 0 with an autoscaler, or given alone")...)
	}
	problems := append(check.Range("min", s.Min, 1, maxPods), check.Range("max", s.Max, 1, maxPods)...)
	if len(problems) == 0 && s.Max < s.Min {
		problems = check.Invalid("max", s.Max, fmt.Sprintf("must be at least %d, the fewest pods", s.Min))
	}
	return slices.Concat(problems,
		check.Range("targetCpuUtilization", s.TargetCPUUtilization, 1, 100),
		check.Range("scaleUpWindowSeconds", s.ScaleUpWindowSeconds, 0, 3600),
		check.Range("scaleUpPercent", s.ScaleUpPercent, 0, 10000),
		check.Range("scaleDownWindowSeconds", s.ScaleDownWindowSeconds, 0, 3600),
		check.Range("scaleDownPercent", s.ScaleDownPercent, 0, 100),
		check.Range("scaleDownPeriodSeconds", s.ScaleDownPeriodSeconds, 0, 1800),
		check.Match("tolerance", s.Tolerance, toleranceForm,
			"must be a decimal fraction from 0 to below 1 such as 0.05, or empty"),
	)
}

// least and most are the bounds of the number of pods.
func (s Scaling) least() int { return cmp.Or(s.Fixed, s.Min) }
func (s Scaling) most() int  { return cmp.Or(s.Fixed, s.Max) }

// AutoscalerArgs describes the autoscaler of a Deployment. A WebApp creates its own.
type AutoscalerArgs struct {
	// Namespace of the Deployment. Required.
	Namespace pulumi.StringInput
	// Deployment to scale. It is also the name of the autoscaler. Empty for the component's name.
	Deployment string
	// Container whose CPU usage is measured. Sidecars do not count, so one without a CPU request breaks nothing. Required.
	Container string
	// Scaling describes the autoscaling; Fixed must be 0. Required.
	Scaling Scaling
	// Labels in addition to the common ones.
	Labels map[string]string
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *AutoscalerArgs) Validate() field.ErrorList {
	return slices.Concat(check.Label("container", a.Container), check.Labels("labels", a.Labels),
		check.In("scaling", a.Scaling.Validate()),
		check.That(a.Scaling.Fixed == 0, "scaling.fixed", a.Scaling.Fixed, "must be 0 for an autoscaler"))
}

// Autoscaler scales the pods of a Deployment.
type Autoscaler struct {
	pulumi.ResourceState

	// Name of the HorizontalPodAutoscaler.
	Name pulumi.StringOutput
	// Ready is the resource for dependents, instead of the component: see WebApp.Ready.
	Ready pulumi.Resource
}

// NewAutoscaler creates the HorizontalPodAutoscaler, and waits until it is active, about 45 s after a new Deployment.
// Without metrics `pulumi up` fails; otherwise it would succeed, and the app would never scale.
func NewAutoscaler(
	ctx *pulumi.Context, name string, args *AutoscalerArgs, opts ...pulumi.ResourceOption,
) (*Autoscaler, error) {
	args = cmp.Or(args, &AutoscalerArgs{})
	scaler, s := &Autoscaler{}, args.Scaling
	o := objects.Owner{Pods: webApp(args.Deployment), Namespace: args.Namespace}
	o.Labels = args.Labels
	if err := o.Register(ctx, "Autoscaler", name, args.Validate(), scaler, opts); err != nil {
		return nil, err
	}
	desired := &autoscalingv2.HorizontalPodAutoscalerArgs{
		Metadata: o.Annotated(pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=ScalingActive")}),
		Spec: &autoscalingv2.HorizontalPodAutoscalerSpecArgs{
			ScaleTargetRef: &autoscalingv2.CrossVersionObjectReferenceArgs{
				ApiVersion: pulumi.String("apps/v1"),
				Kind:       pulumi.String("Deployment"),
				Name:       pulumi.String(o.Instance),
			},
			MinReplicas: pulumi.Int(s.Min),
			MaxReplicas: pulumi.Int(s.Max),
			Metrics: autoscalingv2.MetricSpecArray{autoscalingv2.MetricSpecArgs{
				Type: pulumi.String("ContainerResource"),
				ContainerResource: &autoscalingv2.ContainerResourceMetricSourceArgs{
					Name:      pulumi.String("cpu"),
					Container: pulumi.String(args.Container),
					Target: &autoscalingv2.MetricTargetArgs{
						Type:               pulumi.String("Utilization"),
						AverageUtilization: pulumi.Int(s.TargetCPUUtilization),
					},
				},
			}},
			// Every 15 s, up by ScaleUpPercent or four pods, whichever is more. Four is Kubernetes' default, which custom
			// policies replace; it keeps few pods from growing one at a time at a low percentage.
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehaviorArgs{
				ScaleUp: s.rules(s.ScaleUpWindowSeconds,
					policy("Percent", cmp.Or(s.ScaleUpPercent, 900), 15), policy("Pods", 4, 15)),
				ScaleDown: s.rules(s.ScaleDownWindowSeconds,
					policy("Percent", cmp.Or(s.ScaleDownPercent, 100), cmp.Or(s.ScaleDownPeriodSeconds, 15))),
			},
		},
	}
	hpa := component.Create(o.Builder, autoscalingv2.NewHorizontalPodAutoscaler, "", desired,
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "5m", Update: "5m"}))
	scaler.Name, scaler.Ready = objects.NameOf(hpa.Metadata), hpa
	return scaler, o.Finish(pulumi.Map{"name": scaler.Name})
}

func (s Scaling) rules(window int, policies ...autoscalingv2.HPAScalingPolicyInput) *autoscalingv2.HPAScalingRulesArgs {
	return &autoscalingv2.HPAScalingRulesArgs{
		StabilizationWindowSeconds: pulumi.Int(window),
		SelectPolicy:               pulumi.String("Max"),
		Policies:                   autoscalingv2.HPAScalingPolicyArray(policies),
		Tolerance:                  component.Optional(s.Tolerance), // older API servers reject the field
	}
}

func policy(kind string, value, period int) autoscalingv2.HPAScalingPolicyInput {
	return autoscalingv2.HPAScalingPolicyArgs{
		Type: pulumi.String(kind), Value: pulumi.Int(value), PeriodSeconds: pulumi.Int(period),
	}
}
