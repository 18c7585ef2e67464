package kube

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"

	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
)

// Scaling says how many pods there may be and what makes their number change.
type Scaling struct {
	// Fixed is a number of pods that does not change by itself. All other fields are then left out. 0 for an autoscaler.
	Fixed int
	// Min is what typical quiet traffic needs; from 2 on the loss of one pod is no outage. At least 1.
	Min int
	// Max is what the budget, and whatever the pods share (Redis), can take. At least Min.
	Max int
	// TargetCPUUtilization is the CPU use, in percent of the CPU request, that the autoscaler aims at. Lower reacts
	// earlier and costs more. 1 to 100.
	TargetCPUUtilization int
	// ScaleUpWindowSeconds is how long a need for more pods must last before it is met. 0 (Kubernetes' default) to 3600.
	ScaleUpWindowSeconds int
	// ScaleUpPercent of the pods may be added within 15 s, and always four. 1 to 10000. Kubernetes' default of 100 %
	// doubles them: 2 pods need three rounds of at least 15 s to become 20 (2, 6, 12, 20), although the first measurement
	// already tells the need. 900 % is tenfold, so that one decision meets it; Max bounds the cost.
	ScaleUpPercent int
	// ScaleDownWindowSeconds is how long a need for fewer pods must last: the highest need within the window counts.
	// 0 to 3600; Kubernetes' default is 300.
	ScaleDownWindowSeconds int
	// ScaleDownPercent of the pods may go within ScaleDownPeriodSeconds. 1 to 100; Kubernetes' default is 100 % in 15 s.
	ScaleDownPercent int
	// ScaleDownPeriodSeconds belongs to ScaleDownPercent. 1 to 1800.
	ScaleDownPeriodSeconds int
	// Tolerance is the relative deviation from the target that is ignored, both ways, e.g. 0.05. Empty for the
	// cluster's own, 0.1. Needs Kubernetes 1.35, or 1.33 with the feature gate HPAConfigurableTolerance.
	Tolerance string
}

// toleranceForm leaves out what other notations a number may have: the API wants a quantity and the reader a fraction.
var toleranceForm = regexp.MustCompile(`^0(\.[0-9]{1,9})?$`)

// maxPods is how many pods the largest cluster may have: https://kubernetes.io/docs/setup/best-practices/cluster-large/
const maxPods = 150_000

// Validate reports everything wrong with the settings. The bounds are those of the API:
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
func (s Scaling) Validate() field.ErrorList {
	if s.Fixed != 0 {
		if s != (Scaling{Fixed: s.Fixed}) {
			return check.Invalid("fixed", s.Fixed, "must be 0 with an autoscaler, or given alone")
		}
		return check.Range("fixed", s.Fixed, 1, maxPods)
	}
	problems := check.Range("min", s.Min, 1, maxPods)
	problems = append(problems, check.Range("max", s.Max, 1, maxPods)...)
	if len(problems) == 0 && s.Max < s.Min {
		problems = check.Invalid("max", s.Max, fmt.Sprintf("must be at least min, which is %d", s.Min))
	}
	problems = append(problems, check.Range("targetCpuUtilization", s.TargetCPUUtilization, 1, 100)...)
	problems = append(problems, check.Range("scaleUpWindowSeconds", s.ScaleUpWindowSeconds, 0, 3600)...)
	problems = append(problems, check.Range("scaleUpPercent", s.ScaleUpPercent, 1, 10000)...)
	problems = append(problems, check.Range("scaleDownWindowSeconds", s.ScaleDownWindowSeconds, 0, 3600)...)
	problems = append(problems, check.Range("scaleDownPercent", s.ScaleDownPercent, 1, 100)...)
	problems = append(problems, check.Range("scaleDownPeriodSeconds", s.ScaleDownPeriodSeconds, 1, 1800)...)
	if s.Tolerance != "" && !toleranceForm.MatchString(s.Tolerance) {
		problems = append(problems, check.Invalid("tolerance", s.Tolerance,
			"must be a decimal fraction from 0 to below 1 such as 0.05, or empty")...)
	}
	return problems
}

// least and most are the bounds of the number of pods.
func (s Scaling) least() int { return cmp.Or(s.Fixed, s.Min) }
func (s Scaling) most() int  { return cmp.Or(s.Fixed, s.Max) }

// AutoscalerArgs describe a HorizontalPodAutoscaler.
type AutoscalerArgs struct {
	// Deployment that is scaled. Required.
	Deployment string
	// Namespace of the Deployment. Required.
	Namespace pulumi.StringInput
	// Name of the HorizontalPodAutoscaler. Empty for the component's name.
	Name string
	// Pods are the labels of the pods, which the HorizontalPodAutoscaler gets as well. Labels are others. Empty for none.
	Pods, Labels map[string]string
	// Container whose CPU counts. A sidecar's does not, so that one without a CPU request cannot stop the scaling.
	// Required.
	Container string
	// CPURequest of that container. Required: without it the autoscaler has no 100 %, and reports <unknown> for ever.
	CPURequest string
	// Scaling is when and how far. Required.
	Scaling Scaling
}

