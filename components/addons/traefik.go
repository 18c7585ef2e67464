// Package addons installs what a bare cluster lacks to run and scale web apps: Traefik and metrics-server.
package addons

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// TraefikArgs describes an ingress controller for a cluster that has none.
type TraefikArgs struct {
	// Image of Traefik v3. Required, with a tag other than latest or with a digest.
	Image string
	// HTTPNodePort and HTTPSNodePort are the ports on every node, 30000 to 32767. Required.
	HTTPNodePort, HTTPSNodePort int
	// RedirectPort is the public port of HTTPS, to which all HTTP requests are redirected. 0 serves both protocols.
	RedirectPort int
	// LongestRequest is the time in seconds, at least 1, in which a terminating pod finishes the requests in flight.
	LongestRequest int
}

// Validate reports everything wrong with the arguments.
func (a *TraefikArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Image("image", a.Image),
		check.Range("httpNodePort", a.HTTPNodePort, 30000, 32767),
		check.Range("httpsNodePort", a.HTTPSNodePort, 30000, 32767),
		check.Range("redirectPort", a.RedirectPort, 0, 65535),
		check.Range("longestRequest", a.LongestRequest, 1, 3000),
		check.That(a.HTTPSNodePort != a.HTTPNodePort, "httpsNodePort", a.HTTPSNodePort, "must differ from httpNodePort"),
	)
}

// TraefikSize is the resource request of its pods, for the check of the nodes' capacity.
var TraefikSize = kube.Workload{
	Min: traefikReplicas, Max: traefikReplicas, Surge: 1,
	Resources: kube.Resources{CPURequest: "100m", MemoryLimit: "256Mi"},
}

const (
	// traefikReplicas: the second pod (40 MB) serves while the first is replaced or its node is drained.
	traefikReplicas = 2
	// Ports above 1024 require no privileges. The last one is for the health check.
	traefikHTTP, traefikHTTPS, traefikPing = 8000, 8443, 8080
	// traefikConnectionAge is the number of seconds after which clients are told to open a new connection. Traefik
	// closes open connections when it stops, and a request that arrives at that moment is lost.
	traefikConnectionAge = 3
	// traefikPreStop is the time for which a terminating pod keeps serving: the nodes need about a second to send new
	// connections elsewhere, and open connections must reach traefikConnectionAge.
	traefikPreStop = 5
	// traefikRequest is the default time that Traefik waits for requests in flight after that.
	traefikRequest = 10
	// traefikEnd is the remaining time for the process to exit.
	traefikEnd  = 5
	traefikUser = 65532
)

// Traefik is an ingress controller behind node ports, which, unlike host ports, work under Pod Security `restricted`
// and let a new pod start before the old one stops. `pulumi up` waits for each Ingress' address, which is localhost.
type Traefik struct {
	pulumi.ResourceState

	// Ready is the resource for dependents, instead of the component: see kube.WebApp.Ready.
	Ready pulumi.Resource
}

// NewTraefik creates the controller. Its namespace and its IngressClass have the name of the component.
func NewTraefik(ctx *pulumi.Context, name string, args *TraefikArgs, opts ...pulumi.ResourceOption) (*Traefik, error) {
	args = cmp.Or(args, &TraefikArgs{})
	t := &Traefik{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	b, err := component.Register(ctx, "scaleout:index", "Traefik", name, problems, t, opts)
	if err != nil {
		return nil, err
	}
	namespace := component.Create(b, kube.NewNamespace, "", &kube.NamespaceArgs{Name: name})
	o := objects.Owner{Pods: objects.Pods{Name: "traefik", Instance: name}, Builder: b, Namespace: namespace.Name}
	// It connects to any pod in the cluster and to the API server, so only ingress is restricted.
	callers := []objects.Peer{{Anyone: true, Ports: []int{traefikHTTP, traefikHTTPS}}}
	o.NetworkPolicy(callers, []objects.Peer{{Anyone: true}})
	account := o.ServiceAccount(pulumi.String(name), traefikRules, nil)
	component.Create(b, networkingv1.NewIngressClass, "", &networkingv1.IngressClassArgs{
		Metadata: o.ClusterMeta(pulumi.String(name)),
		Spec:     &networkingv1.IngressClassSpecArgs{Controller: pulumi.String("traefik.io/ingress-controller")},
	})
	component.Create(b, corev1.NewService, "", &corev1.ServiceArgs{
		Metadata: o.Annotated(objects.WithoutAwait),
		Spec: &corev1.ServiceSpecArgs{
			Type:     pulumi.String("NodePort"),
			Selector: pulumi.ToStringMap(o.Selector()),
			Ports: corev1.ServicePortArray{
				nodePort("http", 80, args.HTTPNodePort), nodePort("https", 443, args.HTTPSNodePort),
			},
		},
	})
	o.DisruptionBudget()
	t.Ready = component.Create(b, appsv1.NewDeployment, "", &appsv1.DeploymentArgs{
		Metadata: o.Meta(""),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas:             pulumi.Int(traefikReplicas),
			RevisionHistoryLimit: objects.NoHistory,
			Selector:             o.LabelSelector(),
			Strategy: &appsv1.DeploymentStrategyArgs{RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
				MaxUnavailable: pulumi.Int(0), MaxSurge: pulumi.Int(1),
			}},
			Template: args.pod(o.Pods, account),
		},
	})
	return t, b.Finish(pulumi.Map{"namespace": namespace.Name, "ingressClass": pulumi.String(name)})
}

