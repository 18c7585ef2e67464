package components

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// KubeStateMetricsArgs describe what turns the state of Kubernetes' objects into measurements.
type KubeStateMetricsArgs struct {
	// Namespace it runs in, and the only one that it looks at. Required.
	Namespace pulumi.StringInput
	// Image of kube-state-metrics 2.13 or later, which has the paths of the probes. Required, with a pinned version.
	Image string
	// Readers are the only pods that may ask it.
	Readers []App
}

// Validate reports everything wrong with the arguments.
func (a *KubeStateMetricsArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	return append(problems, check.Image("image", a.Image)...)
}

// kubeStateMetricsResources are what the container gets.
var kubeStateMetricsResources = Resources{CPURequest: "10m", MemoryLimit: "128Mi"}

const (
	kubeStateMetricsPort = 8080
	kubeStateMetricsSelf = 8081 // its own metrics and its readiness
	kubeStateMetricsUser = 65534
)

// KubeStateMetrics tells how many pods there are and what the autoscaler wants. It sees no Secret and no other namespace.
type KubeStateMetrics struct {
	pulumi.ResourceState

	// Address is its host and port.
	Address pulumi.StringOutput
}

// KubeStateMetricsPods are the pods of the KubeStateMetrics with that name.
func KubeStateMetricsPods(name string) App { return App{Name: "kube-state-metrics", Instance: name} }

// NewKubeStateMetrics creates the permissions, the Service, the network policy and the Deployment.
func NewKubeStateMetrics(
	ctx *pulumi.Context, name string, args *KubeStateMetricsArgs, opts ...pulumi.ResourceOption,
) (*KubeStateMetrics, error) {
	k := &KubeStateMetrics{}
	inputs := pulumi.Map{
		"namespace": args.Namespace, "image": pulumi.String(args.Image), "readers": instancesOf(args.Readers),
	}
	if err := register(ctx, "KubeStateMetrics", name, args.Validate(), inputs, k, opts); err != nil {
		return nil, err
	}
	app, watch := KubeStateMetricsPods(name), []string{"list", "watch"}
	account, err := newServiceAccount(ctx, k, name, app, args.Namespace, permissions{inNamespace: []rule{
		{groups: []string{""}, resources: []string{"pods"}, verbs: watch},
		{groups: []string{"apps"}, resources: []string{"deployments"}, verbs: watch},
		{groups: []string{"autoscaling"}, resources: []string{"horizontalpodautoscalers"}, verbs: watch},
	}})
	if err != nil {
		return nil, err
	}
	service, err := newService(ctx, k, name, app, args.Namespace, "http", kubeStateMetricsPort)
	if err != nil {
		return nil, err
	}
	// The API server: see Prometheus.
	_, err = newNetworkPolicy(ctx, k, name, app.meta(name, args.Namespace), app.labelSelector(),
		peersOf(args.Readers, kubeStateMetricsPort), []peer{{ports: []port{{"TCP", 443}, {"TCP", 6443}}}})
	if err != nil {
		return nil, err
	}
	_, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.meta(name, args.Namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1), Selector: app.labelSelector(), Template: args.pod(app, account),
		},
	}, pulumi.Parent(k))
	if err != nil {
		return nil, creating("deployment", name, err)
	}
	k.Address = pulumi.Sprintf("%s.%s.svc:%d", service.Metadata.Name().Elem(), args.Namespace, kubeStateMetricsPort)
	return k, ctx.RegisterResourceOutputs(k, pulumi.Map{"address": k.Address})
}

func (a *KubeStateMetricsArgs) pod(app App, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	flags := fmt.Sprintf(`
		--port=%d
		--telemetry-port=%d
		--resources=pods,deployments,horizontalpodautoscalers`, kubeStateMetricsPort, kubeStateMetricsSelf)
	number := func(name string, port int) corev1.ContainerPortArgs {
		return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(port)}
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.labels()},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName: account,
			EnableServiceLinks: pulumi.Bool(false),
			SecurityContext:    restrictedPod(kubeStateMetricsUser),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:                     pulumi.String("kube-state-metrics"),
				Image:                    pulumi.String(a.Image),
				Args:                     append(args(flags), pulumi.Sprintf("--namespaces=%s", a.Namespace)),
				Ports:                    corev1.ContainerPortArray{number("http", kubeStateMetricsPort), number("telemetry", kubeStateMetricsSelf)},
				Resources:                kubeStateMetricsResources.requirements(),
				SecurityContext:          restrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				ReadinessProbe:           httpProbe("/readyz", "telemetry", 5, 3),
				LivenessProbe:            httpProbe("/livez", "http", 10, 3),
			}},
		},
	}
}
