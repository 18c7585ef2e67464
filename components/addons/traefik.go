package addons

import (
	"fmt"
	"math"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// TraefikArgs describe an ingress controller for a cluster that has none.
type TraefikArgs struct {
	// Image of Traefik v3. Required, with a tag other than latest or with a digest.
	Image string
	// HTTPNodePort and HTTPSNodePort are the ports on every node, 30000 to 32767. Required.
	HTTPNodePort, HTTPSNodePort int
	// PublishedHost goes into the status of every Ingress as its address. Without one nothing tells that an Ingress
	// works, and `pulumi up` waits for it for 10 minutes and fails. Required; localhost on a laptop.
	PublishedHost string
	// RedirectPort is the port at which clients reach HTTPS: requests by HTTP are sent there, for all Ingresses. 0 serves both.
	RedirectPort int
	// Replicas is how many there are. From 2 on one of them serves while another is replaced or its node drained. At least 1.
	Replicas int
}

// Validate reports everything wrong with the arguments.
func (a *TraefikArgs) Validate() field.ErrorList {
	problems := check.Image("image", a.Image)
	problems = append(problems, check.Range("httpNodePort", a.HTTPNodePort, 30000, 32767)...)
	problems = append(problems, check.Range("httpsNodePort", a.HTTPSNodePort, 30000, 32767)...)
	if a.HTTPSNodePort == a.HTTPNodePort {
		problems = append(problems, check.Invalid("httpsNodePort", a.HTTPSNodePort, "must be another than httpNodePort")...)
	}
	problems = append(problems, check.Range("redirectPort", a.RedirectPort, 0, 65535)...)
	problems = append(problems, check.Range("replicas", a.Replicas, 1, math.MaxInt)...)
	if !check.IsDNSName(a.PublishedHost) { // it is part of a command line, where white space would begin another flag
		problems = append(problems, check.Invalid("publishedHost", a.PublishedHost,
			"must be a DNS name in lower case, such as localhost or www.example.com")...)
	}
	return problems
}

// traefikResources of each container.
var traefikResources = kube.Resources{CPURequest: "100m", MemoryLimit: "256Mi"}

// Workload is the pods of the ingress controller.
func (a *TraefikArgs) Workload() kube.Workload {
	return kube.Workload{Min: a.Replicas, Max: a.Replicas, Resources: traefikResources}
}

// Entry points above 1024, so that Traefik needs no privilege to listen; the port of its health check.
const (
	traefikHTTP  = 8000
	traefikHTTPS = 8443
	traefikPing  = 8080
)

const (
	// traefikPreStop is how long one that leaves still serves: the nodes need about a second to send new connections
	// elsewhere, and connections that stay open have to come to traefikConnectionAge.
	traefikPreStop = 5
	// traefikConnectionAge is after how many seconds a client is asked to open another connection with its next
	// request. Traefik closes those that are open when it stops, and a request on its way there would be lost.
	traefikConnectionAge = 3
	// traefikGrace is what it then has to finish requests that are under way: ten seconds, and five to end.
	traefikGrace = traefikPreStop + 15
	traefikUser  = 65532
)

// Traefik is an ingress controller behind node ports, in a namespace of its own. Node ports rather than host ports
// let it run under Pod Security `restricted`, and let a new pod start before the old one stops.
type Traefik struct {
	pulumi.ResourceState

	// Ready is what to depend on rather than the component (see Ingress).
	Ready pulumi.Resource
}

// NewTraefik creates the namespace, the permissions, the IngressClass, the Service and the Deployment. The component's
// name is that of the namespace and of the class too.
func NewTraefik(ctx *pulumi.Context, name string, args *TraefikArgs, opts ...pulumi.ResourceOption) (*Traefik, error) {
	t := &Traefik{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	if err := component.Register(ctx, "scaleout:index", "Traefik", name, problems, t, opts); err != nil {
		return nil, err
	}
	app := objects.App{Name: "traefik", Instance: name}
	namespace, err := kube.NewNamespace(ctx, name, &kube.NamespaceArgs{Name: name}, pulumi.Parent(t))
	if err != nil {
		return nil, err
	}
	// It forwards to any pod in the cluster and asks the API server, so only who may call it is narrowed down.
	entry := objects.Peer{Ports: []objects.Port{{Protocol: "TCP", Number: traefikHTTP}, {Protocol: "TCP", Number: traefikHTTPS}}}
	_, err = objects.NewNetworkPolicy(ctx, t, name, app.Meta(name, namespace.Name), app.LabelSelector(),
		[]objects.Peer{entry}, []objects.Peer{{}})
	if err != nil {
		return nil, err
	}
	account, err := objects.NewServiceAccount(ctx, t, name, app, namespace.Name,
		objects.Permissions{Everywhere: traefikRules, ClusterName: pulumi.String(name)})
	if err != nil {
		return nil, err
	}
	_, err = networkingv1.NewIngressClass(ctx, name, &networkingv1.IngressClassArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: app.LabelSet()},
		Spec:     &networkingv1.IngressClassSpecArgs{Controller: pulumi.String("traefik.io/ingress-controller")},
	}, pulumi.Parent(t))
	if err != nil {
		return nil, component.Creating("ingress class", name, err)
	}
	if err := args.service(ctx, t, name, app, namespace.Name); err != nil {
		return nil, err
	}
	if err := args.budget(ctx, t, name, app, namespace.Name); err != nil {
		return nil, err
	}
	t.Ready, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.Meta(name, namespace.Name),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(args.Replicas),
			Selector: app.LabelSelector(),
			Strategy: &appsv1.DeploymentStrategyArgs{RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
				MaxUnavailable: pulumi.Int(0), MaxSurge: pulumi.Int(1),
			}},
			Template: args.pod(name, app, account),
		},
	}, pulumi.Parent(t))
	if err != nil {
		return nil, component.Creating("deployment", name, err)
	}
	return t, ctx.RegisterResourceOutputs(t, pulumi.Map{
		"namespace": namespace.Name, "ingressClass": pulumi.String(name),
	})
}