// Validate reports everything wrong with the arguments.
func (a *AutoscalerArgs) Validate() field.ErrorList {
	problems := check.Label("deployment", a.Deployment)
	problems = append(problems, check.Set("namespace", a.Namespace != nil)...)
	problems = append(problems, check.Label("container", a.Container)...)
	problems = append(problems, check.CPU("cpuRequest", a.CPURequest)...)
	problems = append(problems, check.Labels("pods", a.Pods)...)
	problems = append(problems, check.Labels("labels", a.Labels)...)
	if a.Scaling.Fixed != 0 {
		problems = append(problems, check.Invalid("scaling.fixed", a.Scaling.Fixed, "must be 0: an autoscaler changes the number")...)
	}
	return append(problems, check.In("scaling", a.Scaling.Validate())...)
}

// Autoscaler is a HorizontalPodAutoscaler that counts as created only once it is active: `pulumi up` fails if it gets
// no metrics, where otherwise it would succeed and the app would never scale.
type Autoscaler struct {
	pulumi.ResourceState

	// Name of the HorizontalPodAutoscaler.
	Name pulumi.StringOutput
	// Ready is what to depend on rather than the component: see Ingress.
	Ready pulumi.Resource
}

// NewAutoscaler creates the HorizontalPodAutoscaler. Metrics of a new Deployment arrive after about 45 s.
func NewAutoscaler(
	ctx *pulumi.Context, name string, args *AutoscalerArgs, opts ...pulumi.ResourceOption,
) (*Autoscaler, error) {
	s := args.Scaling
	a := &Autoscaler{}
	object := cmp.Or(args.Name, name)
	problems := append(args.Validate(), check.ObjectName(object)...)
	if err := register(ctx, "Autoscaler", name, problems, a, opts); err != nil {
		return nil, err
	}
	hpa, err := autoscalingv2.NewHorizontalPodAutoscaler(ctx, name, &autoscalingv2.HorizontalPodAutoscalerArgs{
		Metadata: args.app().Annotated(object, args.Namespace, pulumi.StringMap{
			"pulumi.com/waitFor": pulumi.String("condition=ScalingActive"),
		}),
		Spec: &autoscalingv2.HorizontalPodAutoscalerSpecArgs{
			ScaleTargetRef: &autoscalingv2.CrossVersionObjectReferenceArgs{
				ApiVersion: pulumi.String("apps/v1"),
				Kind:       pulumi.String("Deployment"),
				Name:       pulumi.String(args.Deployment),
			},
			MinReplicas: pulumi.Int(s.Min),
			MaxReplicas: pulumi.Int(s.Max),
			Metrics:     autoscalingv2.MetricSpecArray{cpuMetric(args.Container, s.TargetCPUUtilization)},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehaviorArgs{
				ScaleUp:   s.up(),
				ScaleDown: s.down(),
			},
		},
	}, pulumi.Parent(a), pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "5m", Update: "5m"}))
	if err != nil {
		return nil, creating("autoscaler", name, err)
	}
	a.Name, a.Ready = hpa.Metadata.Name().Elem(), hpa
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{"name": a.Name})
}

// app has the labels of the pods, be they those of this library or others.
func (a *AutoscalerArgs) app() objects.App {
	labels := map[string]string{}
	maps.Copy(labels, a.Labels)
	maps.Copy(labels, a.Pods)
	return objects.App{
		Name:     cmp.Or(a.Pods["app.kubernetes.io/name"], "autoscaler"),
		Instance: cmp.Or(a.Pods["app.kubernetes.io/instance"], a.Deployment), Labels: labels,
	}
}

func cpuMetric(container string, utilization int) autoscalingv2.MetricSpecArgs {
	return autoscalingv2.MetricSpecArgs{
		Type: pulumi.String("ContainerResource"),
		ContainerResource: &autoscalingv2.ContainerResourceMetricSourceArgs{
			Name:      pulumi.String("cpu"),
			Container: pulumi.String(container),
			Target: &autoscalingv2.MetricTargetArgs{
				Type:               pulumi.String("Utilization"),
				AverageUtilization: pulumi.Int(utilization),
			},
		},
	}
}

// up adds ScaleUpPercent of the pods or four, whichever is more, every 15 s. The four are Kubernetes' default, which a
// policy that is given replaces; they keep few pods from growing one by one at a low percentage.
func (s Scaling) up() *autoscalingv2.HPAScalingRulesArgs {
	return s.rules(s.ScaleUpWindowSeconds, policy("Percent", s.ScaleUpPercent, 15), policy("Pods", 4, 15))
}

func (s Scaling) down() *autoscalingv2.HPAScalingRulesArgs {
	return s.rules(s.ScaleDownWindowSeconds, policy("Percent", s.ScaleDownPercent, s.ScaleDownPeriodSeconds))
}

func (s Scaling) rules(window int, policies ...autoscalingv2.HPAScalingPolicyInput) *autoscalingv2.HPAScalingRulesArgs {
	rules := &autoscalingv2.HPAScalingRulesArgs{
		StabilizationWindowSeconds: pulumi.Int(window),
		SelectPolicy:               pulumi.String("Max"),
		Policies:                   autoscalingv2.HPAScalingPolicyArray(policies),
	}
	if s.Tolerance != "" { // older API servers reject the field
		rules.Tolerance = pulumi.String(s.Tolerance)
	}
	return rules
}

func policy(kind string, value, period int) autoscalingv2.HPAScalingPolicyInput {
	return autoscalingv2.HPAScalingPolicyArgs{
		Type: pulumi.String(kind), Value: pulumi.Int(value), PeriodSeconds: pulumi.Int(period),
	}
}
