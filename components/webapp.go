package components

import (
	"cmp"
	"fmt"
	"strconv"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// WebAppArgs describe a stateless web app that keeps its state in Redis.
type WebAppArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and what their labels call the instance; Redis gets it by WebAppPods. Empty for the component's
	// name; given where the component is renamed and they are not: see the package's documentation.
	Name string
	// Image by digest. Required.
	Image pulumi.StringInput
	// Redis is where the app keeps its state. Required.
	Redis RedisConnection
	// Scrapers are pods in the app's namespace that may read its metrics.
	Scrapers []App
	// IngressController and MetricsServer, if this program installs them (their Ready): the Ingress and the autoscaler
	// are created after them, and so deleted before them. A load balancer whose controller is gone is never cleaned up.
	IngressController, MetricsServer pulumi.Resource
	WebAppSettings
}

// WebAppSettings are the decisions about a web app.
type WebAppSettings struct {
	// Resources of each pod's container. Required.
	Resources Resources
	// Scaling is how many pods there are. Required.
	Scaling Scaling
	// Route is how the app is reached from outside. Required.
	Route Route
	// Callers are who may send requests to the pods. Required.
	Callers Callers
	// ScraperNamespace is where a Prometheus runs that may read the app's metrics. Empty for none.
	ScraperNamespace string
	// Drain is how long a pod takes to leave. Required.
	Drain Drain
	// Architecture of the image, in Kubernetes' words (amd64, arm64): the pods go to no other nodes. Empty for any, where
	// all nodes can run it.
	Architecture string
	// RolloutTimeoutSeconds is how long a rollout may stand still before it has failed. 30 to 3600. Behind an AWS load
	// balancer each pod waits for its registration and health checks, so allow 300. Required.
	RolloutTimeoutSeconds int
	// LogLevel of the app: debug, info, warn or error. Required.
	LogLevel string
}

// logLevels are those of the app.
var logLevels = []string{"debug", "info", "warn", "error"}

// Callers are the network neighbours that may send requests to an app: those who forward them, not the end users.
type Callers struct {
	// Namespace of an ingress controller in the cluster. Empty for none.
	Namespace string
	// CIDRs of a load balancer outside of it, e.g. the subnets of an ALB whose targets are pods.
	CIDRs pulumi.StringArrayInput
}

// Validate reports everything wrong with the arguments.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.ObjectName(a.Name)...)
	problems = append(problems, check.Set("image", a.Image != nil)...)
	problems = append(problems, check.Set("redis", a.Redis.Port != 0)...)
	return append(problems, a.WebAppSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *WebAppSettings) Validate() field.ErrorList {
	problems := s.Resources.Validate()
	problems = append(problems, s.Scaling.Validate()...)
	problems = append(problems, s.Route.Validate()...)
	problems = append(problems, s.Callers.Validate()...)
	if s.ScraperNamespace != "" {
		problems = append(problems, check.Label("scraperNamespace", s.ScraperNamespace)...)
	}
	problems = append(problems, s.Drain.Validate()...)
	if s.Architecture != "" {
		problems = append(problems, check.Label("architecture", s.Architecture)...)
	}
	problems = append(problems, check.Range("rolloutTimeoutSeconds", s.RolloutTimeoutSeconds, 30, 3600)...)
	return append(problems, check.OneOf("logLevel", s.LogLevel, logLevels...)...)
}

// Validate reports everything wrong with the callers.
func (c Callers) Validate() field.ErrorList {
	var problems field.ErrorList
	if c.Namespace != "" {
		problems = check.Label("ingressNamespace", c.Namespace)
	}
	cidrs, known := plainStrings(c.CIDRs)
	for _, cidr := range cidrs {
		problems = append(problems, check.CIDR("clientCidrs", cidr)...)
	}
	if c.Namespace == "" && known && len(cidrs) == 0 {
		problems = append(problems, field.Required(field.NewPath("clientCidrs"),
			"nobody may reach the pods: set clientCidrs, or ingressNamespace (installTraefik does)"))
	}
	return problems
}

// WebApp runs an app so that no request is lost while pods come and go. Its parts are created in the order Service,
// Ingress, Deployment, autoscaler, and deleted in the reverse one: a load balancer injects its readiness gate only into
// pods that are created after it, and has to let go of the pods before they go.
type WebApp struct {
	pulumi.ResourceState

	// URL under which the app answers.
	URL pulumi.StringOutput
	// Address of what is in front of it, as the ingress controller published it: a DNS name or an IP address.
	Address pulumi.StringOutput
	// Deployment and Autoscaler are the names of these two objects.
	Deployment, Autoscaler pulumi.StringOutput
}

