package kube

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
)

// WebAppArgs describe a stateless web app: its pods are alike, and any of them may go at any time.
type WebAppArgs struct {
	// Namespace it runs in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and what their labels call the instance; others get its pods by WebAppPods. Empty for the
	// component's name; given where the component is renamed and they are not: see the package's documentation.
	Name string
	// Labels of all its objects and pods besides the common ones, e.g. team. PodAnnotations are those of its pods.
	Labels, PodAnnotations map[string]string
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
	// AllowTo are connections that the pods may make besides those of the bindings. DNS is open in a Namespace.
	AllowTo []Peer
	// Drain is how long a pod takes to leave. Required.
	Drain Drain
	// RolloutTimeoutSeconds is how long a rollout may stand still before it has failed. 30 to 3600. Behind an AWS load
	// balancer each pod waits for its registration and health checks, so allow 300. Required.
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
	// Tolerations are taints that a node may have.
	Tolerations []Toleration
	// PriorityClass decides who goes when there is no room. Empty for the cluster's default.
	PriorityClass string
}

// Toleration is for a taint: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
type Toleration struct {
	// Key, Value and Effect of the taint. An empty Value is any, an empty Effect is all.
	Key, Value, Effect string
}

// WebAppPods are the labels of the pods of the WebApp whose objects have that name; known before they exist, so that
// others can admit them.
func WebAppPods(name string) map[string]string { return webApp(name).Pods() }

func webApp(instance string) objects.App { return objects.App{Name: "webapp", Instance: instance} }

// Validate reports everything wrong with the arguments.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Set("container.image", a.Container.Image != nil)...)
	return append(problems, a.ValidateSettings()...)
}

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *WebAppArgs) ValidateSettings() field.ErrorList {
	problems := check.In("container", a.Container.ValidateSettings())
	for i := range a.Bindings {
		problems = append(problems, check.In(field.NewPath("bindings").Index(i).String(), a.Bindings[i].Validate())...)
	}
	problems = append(problems, check.In("scaling", a.Scaling.Validate())...)
	if a.Route != nil {
		problems = append(problems, check.In("route", a.Route.Validate())...)
		problems = append(problems, a.checkHealthPath()...)
		if len(a.AllowFrom) == 0 {
			problems = append(problems, field.Required(field.NewPath("allowFrom"), "nobody may reach the pods: "+
				"add the namespace of the ingress controller, or the CIDRs of the load balancer"))
		}
	}
	problems = append(problems, checkPeers("allowFrom", a.AllowFrom)...)
	problems = append(problems, checkPeers("allowTo", a.AllowTo)...)
	problems = append(problems, check.In("drain", a.Drain.Validate())...)
	problems = append(problems, check.Range("rolloutTimeoutSeconds", a.RolloutTimeoutSeconds, 30, 3600)...)
	problems = append(problems, check.In("placement", a.Placement.validate())...)
	problems = append(problems, a.checkConflicts()...)
	return append(problems, a.checkNames()...)
}

// checkConflicts reports what two sources claim: a folder, which the API server would refuse when it is too late, and a
// variable, of which all but one would be lost.
func (a *WebAppArgs) checkConflicts() (problems field.ErrorList) {
	seen := map[string]bool{}
	once := func(at *field.Path, value string) {
		if seen[value] {
			problems = append(problems, field.Duplicate(at, value))
		}
		seen[value] = true
	}
	for i, b := range a.Bindings {
		at := field.NewPath("bindings").Index(i)
		for _, name := range slices.Sorted(maps.Keys(b.Env)) {
			once(at.Child("env"), name)
		}
		for _, name := range slices.Sorted(maps.Keys(b.SecretEnv)) {
			once(at.Child("secretEnv"), name)
		}
		for j, f := range b.Files {
			once(at.Child("files").Index(j).Child("dir"), f.Dir)
		}
	}
	for i, dir := range a.Container.WritablePaths {
		once(field.NewPath("container", "writablePaths").Index(i), dir)
	}
	return problems
}

