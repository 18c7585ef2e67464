package kube

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// WebAppArgs describe a stateless web app: its pods are alike, and any of them may go at any time.
type WebAppArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and what their labels call the instance; others get its pods by WebAppPods. Empty for the
	// component's name; given where the component is renamed and they are not: see the package's documentation.
	Name string
	// Labels of all its objects and pods besides the common ones, e.g. team. Annotations are those of its objects, such as
	// the Deployment and the Service; the Ingress has those of the Route. PodAnnotations are those of its pods.
	Labels, Annotations, PodAnnotations map[string]string
	// Container that runs in each pod. Required.
	Container Container
	// Bindings are the backing services and Secrets that it uses.
	Bindings []Binding
	// Scaling is how many pods there are. Required.
	Scaling Scaling
	// Route is how it is reached from outside. Nil for a Service only.
	Route *Route
	// AllowFrom are those who may send requests to the pods: with a Route whoever forwards them, not the end users.
	// Required with a Route; without one, empty is nobody.
	AllowFrom []Peer
	// AllowTo are connections that the pods may make besides those of the bindings. DNS is open in a Namespace of this
	// package; in any other one it is denied too, unless a Peer with UDPPorts and Ports 53 is here.
	AllowTo []Peer
	// Drain is how long a pod takes to leave. Required.
	Drain Drain
	// RolloutTimeoutSeconds is how long a rollout may take before it has failed; the old pods serve on. 30 to 3600, and
	// at least what the startup probe gives a container. A quarter of the pods is replaced at a time, and behind an AWS
	// load balancer each waits for its registration and health checks, maybe for a node: allow 600. Required.
	RolloutTimeoutSeconds int
	// Placement narrows down the nodes.
	Placement Placement
	// ServiceAccountAnnotations give the pods an identity of the cloud, e.g. eks.amazonaws.com/role-arn. The pods get no
	// token for the Kubernetes API all the same. (EKS Pod Identity needs no annotation but the account's name, Name.)
	ServiceAccountAnnotations map[string]string
	// PullSecrets are the names of Secrets in the namespace with logins for the image's registry.
	PullSecrets []string
	// IngressController and MetricsServer, if this program installs them (their Ready): the Ingress and the autoscaler
	// are created after them, and so deleted before them. A load balancer whose controller is gone is never cleaned up.
	IngressController, MetricsServer pulumi.Resource
}

// Placement narrows down the nodes that pods may go to.
type Placement struct {
	// Architecture of the image, in Kubernetes' words (amd64, arm64). On any other node a pod would end at once, in "exec
	// format error". Empty for any, where all nodes can run it.
	Architecture string
	// NodeSelector are labels that a node must have.
	NodeSelector map[string]string
	// Tolerations are for taints: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
	Tolerations corev1.TolerationArray
	// PriorityClass decides who goes when there is no room. Empty for the cluster's default.
	PriorityClass string
}

// Peer is one allowed side of a connection: exactly one of Pods, Namespace, CIDRs and Anyone, and its Ports.
type Peer = objects.Peer

// WebAppPods are the labels of the pods of the WebApp whose objects have that name, for others to admit them.
func WebAppPods(name string) map[string]string { return webApp(name).Pods() }

