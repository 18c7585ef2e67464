package components

import (
	"fmt"
	"math"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// TraefikArgs describe an ingress controller for a cluster that has none.
type TraefikArgs struct {
	// Image of Traefik v3. Required, with a pinned version.
	Image string
	// HTTPNodePort and HTTPSNodePort are the ports on every node, 30000 to 32767. Required.
	HTTPNodePort, HTTPSNodePort int
	// PublishedHost goes into the status of every Ingress as its address. Without one nothing tells that an Ingress
	// works, and `pulumi up` waits for it for 10 minutes and fails. Required; localhost on a laptop.
	PublishedHost string
	// Replicas is how many there are. From 2 on one of them serves while another is replaced or its node drained. At least 1.
	Replicas int
}

// Validate reports everything wrong with the arguments.
func (a *TraefikArgs) Validate() field.ErrorList {
	problems := check.Image("image", a.Image)
	problems = append(problems, check.Range("httpNodePort", a.HTTPNodePort, 30000, 32767)...)
	problems = append(problems, check.Range("httpsNodePort", a.HTTPSNodePort, 30000, 32767)...)
	problems = append(problems, check.Range("replicas", a.Replicas, 1, math.MaxInt)...)
	return append(problems, check.Set("publishedHost", a.PublishedHost != "")...)
}

// Entry points above 1024, so that Traefik needs no privilege to listen; the port of its health check.
// traefikResources are what the container gets.
var traefikResources = Resources{CPURequest: "100m", MemoryLimit: "256Mi"}

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
	inputs := pulumi.Map{
		"image": pulumi.String(args.Image), "publishedHost": pulumi.String(args.PublishedHost),
		"httpNodePort": pulumi.Int(args.HTTPNodePort), "httpsNodePort": pulumi.Int(args.HTTPSNodePort),
		"replicas": pulumi.Int(args.Replicas),
	}
	if err := register(ctx, "Traefik", name, args.Validate(), inputs, t, opts); err != nil {
		return nil, err
	}
	app := App{Name: "traefik", Instance: name}
	namespace, err := NewNamespace(ctx, name, &NamespaceArgs{Name: name}, pulumi.Parent(t))
	if err != nil {
		return nil, err
	}
	// It forwards to any pod in the cluster and asks the API server, so only who may call it is narrowed down.
	entry := peer{ports: []port{{"TCP", traefikHTTP}, {"TCP", traefikHTTPS}}}
	_, err = newNetworkPolicy(ctx, t, name, app.meta(name, namespace.Name), app.labelSelector(),
		[]peer{entry}, []peer{{}})
	if err != nil {
		return nil, err
	}
	account, err := newServiceAccount(ctx, t, name, app, namespace.Name,
		permissions{everywhere: traefikRules, clusterName: pulumi.String(name)})
	if err != nil {
		return nil, err
	}
	_, err = networkingv1.NewIngressClass(ctx, name, &networkingv1.IngressClassArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: app.labels()},
		Spec:     &networkingv1.IngressClassSpecArgs{Controller: pulumi.String("traefik.io/ingress-controller")},
	}, pulumi.Parent(t))
	if err != nil {
		return nil, creating("ingress class", name, err)
	}
	if err := args.service(ctx, t, name, app, namespace.Name); err != nil {
		return nil, err
	}
	if err := args.budget(ctx, t, name, app, namespace.Name); err != nil {
		return nil, err
	}
	t.Ready, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.meta(name, namespace.Name),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(args.Replicas),
			Selector: app.labelSelector(),
			Strategy: &appsv1.DeploymentStrategyArgs{RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
				MaxUnavailable: pulumi.Int(0), MaxSurge: pulumi.Int(1),
			}},
			Template: args.pod(name, app, account),
		},
	}, pulumi.Parent(t))
	if err != nil {
		return nil, creating("deployment", name, err)
	}
	return t, ctx.RegisterResourceOutputs(t, pulumi.Map{
		"namespace": namespace.Name, "ingressClass": pulumi.String(name),
	})
}