// checkHealthPath wants a path that an ALB can ask: it speaks HTTP only.
func (a *WebAppArgs) checkHealthPath() field.ErrorList {
	if a.Route.ALB != nil && a.healthPath() == "" {
		return field.ErrorList{field.Required(field.NewPath("route", "healthPath"),
			"must be a path that answers 200: an ALB asks by HTTP, and the readiness probe has no path")}
	}
	return nil
}

func (a *WebAppArgs) healthPath() string {
	if ready := a.Container.Probes.Readiness; a.Route.HealthPath == "" && ready != nil {
		return ready.HTTP
	}
	return a.Route.HealthPath
}

func (a *WebAppArgs) checkNames() field.ErrorList {
	problems := check.Labels("labels", a.Labels)
	problems = append(problems, check.Annotations("podAnnotations", a.PodAnnotations)...)
	problems = append(problems, check.Annotations("serviceAccountAnnotations", a.ServiceAccountAnnotations)...)
	for key := range webApp("").Pods() {
		if _, taken := a.Labels[key]; taken {
			problems = append(problems, check.Invalid("labels", key, "must not be one of the labels that the pods are found by")...)
		}
	}
	for _, name := range a.PullSecrets {
		problems = append(problems, check.Name("pullSecrets", name)...)
	}
	return problems
}

func (p *Placement) validate() field.ErrorList {
	problems := check.Labels("nodeSelector", p.NodeSelector)
	if p.Architecture != "" {
		problems = append(problems, check.Label("architecture", p.Architecture)...)
	}
	if p.PriorityClass != "" {
		problems = append(problems, check.Name("priorityClass", p.PriorityClass)...)
	}
	for i, t := range p.Tolerations {
		path := field.NewPath("tolerations").Index(i)
		problems = append(problems, check.In(path.String(), check.Labels("key", map[string]string{t.Key: t.Value}))...)
		problems = append(problems, check.OneOf(path.Child("effect").String(), t.Effect,
			"", "NoSchedule", "PreferNoSchedule", "NoExecute")...)
	}
	return problems
}

// WebApp runs an app so that no request is lost while pods come and go. Its parts are created in the order Service,
// Ingress, Deployment, autoscaler, and deleted in the reverse one: a load balancer injects its readiness gate only into
// pods that are created after it, and has to let go of the pods before they go.
type WebApp struct {
	pulumi.ResourceState

	// URL under which the app answers: without a Route, inside the cluster.
	URL pulumi.StringOutput
	// Address of what is in front of it, as the ingress controller published it: a DNS name or an IP address. Without a
	// Route, the DNS name of its Service.
	Address pulumi.StringOutput
	// Deployment, Service, ServiceAccount and Autoscaler are the names of these objects. Autoscaler is empty for a fixed
	// number of pods.
	Deployment, Service, ServiceAccount, Autoscaler pulumi.StringOutput
	// Ready is what to depend on rather than the component: see Ingress.
	Ready pulumi.Resource
}

// NewWebApp creates the app and everything that belongs to it.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	w := &WebApp{Autoscaler: pulumi.String("").ToStringOutput()}
	app := webApp(cmp.Or(args.Name, name))
	app.Labels = args.Labels
	problems := append(args.Validate(), check.ObjectName(app.Instance)...)
	if err := register(ctx, "WebApp", name, problems, w, opts); err != nil {
		return nil, err
	}
	service, err := objects.NewService(ctx, w, name, app, args.Namespace, portName, 80)
	if err != nil {
		return nil, err
	}
	w.Service = service.Metadata.Name().Elem()
	first, err := args.entrance(ctx, w, name, app, service)
	if err != nil {
		return nil, err
	}
	guards, err := args.guards(ctx, w, name, app)
	if err != nil {
		return nil, err
	}
	deployment, err := args.deployment(ctx, w, name, app, append(guards, first))
	if err != nil {
		return nil, err
	}
	w.Ready, w.Deployment = deployment, deployment.Metadata.Name().Elem()
	if args.Scaling.Fixed == 0 {
		autoscaler, err := NewAutoscaler(ctx, name, &AutoscalerArgs{
			Deployment: app.Instance, Pods: app.Pods(), Namespace: args.Namespace, Name: app.Instance, Labels: args.Labels,
			Container: args.Container.name(), CPURequest: args.Container.Resources.CPURequest, Scaling: args.Scaling,
		}, pulumi.Parent(w), pulumi.DependsOn(objects.Present(deployment, args.MetricsServer)))
		if err != nil {
			return nil, err
		}
		w.Autoscaler, w.Ready = autoscaler.Name, autoscaler.Ready
	}
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{
		"url": w.URL, "address": w.Address, "deployment": w.Deployment, "service": w.Service,
		"serviceAccount": w.ServiceAccount, "autoscaler": w.Autoscaler, "keepsSleep": keepsSleep(deployment),
	})
}

