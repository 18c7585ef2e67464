package components

import (
	"cmp"
	"fmt"
	"regexp"

	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Scaling says how many pods there may be and what makes their number change.
type Scaling struct {
	// MinReplicas is what typical quiet traffic needs; from 2 on the loss of one pod is no outage. At least 1.
	MinReplicas int
	// MaxReplicas is what the budget, and whatever the pods share (Redis), can take. At least MinReplicas.
	MaxReplicas int
	// TargetCPUUtilization is the CPU use, in percent of the CPU request, that the autoscaler aims at. Lower reacts
	// earlier and costs more. 1 to 100.
	TargetCPUUtilization int
	// ScaleUpWindowSeconds is how long a need for more pods must last before it is met. 0 (Kubernetes' default) to 3600.
	ScaleUpWindowSeconds int
	// ScaleUpPercent of the pods may be added within 15 s, and always four. 1 to 10000. Kubernetes' default of 100 %
	// doubles them: 2 pods need three rounds of at least 15 s to become 20 (2, 6, 12, 20), although the first measurement
	// already tells the need. 900 % is tenfold, so that one decision meets it; MaxReplicas bounds the cost.
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
	problems := check.Range("minReplicas", s.MinReplicas, 1, maxPods)
	problems = append(problems, check.Range("maxReplicas", s.MaxReplicas, 1, maxPods)...)
	if len(problems) == 0 && s.MaxReplicas < s.MinReplicas {
		problems = check.Invalid("maxReplicas", s.MaxReplicas,
			fmt.Sprintf("must be at least minReplicas, which is %d", s.MinReplicas))
	}
	problems = append(problems, check.Range("targetCpuUtilization", s.TargetCPUUtilization, 1, 100)...)
	problems = append(problems, check.Range("scaleUpWindowSeconds", s.ScaleUpWindowSeconds, 0, 3600)...)
	problems = append(problems, check.Range("scaleUpPercent", s.ScaleUpPercent, 1, 10000)...)
	problems = append(problems, check.Range("scaleDownWindowSeconds", s.ScaleDownWindowSeconds, 0, 3600)...)
	problems = append(problems, check.Range("scaleDownPercent", s.ScaleDownPercent, 1, 100)...)
	problems = append(problems, check.Range("scaleDownPeriodSeconds", s.ScaleDownPeriodSeconds, 1, 1800)...)
	if s.Tolerance != "" && !toleranceForm.MatchString(s.Tolerance) {
		problems = append(problems, check.Invalid("scaleTolerance", s.Tolerance,
			"must be a decimal fraction from 0 to below 1 such as 0.05, or empty")...)
	}
	return problems
}

func (s Scaling) inputs() pulumi.Map {
	return pulumi.Map{
		"minReplicas": pulumi.Int(s.MinReplicas), "maxReplicas": pulumi.Int(s.MaxReplicas),
		"targetCpuUtilization":   pulumi.Int(s.TargetCPUUtilization),
		"scaleUpWindowSeconds":   pulumi.Int(s.ScaleUpWindowSeconds),
		"scaleUpPercent":         pulumi.Int(s.ScaleUpPercent),
		"scaleDownWindowSeconds": pulumi.Int(s.ScaleDownWindowSeconds),
		"scaleDownPercent":       pulumi.Int(s.ScaleDownPercent),
		"scaleDownPeriodSeconds": pulumi.Int(s.ScaleDownPeriodSeconds),
		"tolerance":              pulumi.String(s.Tolerance),
	}
}

// AutoscalerArgs describe a HorizontalPodAutoscaler.
type AutoscalerArgs struct {
	// App whose Deployment, named like the instance, is scaled. Required.
	App App
	// Namespace of the Deployment. Required.
	Namespace pulumi.StringInput
	// Name of the HorizontalPodAutoscaler. Empty for the component's name.
	Name string
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
	problems := check.Label("app.instance", a.App.Instance)
	problems = append(problems, check.Set("namespace", a.Namespace != nil)...)
	problems = append(problems, check.ObjectName(a.Name)...)
	problems = append(problems, check.Label("container", a.Container)...)
	problems = append(problems, check.CPU("cpuRequest", a.CPURequest)...)
	return append(problems, a.Scaling.Validate()...)
}

// Autoscaler is a HorizontalPodAutoscaler that counts as created only once it is active: `pulumi up` fails if it gets
// no metrics, where otherwise it would succeed and the app would never scale.
type Autoscaler struct {
	pulumi.ResourceState

	// Name of the HorizontalPodAutoscaler.
	Name pulumi.StringOutput
}

// NewAutoscaler creates the HorizontalPodAutoscaler. Metrics of a new Deployment arrive after about 45 s.
func NewAutoscaler(
	ctx *pulumi.Context, name string, args *AutoscalerArgs, opts ...pulumi.ResourceOption,
) (*Autoscaler, error) {
	s := args.Scaling
	a := &Autoscaler{}
	inputs := pulumi.Map{
		"namespace": args.Namespace, "name": pulumi.String(args.Name), "container": pulumi.String(args.Container),
		"cpuRequest": pulumi.String(args.CPURequest), "scaling": s.inputs(),
	}
	if err := register(ctx, "Autoscaler", name, args.Validate(), inputs, a, opts); err != nil {
		return nil, err
	}
	hpa, err := autoscalingv2.NewHorizontalPodAutoscaler(ctx, name, &autoscalingv2.HorizontalPodAutoscalerArgs{
		Metadata: args.App.annotated(cmp.Or(args.Name, name), args.Namespace, pulumi.StringMap{
			"pulumi.com/waitFor": pulumi.String("condition=ScalingActive"),
		}),
		Spec: &autoscalingv2.HorizontalPodAutoscalerSpecArgs{
			ScaleTargetRef: &autoscalingv2.CrossVersionObjectReferenceArgs{
				ApiVersion: pulumi.String("apps/v1"),
				Kind:       pulumi.String("Deployment"),
				Name:       pulumi.String(args.App.Instance),
			},
			MinReplicas: pulumi.Int(s.MinReplicas),
			MaxReplicas: pulumi.Int(s.MaxReplicas),
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
	a.Name = hpa.Metadata.Name().Elem()
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{"name": a.Name})
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
