package addons

import (
	"strconv"

	apiregistrationv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiregistration/v1"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// MetricsServerArgs describe the source of CPU and memory figures for a cluster that has none.
type MetricsServerArgs struct {
	// Image of metrics-server. Required, with a tag other than latest or with a digest.
	Image string
	// KubeletInsecureTLS skips the check of the kubelets' certificates. Kind's are self-signed, so it is needed there;
	// anywhere else it lets whoever can pose as a node decide how the app scales.
	// https://github.com/kubernetes-sigs/metrics-server/issues/1025
	KubeletInsecureTLS bool
}

// Validate reports everything wrong with the arguments.
func (a *MetricsServerArgs) Validate() field.ErrorList { return check.Image("image", a.Image) }

// MetricsServerSize is what it asks for.
var MetricsServerSize = kube.OnePod(metricsServerResources)

var metricsServerResources = kube.Resources{CPURequest: "100m", MemoryLimit: "200Mi"}

const (
	metricsServerPort = 10250
	metricsServerUser = 1000
	kubeSystem        = "kube-system"
)

// MetricsServer serves the API metrics.k8s.io, of which a cluster has one: unlike other components it cannot be
// installed twice. It is ready when the API answers.
type MetricsServer struct {
	pulumi.ResourceState

	// Ready is what to depend on rather than the component (see Ingress).
	Ready pulumi.Resource
}

// NewMetricsServer creates the permissions, the Service, the Deployment and the registration of the API.
func NewMetricsServer(
	ctx *pulumi.Context, name string, args *MetricsServerArgs, opts ...pulumi.ResourceOption,
) (*MetricsServer, error) {
	m := &MetricsServer{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	if err := component.Register(ctx, "scaleout:index", "MetricsServer", name, problems, m, opts); err != nil {
		return nil, err
	}
	app, namespace := objects.App{Name: "metrics-server", Instance: name}, pulumi.String(kubeSystem)
	account, err := m.permissions(ctx, name, app)
	if err != nil {
		return nil, err
	}
	service, err := objects.NewService(ctx, m, name, app, namespace, "https", 443)
	if err != nil {
		return nil, err
	}
	deployment, err := appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.Meta(name, namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1),
			Selector: app.LabelSelector(),
			Template: args.pod(app, account),
		},
	}, pulumi.Parent(m))
	if err != nil {
		return nil, component.Creating("deployment", name, err)
	}
	m.Ready, err = apiregistrationv1.NewAPIService(ctx, name, &apiregistrationv1.APIServiceArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String("v1beta1.metrics.k8s.io"),
			Labels:      app.LabelSet(),
			Annotations: pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Available")},
		},
		Spec: &apiregistrationv1.APIServiceSpecArgs{
			Service: &apiregistrationv1.ServiceReferenceArgs{
				Name: service.Metadata.Name().Elem(), Namespace: namespace, Port: pulumi.Int(443),
			},
			Group:   pulumi.String("metrics.k8s.io"),
			Version: pulumi.String("v1beta1"),
			// It makes its own certificate at each start, so there is none to trust beforehand.
			InsecureSkipTLSVerify: pulumi.Bool(true),
			GroupPriorityMinimum:  pulumi.Int(100),
			VersionPriority:       pulumi.Int(100),
		},
	}, pulumi.Parent(m), pulumi.DependsOn([]pulumi.Resource{deployment}))
	if err != nil {
		return nil, component.Creating("API service", name, err)
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{})
}

// permissions are those of the upstream manifests:
// https://github.com/kubernetes-sigs/metrics-server/tree/master/manifests/base
func (m *MetricsServer) permissions(ctx *pulumi.Context, name string, app objects.App) (pulumi.StringOutput, error) {
	namespace := pulumi.String(kubeSystem)
	account, err := objects.NewServiceAccount(ctx, m, name, app, namespace, objects.Permissions{
		ClusterName: pulumi.String(name),
		Everywhere: []objects.Rule{
			{Groups: []string{""}, Resources: []string{"nodes/metrics"}, Verbs: []string{"get"}},
			{Groups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: objects.Read},
		},
	})
	if err != nil {
		return account, err
	}
	// Everyone who may view a namespace may see its metrics, e.g. by `kubectl top`.
	viewers := app.LabelSet()
	for _, role := range []string{"view", "edit", "admin"} {
		viewers["rbac.authorization.k8s.io/aggregate-to-"+role] = pulumi.String("true")
	}
	_, err = rbacv1.NewClusterRole(ctx, name+"-reader", &rbacv1.ClusterRoleArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name + "-reader"), Labels: viewers},
		Rules: rbacv1.PolicyRuleArray{rbacv1.PolicyRuleArgs{
			ApiGroups: pulumi.ToStringArray([]string{"metrics.k8s.io"}),
			Resources: pulumi.ToStringArray([]string{"pods", "nodes"}),
			Verbs:     pulumi.ToStringArray(objects.Read),
		}},
	}, pulumi.Parent(m))
	if err != nil {
		return account, component.Creating("cluster role", name, err)
	}
	// An extension API server asks the main one who is calling and what they may do.
	delegator := pulumi.String("system:auth-delegator")
	binding := name + "-auth-delegator"
	if err := objects.BindClusterRole(ctx, m, binding, app, pulumi.String(binding), namespace, delegator); err != nil {
		return account, err
	}
	_, err = rbacv1.NewRoleBinding(ctx, name+"-auth-reader", &rbacv1.RoleBindingArgs{
		Metadata: app.Meta(name+"-auth-reader", namespace),
		RoleRef:  objects.RoleRef("Role", pulumi.String("extension-apiserver-authentication-reader")),
		Subjects: objects.AccountOf(app, namespace),
	}, pulumi.Parent(m))
	if err != nil {
		return account, component.Creating("role binding", name, err)
	}
	return account, nil
}

func (a *MetricsServerArgs) pod(app objects.App, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
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
		p := objects.HTTPProbe(path, "https", period, failures)
		p.HttpGet.(*corev1.HTTPGetActionArgs).Scheme = pulumi.String("HTTPS")
		return p
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.LabelSet()},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName: account,
			EnableServiceLinks: pulumi.Bool(false),
			PriorityClassName:  pulumi.String("system-cluster-critical"), // nothing scales while it is evicted
			SecurityContext:    objects.RestrictedPod(metricsServerUser),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("metrics-server"),
				Image: pulumi.String(a.Image),
				Args:  objects.Args(flags),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("https"), ContainerPort: pulumi.Int(metricsServerPort),
				}},
				Resources:       metricsServerResources.Requirements(),
				SecurityContext: objects.RestrictedContainer(),
				ReadinessProbe:  probe("/readyz", 5, 3),
				LivenessProbe:   probe("/livez", 10, 3),
				VolumeMounts:    corev1.VolumeMountArray{objects.Mount("tmp", "/tmp")},
			}},
			Volumes: corev1.VolumeArray{objects.WritableDir("tmp", objects.ScratchSize)},
		},
	}
}