// traefikRules are what its Ingress provider watches, and the status that it writes. Secrets are among them since an
// Ingress may name one for TLS, in any namespace.
// https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress/
var traefikRules = []rule{
	{groups: []string{""}, resources: []string{"services", "secrets", "nodes", "namespaces"}, verbs: read},
	{groups: []string{"discovery.k8s.io"}, resources: []string{"endpointslices"}, verbs: read},
	{groups: []string{"networking.k8s.io"}, resources: []string{"ingresses", "ingressclasses"}, verbs: read},
	{groups: []string{"networking.k8s.io"}, resources: []string{"ingresses/status"}, verbs: []string{"update"}},
}

// budget keeps a node drain from taking all at once. With one alone it would block the drain for good.
func (a *TraefikArgs) budget(
	ctx *pulumi.Context, parent *Traefik, name string, app App, namespace pulumi.StringInput,
) error {
	if a.Replicas < 2 {
		return nil
	}
	_, err := newDisruptionBudget(ctx, parent, name, app, app.meta(name, namespace))
	return err
}

func (a *TraefikArgs) service(
	ctx *pulumi.Context, parent *Traefik, name string, app App, namespace pulumi.StringInput,
) error {
	nodePort := func(name string, port, node int) corev1.ServicePortArgs {
		return corev1.ServicePortArgs{
			Name: pulumi.String(name), Port: pulumi.Int(port), TargetPort: pulumi.String(name), NodePort: pulumi.Int(node),
		}
	}
	_, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: app.annotated(name, namespace, withoutAwait),
		Spec: &corev1.ServiceSpecArgs{
			Type:     pulumi.String("NodePort"),
			Selector: app.selector(),
			Ports: corev1.ServicePortArray{
				nodePort("http", 80, a.HTTPNodePort), nodePort("https", 443, a.HTTPSNodePort),
			},
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return creating("service", name, err)
	}
	return nil
}

func (a *TraefikArgs) pod(name string, app App, account pulumi.StringInput) *corev1.PodTemplateSpecArgs {
	portNamed := func(name string, number int) corev1.ContainerPortArgs {
		return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(number)}
	}
	flags := fmt.Sprintf(`
		--entrypoints.http.address=:%d
		--entrypoints.https.address=:%d
		--entrypoints.ping.address=:%d
		--entrypoints.http.transport.keepalivemaxtime=%ds
		--entrypoints.https.transport.keepalivemaxtime=%[4]ds
		--ping.entrypoint=ping
		--providers.kubernetesingress=true
		--providers.kubernetesingress.ingressclass=%[5]s
		--providers.kubernetesingress.ingressendpoint.hostname=%[6]s
		--providers.kubernetesingress.allowemptyservices=true
		--global.checknewversion=false
		--global.sendanonymoususage=false`,
		traefikHTTP, traefikHTTPS, traefikPing, traefikConnectionAge, name, a.PublishedHost)
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.labels()},
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName: account,
			EnableServiceLinks: pulumi.Bool(false),
			SecurityContext:    restrictedPod(appUser),
			// The rest is what Traefik gives requests that are under way.
			TerminationGracePeriodSeconds: pulumi.Int(traefikPreStop + longestRequest + killMargin),
			TopologySpreadConstraints:     spread(app),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("traefik"),
				Image: pulumi.String(a.Image),
				Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
					Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(traefikPreStop)},
				}},
				// allowemptyservices answers 503 where a Service has no pods; otherwise the route would vanish: 404.
				Args: args(flags),
				Ports: corev1.ContainerPortArray{
					portNamed("http", traefikHTTP), portNamed("https", traefikHTTPS), portNamed("ping", traefikPing),
				},
				// Forwarding costs about as much CPU as the app behind it, so there is no limit: one would throttle
				// the very load that the app is to scale with.
				Resources:       traefikResources.requirements(),
				SecurityContext: restrictedContainer(),
				ReadinessProbe:  httpProbe("/ping", "ping", 2, 2),
				LivenessProbe:   httpProbe("/ping", "ping", 10, 3),
				VolumeMounts:    corev1.VolumeMountArray{mount("tmp", "/tmp")},
			}},
			Volumes: corev1.VolumeArray{writableDir("tmp")},
		},
	}
}