func webApp(instance string) objects.App { return objects.App{Name: "webapp", Instance: instance} }

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := slices.Concat(
		check.In("container", a.Container.Validate()),
		check.Each("bindings", a.Bindings, (*Binding).Validate),
		check.In("scaling", a.Scaling.Validate()),
		check.Each("allowFrom", a.AllowFrom, (*Peer).Validate),
		check.Each("allowTo", a.AllowTo, (*Peer).Validate),
		check.In("drain", a.Drain.Validate()),
		check.Range("rolloutTimeoutSeconds", a.RolloutTimeoutSeconds,
			max(30, min(a.Container.Probes.startupSeconds(), 3600)), 3600),
		check.In("placement", a.Placement.validate()),
		check.Labels("labels", a.Labels),
		check.Annotations("annotations", a.Annotations),
		check.Annotations("podAnnotations", a.PodAnnotations),
		check.Annotations("serviceAccountAnnotations", a.ServiceAccountAnnotations),
		a.checkConflicts(),
	)
	for _, name := range a.PullSecrets {
		problems = append(problems, check.Name("pullSecrets", name)...)
	}
	for key := range webApp("").Pods() {
		if _, taken := a.Labels[key]; taken {
			problems = append(problems, check.Invalid("labels", key, "must not be one of the labels that the pods are found by")...)
		}
	}
	if a.Route == nil {
		return problems
	}
	if ready := a.Container.Probes.Readiness; a.Route.ALB != nil && (ready == nil || ready.HTTP == "") {
		problems = append(problems, field.Required(field.NewPath("container", "probes", "readiness", "http"),
			"must be a path that answers 200: an ALB asks it as well"))
	}
	if len(a.AllowFrom) == 0 {
		problems = append(problems, field.Required(field.NewPath("allowFrom"), "nobody may reach the pods: "+
			"add the namespace of the ingress controller, or the CIDRs of the load balancer"))
	}
	return append(problems, check.In("route", a.Route.Validate())...)
}

// checkConflicts reports what two sources claim: a folder, which the API server would refuse when it is too late, and a
// variable, of which all but one would be lost.
func (a *WebAppArgs) checkConflicts() (problems field.ErrorList) {
	seen := map[string]bool{}
	once := func(at *field.Path, values ...string) {
		for _, value := range values {
			if seen[value] {
				problems = append(problems, field.Duplicate(at, value))
			}
			seen[value] = true
		}
	}
	for i, b := range a.Bindings {
		at := field.NewPath("bindings").Index(i)
		once(at.Child("env"), slices.Sorted(maps.Keys(b.Env))...)
		once(at.Child("secretEnv"), slices.Sorted(maps.Keys(b.SecretEnv))...)
		for j, f := range b.Files {
			once(at.Child("files").Index(j).Child("dir"), f.Dir)
		}
	}
	for i, dir := range a.Container.WritablePaths {
		once(field.NewPath("container", "writablePaths").Index(i), dir)
	}
	return problems
}

func (p *Placement) validate() field.ErrorList {
	return slices.Concat(
		check.Labels("nodeSelector", p.NodeSelector),
		check.Optional(check.Label, "architecture", p.Architecture),
		check.Optional(check.Name, "priorityClass", p.PriorityClass),
	)
}

// WebApp runs an app so that no request is lost while pods come and go. Its parts are created in the order Service,
// Ingress, Deployment, autoscaler, and deleted in the reverse one: a load balancer injects its readiness gate only into
// pods that are created after it, and has to let go of the pods before they go.
type WebApp struct {
	pulumi.ResourceState

	// URL under which the app answers: without a Route, inside the cluster.
	URL pulumi.StringOutput
	// Address that the ingress controller published: a DNS name or an IP address. Without a Route, that of the Service.
	Address pulumi.StringOutput
	// Names of these objects. Autoscaler is empty for a fixed number of pods.
	Deployment, Service, ServiceAccount, Autoscaler pulumi.StringOutput
	// Ready is what to depend on rather than the component. The Go SDK expands a component dependency to the children
	// registered so far, and children register concurrently, so the dependency can be incomplete.
	Ready pulumi.Resource
}

