package monitoring

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// KubeStateMetricsArgs describe what turns the state of Kubernetes' objects into measurements.
type KubeStateMetricsArgs struct {
	// Namespace it runs in, and the only one that it looks at. Required.
	Namespace pulumi.StringInput
	// Image of kube-state-metrics 2.13 or later, which has the paths of the probes. Required, with a tag other than latest or with a digest.
	Image string
	// Readers are the only pods that may ask it.
	Readers []map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *KubeStateMetricsArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Selectors("readers", a.Readers)...)
	return append(problems, check.Image("image", a.Image)...)
}

// KubeStateMetricsSize is what it asks for.
var KubeStateMetricsSize = kube.OnePod(kubeStateMetricsResources)

var kubeStateMetricsResources = kube.Resources{CPURequest: "10m", MemoryLimit: "128Mi"}

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

// KubeStateMetricsPods are the labels of the pods of the KubeStateMetrics with that name.
func KubeStateMetricsPods(name string) map[string]string { return kubeStateMetricsApp(name).Pods() }

func kubeStateMetricsApp(name string) objects.App {
	return objects.App{Name: "kube-state-metrics", Instance: name}
}

// NewKubeStateMetrics creates the permissions, the Service, the network policy and the Deployment.
func NewKubeStateMetrics(
	ctx *pulumi.Context, name string, args *KubeStateMetricsArgs, opts ...pulumi.ResourceOption,
) (*KubeStateMetrics, error) {
	k := &KubeStateMetrics{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	if err := component.Register(ctx, "scaleout:index", "KubeStateMetrics", name, problems, k, opts); err != nil {
		return nil, err
	}
	app, watch := kubeStateMetricsApp(name), []string{"list", "watch"}
	account, err := objects.NewServiceAccount(ctx, k, name, app, args.Namespace, objects.Permissions{InNamespace: []objects.Rule{
		{Groups: []string{""}, Resources: []string{"pods"}, Verbs: watch},
		{Groups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: watch},
		{Groups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: watch},
	}})
	if err != nil {
		return nil, err
	}
	service, err := objects.NewService(ctx, k, name, app, args.Namespace, "http", kubeStateMetricsPort)
	if err != nil {
		return nil, err
	}
	// The API server: see Prometheus.
	_, err = objects.NewNetworkPolicy(ctx, k, name, app.Meta(name, args.Namespace), app.LabelSelector(),
		objects.PeersOf(args.Readers, kubeStateMetricsPort), []objects.Peer{{Ports: objects.TCP(443, 6443)}})
	if err != nil {
		return nil, err
	}
	_, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.Meta(name, args.Namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1), Selector: app.LabelSelector(), Template: args.pod(app, account),
		},
	}, pulumi.Parent(k))
	if err != nil {
		return nil, component.Creating("deployment", name, err)
	}
	k.Address = pulumi.Sprintf("%s.%s.svc:%d", service.Metadata.Name().Elem(), args.Namespace, kubeStateMetricsPort)
	return k, ctx.RegisterResourceOutputs(k, pulumi.Map{"address": k.Address})
}

func (a *KubeStateMetricsArgs) pod(app objects.App, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	flags := fmt.Sprintf(`
		--port=%d
		--telemetry-port=%d
		--resources=pods,deployments,horizontalpodautoscalers`, kubeStateMetricsPort, kubeStateMetricsSelf)
	number := func(name string, port int) corev1.ContainerPortArgs {
		return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(port)}
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.LabelSet()},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName: account,
			EnableServiceLinks: pulumi.Bool(false),
			SecurityContext:    objects.RestrictedPod(kubeStateMetricsUser),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:                     pulumi.String("kube-state-metrics"),
				Image:                    pulumi.String(a.Image),
				Args:                     append(objects.Args(flags), pulumi.Sprintf("--namespaces=%s", a.Namespace)),
				Ports:                    corev1.ContainerPortArray{number("http", kubeStateMetricsPort), number("telemetry", kubeStateMetricsSelf)},
				Resources:                kubeStateMetricsResources.Requirements(),
				SecurityContext:          objects.RestrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				ReadinessProbe:           objects.HTTPProbe("/readyz", "telemetry", 5, 3),
				LivenessProbe:            objects.HTTPProbe("/livez", "http", 10, 3),
			}},
		},
	}
}