// traefikRules allow its Ingress provider to watch its sources and to update the status of Ingresses. They include
// Secrets, because an Ingress in any namespace may reference one for TLS.
// https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress/
var traefikRules = rbacv1.PolicyRuleArray{
	objects.Rule("", "services secrets nodes namespaces", objects.Read),
	objects.Rule("discovery.k8s.io", "endpointslices", objects.Read),
	objects.Rule("networking.k8s.io", "ingresses ingressclasses", objects.Read),
	objects.Rule("networking.k8s.io", "ingresses/status", "update"),
}

func nodePort(name string, port, node int) corev1.ServicePortArgs {
	return corev1.ServicePortArgs{
		Name: pulumi.String(name), Port: pulumi.Int(port), TargetPort: pulumi.String(name), NodePort: pulumi.Int(node),
	}
}

func (a *TraefikArgs) pod(app objects.Pods, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	flags := fmt.Sprintf(`
		--entrypoints.http.address=:%d
		--entrypoints.https.address=:%d
		--entrypoints.ping.address=:%d
		--entrypoints.http.transport.keepalivemaxtime=%ds
		--entrypoints.https.transport.keepalivemaxtime=%[4]ds
		--entrypoints.https.http.tls=true
		--ping.entrypoint=ping
		--providers.kubernetesingress=true
		--providers.kubernetesingress.ingressclass=%[5]s
		--providers.kubernetesingress.ingressendpoint.hostname=localhost
		--providers.kubernetesingress.allowemptyservices=true
		--global.checknewversion=false
		--global.sendanonymoususage=false`,
		traefikHTTP, traefikHTTPS, traefikPing, traefikConnectionAge, app.Instance)
	if a.LongestRequest > traefikRequest {
		flags += fmt.Sprintf(`
		--entrypoints.http.transport.lifecycle.gracetimeout=%ds
		--entrypoints.https.transport.lifecycle.gracetimeout=%[1]ds`, a.LongestRequest)
	}
	if a.RedirectPort != 0 { // https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/#redirect
		flags += fmt.Sprintf(`
		--entrypoints.http.http.redirections.entrypoint.to=:%d
		--entrypoints.http.http.redirections.entrypoint.scheme=https`, a.RedirectPort)
	}
	return app.Pod(traefikUser, nil, corev1.PodSpecArgs{
		ServiceAccountName:            account,
		TerminationGracePeriodSeconds: pulumi.Int(traefikPreStop + a.LongestRequest + traefikEnd),
		TopologySpreadConstraints:     app.Spread(),
	}, corev1.ContainerArgs{
		Image:     pulumi.String(a.Image),
		Lifecycle: objects.Sleep(traefikPreStop),
		// With allowemptyservices, a Service without pods answers 503. Otherwise its route would disappear and answer 404.
		Args: objects.Args(flags),
		Ports: corev1.ContainerPortArray{
			objects.Port("http", traefikHTTP), objects.Port("https", traefikHTTPS), objects.Port("ping", traefikPing),
		},
		// No CPU limit: forwarding costs about as much CPU as the app, and throttling would limit the load that scales it.
		Resources:      TraefikSize.Resources.Requirements(),
		ReadinessProbe: kube.Probe{HTTP: "/ping"}.Args("ping", 2, 2),
		LivenessProbe:  kube.Probe{HTTP: "/ping"}.Args("ping", 10, 3),
	}, objects.Tmp())
}