// NewWebApp creates the app and everything that belongs to it.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	w := &WebApp{}
	if err := register(ctx, "WebApp", name, args.Validate(), args.inputs(), w, opts); err != nil {
		return nil, err
	}
	app := WebAppPods(cmp.Or(args.Name, name))

	service, err := newService(ctx, w, name, app, args.Namespace, "http", 80)
	if err != nil {
		return nil, err
	}
	ingress, err := NewIngress(ctx, name, &IngressArgs{
		App: app, Namespace: args.Namespace, Name: app.Instance, Route: args.Route, HealthPath: readyPath, Drain: args.Drain,
	}, pulumi.Parent(w), pulumi.DependsOn(present(service, args.IngressController)))
	if err != nil {
		return nil, err
	}
	guards, err := args.guards(ctx, w, name, app)
	if err != nil {
		return nil, err
	}
	deployment, err := args.deployment(ctx, w, name, app, present(append(guards, ingress.Ready, args.Redis.server)...))
	if err != nil {
		return nil, err
	}
	autoscaler, err := NewAutoscaler(ctx, name, &AutoscalerArgs{
		App: app, Namespace: args.Namespace, Name: app.Instance, Container: container,
		CPURequest: args.Resources.CPURequest, Scaling: args.Scaling,
	}, pulumi.Parent(w), pulumi.DependsOn(present(deployment, args.MetricsServer)))
	if err != nil {
		return nil, err
	}

	w.URL, w.Address = ingress.URL, ingress.Address
	w.Deployment, w.Autoscaler = deployment.Metadata.Name().Elem(), autoscaler.Name
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{
		"url": w.URL, "deployment": w.Deployment, "autoscaler": w.Autoscaler,
	})
}

func (a *WebAppArgs) inputs() pulumi.Map {
	return pulumi.Map{
		"namespace": a.Namespace, "name": pulumi.String(a.Name), "image": a.Image, "redis": a.Redis.outputs(),
		"resources": a.Resources.inputs(), "scaling": a.Scaling.inputs(), "route": a.Route.inputs(),
		"callers": pulumi.Map{
			"namespace": pulumi.String(a.Callers.Namespace), "cidrs": a.Callers.CIDRs,
		},
		"scrapers": instancesOf(a.Scrapers), "scraperNamespace": pulumi.String(a.ScraperNamespace),
		"loadBalancerDelaySeconds": pulumi.Int(a.Drain.LoadBalancerDelay),
		"rolloutTimeoutSeconds":    pulumi.Int(a.RolloutTimeoutSeconds),
		"logLevel":                 pulumi.String(a.LogLevel),
		"architecture":             pulumi.String(a.Architecture),
	}
}

// guards are what protects the app from others and from itself: no API token, only the connections it needs, and,
// where there is a second pod to take over, a limit on how many may be evicted at once.
func (a *WebAppArgs) guards(
	ctx *pulumi.Context, parent *WebApp, name string, app App,
) ([]pulumi.Resource, error) {
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     app.meta(app.Instance, a.Namespace),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, creating("service account", name, err)
	}
	redis := peer{to: a.Redis.peer, ports: []port{{"TCP", a.Redis.Port}}}
	network, err := newNetworkPolicy(ctx, parent, name, app.meta(app.Instance, a.Namespace), app.labelSelector(),
		append(a.Callers.peers(), a.scrapers()...), []peer{redis})
	if err != nil {
		return nil, err
	}
	guards := []pulumi.Resource{account, network}
	if a.Scaling.MinReplicas < 2 {
		return guards, nil
	}
	budget, err := newDisruptionBudget(ctx, parent, name, app, app.meta(app.Instance, a.Namespace))
	if err != nil {
		return nil, err
	}
	return append(guards, budget), nil
}

func (a *WebAppArgs) scrapers() []peer {
	peers := peersOf(a.Scrapers, metricsPort)
	if a.ScraperNamespace != "" {
		peers = append(peers, peer{to: podsIn(a.ScraperNamespace), ports: []port{{"TCP", metricsPort}}})
	}
	return peers
}

func (c Callers) peers() []peer {
	ports := []port{{"TCP", httpPort}}
	peers := []peer{}
	if c.Namespace != "" {
		peers = append(peers, peer{to: podsIn(c.Namespace), ports: ports})
	}
	if cidrs, known := plainStrings(c.CIDRs); !known || len(cidrs) > 0 {
		peers = append(peers, peer{addresses: c.CIDRs, ports: ports})
	}
	return peers
}

func (a *WebAppArgs) deployment(
	ctx *pulumi.Context, parent *WebApp, name string, app App, after []pulumi.Resource,
) (*appsv1.Deployment, error) {
	deployment, err := appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.meta(app.Instance, a.Namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			// No Replicas: they belong to the autoscaler, and every update would set them back.
			Selector:                app.labelSelector(),
			MinReadySeconds:         pulumi.Int(3), // a pod that crashes at once must not count as a success
			RevisionHistoryLimit:    pulumi.Int(5),
			ProgressDeadlineSeconds: pulumi.Int(a.RolloutTimeoutSeconds),
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type: pulumi.String("RollingUpdate"),
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
					MaxUnavailable: pulumi.Int(0),
					MaxSurge:       pulumi.String(fmt.Sprintf("%d%%", maxSurgePercent)),
				},
			},
			Template: a.pod(app),
		},
	}, pulumi.Parent(parent), pulumi.DependsOn(after),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: rolloutLimit, Update: rolloutLimit}))
	if err != nil {
		return nil, creating("deployment", name, err)
	}
	return deployment, nil
}

// maxSurgePercent is how many more pods than wanted there may be while a new version is rolled out: Kubernetes' default.
const maxSurgePercent = 25

// rolloutLimit ends a rollout that never stands still long enough to fail by itself. It is far above what 20 pods behind
// an AWS load balancer take, so that the message is the cluster's reason and not the engine's.
const rolloutLimit = "30m"

// present are the resources that exist.
func present(resources ...pulumi.Resource) []pulumi.Resource {
	var given []pulumi.Resource
	for _, r := range resources {
		if r != nil {
			given = append(given, r)
		}
	}
	return given
}

func seconds(n int) pulumi.String { return pulumi.String(strconv.Itoa(n) + "s") }
