package addons

import (
	"cmp"
	"strconv"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// MetricsServerArgs describes the source of CPU and memory metrics for a cluster that has none.
type MetricsServerArgs struct {
	// Image of metrics-server. Required, with a tag other than latest or with a digest.
	Image string
	// KubeletInsecureTLS skips the verification of the kubelets' certificates. kind needs it, because its certificates
	// are self-signed. Elsewhere, it lets anyone who can impersonate a node control the scaling.
	// https://github.com/kubernetes-sigs/metrics-server/issues/1025
	KubeletInsecureTLS bool
}

// Validate reports everything wrong with the arguments.
func (a *MetricsServerArgs) Validate() field.ErrorList { return check.Image("image", a.Image) }

// MetricsServerSize is the resource request of its pod, for the check of the nodes' capacity.
var MetricsServerSize = kube.OnePodAndSurge(kube.Resources{CPURequest: "100m", MemoryLimit: "200Mi"})

const metricsServerPort, metricsServerUser = 10250, 1000

// MetricsServer serves the API metrics.k8s.io, which exists only once per cluster, and is ready when the API responds.
type MetricsServer struct {
	pulumi.ResourceState

	// Ready is the resource for dependents, instead of the component: see kube.WebApp.Ready.
	Ready pulumi.Resource
}

// NewMetricsServer creates the permissions, the Service, the Deployment and the registration of the API.
func NewMetricsServer(
	ctx *pulumi.Context, name string, args *MetricsServerArgs, opts ...pulumi.ResourceOption,
) (*MetricsServer, error) {
	args = cmp.Or(args, &MetricsServerArgs{})
	m := &MetricsServer{}
	o := objects.Owner{Pods: objects.Pods{Name: "metrics-server"}, Namespace: pulumi.String("kube-system")}
	if err := o.Register(ctx, "MetricsServer", name, args.Validate(), m, opts); err != nil {
		return nil, err
	}
	account := metricsPermissions(o)
	service := o.Service("https", 443)
	deployment := o.SinglePodDeployment(args.pod(o.Pods, account))
	api := o.ClusterMeta(pulumi.String("v1beta1.metrics.k8s.io"))
	api.Annotations = pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Available")}
	// Not as the SDK's type, whose package takes 8 s of CPU to compile (docs/development.md).
	m.Ready = component.Create(o.Builder, apiextensions.NewCustomResource, "", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("apiregistration.k8s.io/v1"), Kind: pulumi.String("APIService"),
		Metadata: api,
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"service": pulumi.Map{
				"name": objects.NameOf(service.Metadata), "namespace": o.Namespace, "port": pulumi.Int(443),
			},
			"group":   pulumi.String("metrics.k8s.io"),
			"version": pulumi.String("v1beta1"),
			// metrics-server generates a self-signed certificate at each start, so there is no CA to trust.
			"insecureSkipTLSVerify": pulumi.Bool(true),
			"groupPriorityMinimum":  pulumi.Int(100),
			"versionPriority":       pulumi.Int(100),
		}},
	}, pulumi.DependsOn([]pulumi.Resource{deployment}))
	return m, o.Finish(pulumi.Map{})
}

// metricsPermissions: https://github.com/kubernetes-sigs/metrics-server/tree/master/manifests/base
func metricsPermissions(o objects.Owner) (account pulumi.StringOutput) {
	account = o.ServiceAccount(pulumi.String(o.Instance), rbacv1.PolicyRuleArray{
		objects.Rule("", "nodes/metrics", "get"), objects.Rule("", "pods nodes", objects.Read),
	}, nil)
	// Everyone who may view a namespace may see its metrics, e.g. with `kubectl top`.
	const aggregate, reader = "rbac.authorization.k8s.io/aggregate-to-", "-reader"
	viewers := o.Pods
	viewers.Labels = map[string]string{aggregate + "view": "true", aggregate + "edit": "true", aggregate + "admin": "true"}
	component.Create(o.Builder, rbacv1.NewClusterRole, reader, &rbacv1.ClusterRoleArgs{
		Metadata: viewers.ClusterMeta(pulumi.String(o.Instance + reader)),
		Rules:    rbacv1.PolicyRuleArray{objects.Rule("metrics.k8s.io", "pods nodes", objects.Read)},
	})
	// An extension API server delegates authentication and authorization to the main one.
	const delegator = "-auth-delegator"
	o.BindClusterRole(delegator, pulumi.String(o.Instance+delegator), pulumi.String("system:auth-delegator"))
	o.BindRole("-auth-reader", pulumi.String("extension-apiserver-authentication-reader"))
	return account
}

func (a *MetricsServerArgs) pod(app objects.Pods, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	flags := `
		--cert-dir=/tmp
		--secure-port=` + strconv.Itoa(metricsServerPort) + `
		--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname
		--kubelet-use-node-status-port
		--metric-resolution=15s`
	if a.KubeletInsecureTLS {
		flags += " --kubelet-insecure-tls"
	}
	probe := func(path string, period, failures int) *corev1.ProbeArgs {
		p := kube.Probe{HTTP: path}.Args("https", period, failures)
		p.HttpGet.(*corev1.HTTPGetActionArgs).Scheme = pulumi.String("HTTPS")
		return p
	}
	return app.Pod(metricsServerUser, nil, corev1.PodSpecArgs{
		ServiceAccountName: account,
		PriorityClassName:  pulumi.String("system-cluster-critical"), // nothing is autoscaled without it: evict it last
	}, corev1.ContainerArgs{
		Image:          pulumi.String(a.Image),
		Args:           objects.Args(flags),
		Ports:          corev1.ContainerPortArray{objects.Port("https", metricsServerPort)},
		Resources:      MetricsServerSize.Resources.Requirements(),
		ReadinessProbe: probe("/readyz", 5, 3),
		LivenessProbe:  probe("/livez", 10, 3),
	}, objects.Tmp())
}