// entrance is the Ingress, if there is to be one, and what the Deployment comes after.
func (a *WebAppArgs) entrance(
	ctx *pulumi.Context, w *WebApp, name string, app objects.App, service *corev1.Service,
) (pulumi.Resource, error) {
	if a.Route == nil {
		w.Address = pulumi.Sprintf("%s.%s.svc", w.Service, a.Namespace)
		w.URL = pulumi.Sprintf("http://%s/", w.Address)
		return service, nil
	}
	route := *a.Route
	route.HealthPath = a.healthPath()
	ingress, err := NewIngress(ctx, name, &IngressArgs{
		Service: app.Instance, Namespace: a.Namespace, Name: app.Instance, Labels: a.Labels, Route: route, Drain: a.Drain,
	}, pulumi.Parent(w), pulumi.DependsOn(objects.Present(service, a.IngressController)))
	if err != nil {
		return nil, err
	}
	w.URL, w.Address = ingress.URL, ingress.Address
	return ingress.Ready, nil
}

// guards protect the app from others and from itself: no API token, only the connections it needs, and, where there is
// a second pod to take over, a limit on how many may be evicted at once.
func (a *WebAppArgs) guards(
	ctx *pulumi.Context, w *WebApp, name string, app objects.App,
) ([]pulumi.Resource, error) {
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     app.Annotated(app.Instance, a.Namespace, stringMap(a.ServiceAccountAnnotations)),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, pulumi.Parent(w))
	if err != nil {
		return nil, creating("service account", name, err)
	}
	w.ServiceAccount = account.Metadata.Name().Elem()
	to := policyPeers(a.AllowTo)
	for _, b := range a.Bindings {
		to = append(to, policyPeers(b.AllowTo)...)
	}
	network, err := objects.NewNetworkPolicy(ctx, w, name, app.Meta(app.Instance, a.Namespace), app.LabelSelector(),
		policyPeers(a.AllowFrom, a.Container.Port), to)
	if err != nil {
		return nil, err
	}
	guards := []pulumi.Resource{account, network}
	if a.Scaling.least() < 2 {
		return guards, nil
	}
	budget, err := objects.NewDisruptionBudget(ctx, w, name, app, app.Meta(app.Instance, a.Namespace))
	if err != nil {
		return nil, err
	}
	return append(guards, budget), nil
}

func (a *WebAppArgs) deployment(
	ctx *pulumi.Context, parent *WebApp, name string, app objects.App, after []pulumi.Resource,
) (*appsv1.Deployment, error) {
	for _, b := range a.Bindings {
		after = append(after, b.After...)
	}
	spec := &appsv1.DeploymentSpecArgs{
		Selector:                app.LabelSelector(),
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
	}
	if a.Scaling.Fixed > 0 { // otherwise they belong to the autoscaler, and every update would set them back
		spec.Replicas = pulumi.Int(a.Scaling.Fixed)
	}
	deployment, err := appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.Meta(app.Instance, a.Namespace), Spec: spec,
	}, pulumi.Parent(parent), pulumi.DependsOn(objects.Present(after...)),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: rolloutLimit, Update: rolloutLimit}))
	if err != nil {
		return nil, creating("deployment", name, err)
	}
	return deployment, nil
}