// NewWebApp creates the app and everything that belongs to it.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	args = cmp.Or(args, &WebAppArgs{})
	w := &WebApp{Autoscaler: pulumi.String("").ToStringOutput()}
	app := webApp(cmp.Or(args.Name, name))
	app.Labels, app.Annotations = args.Labels, args.Annotations
	problems := slices.Concat(args.Validate(), check.ObjectName(app.Instance),
		check.Set("namespace", args.Namespace != nil), check.Set("container.image", args.Container.Image != nil))
	if err := component.Register(ctx, "scaleout:index", "WebApp", name, problems, w, opts); err != nil {
		return nil, err
	}
	o := objects.Owner{App: app, Context: ctx, Component: w, Name: name, Namespace: args.Namespace}
	service, err := o.Service(portName, 80)
	if err != nil {
		return nil, err
	}
	w.Service = service.Metadata.Name().Elem()
	w.Address = pulumi.Sprintf("%s.%s.svc", w.Service, args.Namespace)
	w.URL = pulumi.Sprintf("http://%s/", w.Address)
	var entrance pulumi.Resource = service
	if args.Route != nil {
		ingress, err := NewIngress(ctx, name, args.ingress(o.Instance),
			o.Child(), pulumi.DependsOn(present(service, args.IngressController)))
		if err != nil {
			return nil, err
		}
		entrance, w.URL, w.Address = ingress.Ready, ingress.URL, ingress.Address
	}
	guards, err := args.guards(o, w)
	if err != nil {
		return nil, err
	}
	deployment, err := args.deployment(o, append(guards, entrance))
	if err != nil {
		return nil, err
	}
	w.Ready, w.Deployment = deployment, deployment.Metadata.Name().Elem()
	if args.Scaling.Fixed == 0 {
		scaler, err := NewAutoscaler(ctx, name, &AutoscalerArgs{
			Namespace: args.Namespace, Deployment: o.Instance, Container: args.Container.name(), Scaling: args.Scaling,
			Labels: args.Labels,
		}, o.Child(), pulumi.DependsOn(present(deployment, args.MetricsServer)))
		if err != nil {
			return nil, err
		}
		w.Ready, w.Autoscaler = scaler.Ready, scaler.Name
	}
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{
		"url": w.URL, "address": w.Address, "deployment": w.Deployment, "service": w.Service,
		"serviceAccount": w.ServiceAccount, "autoscaler": w.Autoscaler, "keepsSleep": deployment.Spec.ApplyT(keepsSleep),
	})
}

// ingress are the arguments of the app's Ingress. An ALB asks what the kubelet asks.
func (a *WebAppArgs) ingress(service string) *IngressArgs {
	args := &IngressArgs{
		Namespace: a.Namespace, Service: service, Route: *a.Route, Drain: a.Drain, Labels: a.Labels,
	}
	if a.Route.ALB != nil {
		args.HealthPath = a.Container.Probes.Readiness.HTTP
	}
	return args
}