// traefikRules are what its Ingress provider watches, and the status that it writes. Secrets are among them since an
// Ingress may name one for TLS, in any namespace.
// https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress/
var traefikRules = []objects.Rule{
	{Groups: []string{""}, Resources: []string{"services", "secrets", "nodes", "namespaces"}, Verbs: objects.Read},
	{Groups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: objects.Read},
	{Groups: []string{"networking.k8s.io"}, Resources: []string{"ingresses", "ingressclasses"}, Verbs: objects.Read},
	{Groups: []string{"networking.k8s.io"}, Resources: []string{"ingresses/status"}, Verbs: []string{"update"}},
}

// budget keeps a node drain from taking all at once. With one alone it would block the drain for good.
func (a *TraefikArgs) budget(
	ctx *pulumi.Context, parent *Traefik, name string, app objects.App, namespace pulumi.StringInput,
) error {
	if a.Replicas < 2 {
		return nil
	}
	_, err := objects.NewDisruptionBudget(ctx, parent, name, app, app.Meta(name, namespace))
	return err
}

func (a *TraefikArgs) service(
	ctx *pulumi.Context, parent *Traefik, name string, app objects.App, namespace pulumi.StringInput,
) error {
	nodePort := func(name string, port, node int) corev1.ServicePortArgs {
		return corev1.ServicePortArgs{
			Name: pulumi.String(name), Port: pulumi.Int(port), TargetPort: pulumi.String(name), NodePort: pulumi.Int(node),
		}
	}
	_, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: app.Annotated(name, namespace, objects.WithoutAwait),
		Spec: &corev1.ServiceSpecArgs{
			Type:     pulumi.String("NodePort"),
			Selector: app.Selector(),
			Ports: corev1.ServicePortArray{
				nodePort("http", 80, a.HTTPNodePort), nodePort("https", 443, a.HTTPSNodePort),
			},
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return component.Creating("service", name, err)
	}
	return nil
}

func (a *TraefikArgs) pod(name string, app objects.App, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	portNamed := func(name string, number int) corev1.ContainerPortArgs {
		return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(number)}
	}
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
		--providers.kubernetesingress.ingressendpoint.hostname=%[6]s
		--providers.kubernetesingress.allowemptyservices=true
		--global.checknewversion=false
		--global.sendanonymoususage=false`,
		traefikHTTP, traefikHTTPS, traefikPing, traefikConnectionAge, name, a.PublishedHost)
	if a.RedirectPort != 0 { // https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/#redirect
		flags += fmt.Sprintf(`
		--entrypoints.http.http.redirections.entrypoint.to=:%d
		--entrypoints.http.http.redirections.entrypoint.scheme=https`, a.RedirectPort)
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.LabelSet()},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:            account,
			EnableServiceLinks:            pulumi.Bool(false),
			SecurityContext:               objects.RestrictedPod(traefikUser),
			TerminationGracePeriodSeconds: pulumi.Int(traefikGrace),
			TopologySpreadConstraints:     objects.Spread(app),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("traefik"),
				Image: pulumi.String(a.Image),
				Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
					Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(traefikPreStop)},
				}},
				// allowemptyservices answers 503 where a Service has no pods; otherwise the route would vanish: 404.
				Args: objects.Args(flags),
				Ports: corev1.ContainerPortArray{
					portNamed("http", traefikHTTP), portNamed("https", traefikHTTPS), portNamed("ping", traefikPing),
				},
				// Forwarding costs about as much CPU as the app behind it, so there is no limit: one would throttle
				// the very load that the app is to scale with.
				Resources:       traefikResources.Requirements(),
				SecurityContext: objects.RestrictedContainer(),
				ReadinessProbe:  objects.HTTPProbe("/ping", "ping", 2, 2),
				LivenessProbe:   objects.HTTPProbe("/ping", "ping", 10, 3),
				VolumeMounts:    corev1.VolumeMountArray{objects.Mount("tmp", "/tmp")},
			}},
			Volumes: corev1.VolumeArray{objects.WritableDir("tmp", objects.ScratchSize)},
		},
	}
}