func (a *WebAppArgs) pod(app objects.App) *corev1.PodTemplateSpecArgs {
	annotations := stringMap(a.PodAnnotations)
	if sum := a.checksum(); sum != nil {
		if annotations == nil {
			annotations = pulumi.StringMap{}
		}
		maps.Copy(annotations, sum)
	}
	spec := &corev1.PodSpecArgs{
		ServiceAccountName:           pulumi.String(app.Instance),
		AutomountServiceAccountToken: pulumi.Bool(false),
		// A Service named redis would otherwise set REDIS_PORT to a URL in every pod.
		EnableServiceLinks:            pulumi.Bool(false),
		SecurityContext:               objects.RestrictedPod(a.Container.user()),
		TerminationGracePeriodSeconds: pulumi.Int(a.Drain.Grace()),
		TopologySpreadConstraints:     objects.Spread(app),
		NodeSelector:                  a.Placement.nodes(),
		Tolerations:                   a.Placement.tolerations(),
		Containers:                    corev1.ContainerArray{a.container()},
		Volumes:                       a.volumes(),
	}
	if a.Placement.PriorityClass != "" {
		spec.PriorityClassName = pulumi.String(a.Placement.PriorityClass)
	}
	var pull corev1.LocalObjectReferenceArray
	for _, name := range a.PullSecrets {
		pull = append(pull, corev1.LocalObjectReferenceArgs{Name: pulumi.String(name)})
	}
	spec.ImagePullSecrets = pull
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: app.LabelSet(), Annotations: annotations}, Spec: spec,
	}
}

func (p *Placement) nodes() pulumi.StringMapInput {
	labels := maps.Clone(p.NodeSelector)
	if p.Architecture != "" {
		if labels == nil {
			labels = map[string]string{}
		}
		labels["kubernetes.io/arch"] = p.Architecture
	}
	if len(labels) == 0 {
		return nil
	}
	return pulumi.ToStringMap(labels)
}

func (p *Placement) tolerations() (all corev1.TolerationArray) {
	for _, t := range p.Tolerations {
		toleration := corev1.TolerationArgs{Key: pulumi.String(t.Key), Operator: pulumi.String("Exists")}
		if t.Value != "" {
			toleration.Operator, toleration.Value = pulumi.String("Equal"), pulumi.String(t.Value)
		}
		if t.Effect != "" {
			toleration.Effect = pulumi.String(t.Effect)
		}
		all = append(all, toleration)
	}
	return all
}

// keepsSleep fails where the cluster has not accepted all that the Deployment promises. An API server older than Kubernetes
// 1.30 drops the sleep before a pod stops, and says nothing; a preview asks it too, so nothing is touched.
// https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
func keepsSleep(deployment *appsv1.Deployment) pulumi.BoolOutput {
	return deployment.Spec.ApplyT(func(spec appsv1.DeploymentSpec) (bool, error) {
		err := checkSleep(spec)
		return err == nil, err
	}).(pulumi.BoolOutput)
}

func checkSleep(spec appsv1.DeploymentSpec) error {
	if spec.Template.Spec == nil || len(spec.Template.Spec.Containers) == 0 {
		return errOldCluster
	}
	hook := spec.Template.Spec.Containers[0].Lifecycle
	if hook == nil || hook.PreStop == nil || hook.PreStop.Sleep == nil {
		return errOldCluster
	}
	return nil
}

var errOldCluster = errors.New("the cluster is older than Kubernetes 1.30: it has dropped the sleep (preStop) that keeps " +
	"a pod serving until the load balancer has let go of it, so that rollouts would lose requests; upgrade the cluster")

// maxSurgePercent is how many more pods than wanted there may be while a new version is rolled out: Kubernetes' default.
const maxSurgePercent = 25

// rolloutLimit ends a rollout that never stands still long enough to fail by itself. It is far above what 20 pods behind
// an AWS load balancer take, so that the message is the cluster's reason and not the engine's.
const rolloutLimit = "30m"

// stringMap is nil for none, so that no empty map shows in a preview.
func stringMap(values map[string]string) pulumi.StringMap {
	if len(values) == 0 {
		return nil
	}
	return pulumi.ToStringMap(values)
}