// guards protect the app from others and from itself: no API token, only the connections it needs, and, where there is
// a second pod to take over, a limit on how many may be evicted at once.
func (a *WebAppArgs) guards(o objects.Owner, w *WebApp) ([]pulumi.Resource, error) {
	account, err := corev1.NewServiceAccount(o.Context, o.Name, &corev1.ServiceAccountArgs{
		Metadata:                     o.Annotated(pulumi.ToStringMap(a.ServiceAccountAnnotations)),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, o.Child())
	if err != nil {
		return nil, err
	}
	w.ServiceAccount = account.Metadata.Name().Elem()
	from := []Peer{}
	for _, peer := range a.AllowFrom {
		if len(peer.Ports)+len(peer.UDPPorts) == 0 {
			peer.Ports = []int{a.Container.Port}
		}
		from = append(from, peer)
	}
	to := append([]Peer{}, a.AllowTo...)
	for _, b := range a.Bindings {
		to = append(to, b.AllowTo...)
	}
	network, err := o.NetworkPolicy(from, to)
	if err != nil || a.Scaling.least() < 2 {
		return []pulumi.Resource{account, network}, err
	}
	budget, err := o.DisruptionBudget()
	return []pulumi.Resource{account, network, budget}, err
}

// maxSurgePercent is how many more pods there may be while a new version is rolled out: Kubernetes' default.
const maxSurgePercent = 25

func (a *WebAppArgs) deployment(o objects.Owner, after []pulumi.Resource) (*appsv1.Deployment, error) {
	for _, b := range a.Bindings {
		after = append(after, b.After...)
	}
	spec := &appsv1.DeploymentSpecArgs{
		Selector:                o.LabelSelector(),
		MinReadySeconds:         pulumi.Int(3),     // a pod that crashes at once must not count as a success
		RevisionHistoryLimit:    objects.NoHistory, // a stack keeps the images instead
		ProgressDeadlineSeconds: pulumi.Int(a.RolloutTimeoutSeconds),
		Strategy: &appsv1.DeploymentStrategyArgs{
			Type: pulumi.String("RollingUpdate"),
			RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
				MaxUnavailable: pulumi.Int(0),
				MaxSurge:       pulumi.String(fmt.Sprintf("%d%%", maxSurgePercent)),
			},
		},
		Template: a.pod(o.App),
	}
	if a.Scaling.Fixed > 0 { // otherwise they belong to the autoscaler, and every update would set them back
		spec.Replicas = pulumi.Int(a.Scaling.Fixed)
	}
	// The provider waits for the whole of it: that Kubernetes gave the rollout up (ProgressDeadlineExceeded) it only
	// shows.
	limit := fmt.Sprintf("%ds", a.RolloutTimeoutSeconds)
	limits := &pulumi.CustomTimeouts{Create: limit, Update: limit}
	return appsv1.NewDeployment(o.Context, o.Name, &appsv1.DeploymentArgs{Metadata: o.Meta(""), Spec: spec},
		o.Child(), pulumi.DependsOn(present(after...)), pulumi.Timeouts(limits))
}

func (a *WebAppArgs) pod(app objects.App) *corev1.PodTemplateSpecArgs {
	var pull corev1.LocalObjectReferenceArray
	for _, name := range a.PullSecrets {
		pull = append(pull, corev1.LocalObjectReferenceArgs{Name: pulumi.String(name)})
	}
	spec := corev1.PodSpecArgs{
		ServiceAccountName:            pulumi.String(app.Instance),
		AutomountServiceAccountToken:  pulumi.Bool(false),
		ImagePullSecrets:              pull,
		TerminationGracePeriodSeconds: pulumi.Int(a.Drain.Grace()),
		TopologySpreadConstraints:     app.Spread(),
		Tolerations:                   a.Placement.Tolerations,
	}
	nodes := pulumi.ToStringMap(a.Placement.NodeSelector)
	if a.Placement.Architecture != "" {
		nodes["kubernetes.io/arch"] = pulumi.String(a.Placement.Architecture)
	}
	if len(nodes) > 0 {
		spec.NodeSelector = nodes
	}
	if a.Placement.PriorityClass != "" {
		spec.PriorityClassName = pulumi.String(a.Placement.PriorityClass)
	}
	annotations := pulumi.ToStringMap(a.PodAnnotations)
	maps.Copy(annotations, a.checksum())
	return app.Pod(a.Container.user(), annotations, spec, a.container(), a.volumes()...)
}

// keepsSleep fails where the cluster has not accepted all that the Deployment promises. An API server older than
// Kubernetes 1.30 drops the sleep before a pod stops, and says nothing. A preview asks it too, unless it does not know
// the image yet.
// https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
func keepsSleep(spec appsv1.DeploymentSpec) (bool, error) {
	if pod := spec.Template.Spec; pod != nil && len(pod.Containers) > 0 {
		if hook := pod.Containers[0].Lifecycle; hook != nil && hook.PreStop != nil && hook.PreStop.Sleep != nil {
			return true, nil
		}
	}
	return false, errors.New("the cluster is older than Kubernetes 1.30: it has dropped the sleep (preStop) that keeps " +
		"a pod serving until the load balancer has let go of it, so that rollouts would lose requests; upgrade the cluster")
}

// present are the resources that exist.
func present(resources ...pulumi.Resource) []pulumi.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r pulumi.Resource) bool { return r == nil })
}
