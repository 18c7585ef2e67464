package monitoring

import (
	"cmp"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
)

// KubeStateMetricsArgs describes a kube-state-metrics, which exports the state of Kubernetes objects as metrics.
type KubeStateMetricsArgs struct {
	// Namespace to run in, and the only one to watch. Required.
	Namespace pulumi.StringInput
	// Image of kube-state-metrics 2.13 or later. Required, with a tag other than latest or with a digest.
	Image string
	// Readers are the labels of the only pods that may scrape it.
	Readers []map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *KubeStateMetricsArgs) Validate() field.ErrorList {
	return append(check.Selectors("readers", a.Readers), check.Image("image", a.Image)...)
}

// KubeStateMetricsSize is its resource request.
var KubeStateMetricsSize = kube.OnePodAndSurge(kube.Resources{CPURequest: "10m", MemoryLimit: "128Mi"})

const (
	kubeStateMetricsPort = 8080
	kubeStateMetricsSelf = 8081 // its own metrics and its readiness
	kubeStateMetricsUser = 65534
)

// KubeStateMetrics exports the number of pods and the state of the autoscaler. It can read pods, Deployments and
// HorizontalPodAutoscalers of its namespace, and no Secrets.
type KubeStateMetrics struct {
	pulumi.ResourceState

	// Address is its host and port.
	Address pulumi.StringOutput
}

// KubeStateMetricsPods returns the labels of the pods of the KubeStateMetrics with that name.
func KubeStateMetricsPods(name string) map[string]string { return kubeStateMetricsApp(name).Selector() }

func kubeStateMetricsApp(name string) objects.Pods {
	return objects.Pods{Name: "kube-state-metrics", Instance: name}
}

// NewKubeStateMetrics creates the permissions, the Service, the network policy and the Deployment.
func NewKubeStateMetrics(
	ctx *pulumi.Context, name string, args *KubeStateMetricsArgs, opts ...pulumi.ResourceOption,
) (*KubeStateMetrics, error) {
	args = cmp.Or(args, &KubeStateMetricsArgs{})
	k := &KubeStateMetrics{}
	o := objects.Owner{Pods: kubeStateMetricsApp(name), Namespace: args.Namespace}
	if err := o.Register(ctx, "KubeStateMetrics", name, args.Validate(), k, opts); err != nil {
		return nil, err
	}
	const watch = "list watch"
	account := o.ServiceAccount(nil, nil, rbacv1.PolicyRuleArray{
		objects.Rule("", "pods", watch),
		objects.Rule("apps", "deployments", watch),
		objects.Rule("autoscaling", "horizontalpodautoscalers", watch),
	})
	service := o.Service("http", kubeStateMetricsPort)
	// The addresses of the API server are unknown: see PrometheusArgs.scraped.
	apiServer := []objects.Peer{{Anyone: true, Ports: []int{443, 6443}}}
	o.NetworkPolicy(objects.PeersOf(args.Readers, kubeStateMetricsPort), apiServer)
	flags := fmt.Sprintf(`
		--port=%d
		--telemetry-port=%d
		--resources=pods,deployments,horizontalpodautoscalers`, kubeStateMetricsPort, kubeStateMetricsSelf)
	spec := corev1.PodSpecArgs{ServiceAccountName: account}
	o.SinglePodDeployment(o.Pod(kubeStateMetricsUser, nil, spec, corev1.ContainerArgs{
		Image: pulumi.String(args.Image),
		Args:  append(objects.Args(flags), pulumi.Sprintf("--namespaces=%s", args.Namespace)),
		Ports: corev1.ContainerPortArray{
			objects.Port("http", kubeStateMetricsPort), objects.Port("telemetry", kubeStateMetricsSelf),
		},
		Resources:                KubeStateMetricsSize.Resources.Requirements(),
		TerminationMessagePolicy: objects.FallbackToLogs,
		ReadinessProbe:           kube.Probe{HTTP: "/readyz"}.Args("telemetry", 5, 3),
		LivenessProbe:            kube.Probe{HTTP: "/livez"}.Args("http", 10, 3),
	}))
	if err := o.Err(); err != nil {
		return nil, err
	}
	k.Address = pulumi.Sprintf("%s.%s.svc:%d", objects.NameOf(service.Metadata), args.Namespace, kubeStateMetricsPort)
	return k, o.Finish(pulumi.Map{"address": k.Address})
}
