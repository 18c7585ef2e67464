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

// WebAppArgs describes a stateless web app: its pods are identical, and any of them may be terminated at any time.
type WebAppArgs struct {
	// Namespace to run in. Required.
	Namespace pulumi.StringInput
	// Name of its objects, and the instance in their labels; pass it to WebAppPods to select the pods. Empty for the
	// component's name. Set it if the component is renamed but its objects are not: see the package documentation.
	Name string
	// Labels of all objects and pods, in addition to the common ones, e.g. team. Annotations are for its objects except
	// the autoscaler and the Ingress (see IngressSpec.Annotations), PodAnnotations for the pods.
	Labels, Annotations, PodAnnotations map[string]string
	// Container that runs in each pod. Required.
	Container Container
	// Bindings are the backing services and Secrets of the app.
	Bindings []Binding
	// Scaling is the number of pods. Required.
	Scaling Scaling
	// Ingress exposes the app outside the cluster. Nil for a Service only.
	Ingress *IngressSpec
	// AllowFrom lists the peers that may connect to the pods: with an Ingress the ingress controller or load balancer, not
	// the end users. Required with an Ingress; without one, an empty list denies all connections.
	AllowFrom []Peer
	// AllowTo lists the peers that the pods may connect to, in addition to those of the bindings. DNS is allowed in a
	// Namespace of this package; in any other namespace it must be allowed here, by a Peer with UDPPorts and Ports 53.
	AllowTo []Peer
	// Shutdown holds the times of a graceful shutdown. Required.
	Shutdown Shutdown
	// RolloutTimeoutSeconds is the time after which a rollout fails; the old pods keep serving. 30 to 3600, and at least
	// the time that the startup probe allows. A quarter of the pods is replaced at a time, and behind an AWS load
	// balancer each new pod waits for its registration and health checks, and possibly for a node: allow 600. Required.
	RolloutTimeoutSeconds int
	// Placement restricts the nodes.
	Placement Placement
	// ServiceAccountAnnotations give the pods a cloud identity, e.g. eks.amazonaws.com/role-arn. The pods still get no
	// token for the Kubernetes API. EKS Pod Identity needs only the name of the service account: Name.
	ServiceAccountAnnotations map[string]string
	// PullSecrets are the names of Secrets in the namespace with credentials for the image's registry.
	PullSecrets []string
	// IngressController and MetricsServer are the Ready fields of these components, if this program installs them. Ingress
	// and autoscaler are created after and deleted before them: without its controller a load balancer would stay.
	IngressController, MetricsServer pulumi.Resource
}

// Placement restricts the nodes that pods can be scheduled on.
type Placement struct {
	// Architecture of the image as a value of kubernetes.io/arch, such as amd64 or arm64. On other nodes the container
	// fails with "exec format error". Empty if all nodes can run it.
	Architecture string
	// NodeSelector are labels that a node must have.
	NodeSelector map[string]string
	// Tolerations are for taints: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
	Tolerations corev1.TolerationArray
	// PriorityClass determines which pods are preempted when the nodes are full. Empty for the cluster's default.
	PriorityClass string
}

// Peer is an allowed source or destination: exactly one of Pods, Namespace, CIDRs and Anyone, and its Ports.
type Peer = objects.Peer

// WebAppPods returns the labels of the pods of the WebApp whose objects have that name, for network policies.
func WebAppPods(name string) map[string]string { return webApp(name).Selector() }

func webApp(instance string) objects.Pods { return objects.Pods{Name: "webapp", Instance: instance} }

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *WebAppArgs) Validate() field.ErrorList {
	problems := slices.Concat(
		check.In("container", a.Container.Validate()),
		check.Each("bindings", a.Bindings, (*Binding).Validate),
		check.In("scaling", a.Scaling.Validate()),
		check.Each("allowFrom", a.AllowFrom, (*Peer).Validate),
		check.Each("allowTo", a.AllowTo, (*Peer).Validate),
		check.In("shutdown", a.Shutdown.Validate()),
		check.Range("rolloutTimeoutSeconds", a.RolloutTimeoutSeconds,
			max(30, min(a.Container.Probes.startupSeconds(), 3600)), 3600),
		check.Labels("placement.nodeSelector", a.Placement.NodeSelector),
		check.Optional(check.Label, "placement.architecture", a.Placement.Architecture),
		check.Optional(check.Name, "placement.priorityClass", a.Placement.PriorityClass),
		check.Labels("labels", a.Labels),
		check.Annotations("annotations", a.Annotations),
		check.Annotations("podAnnotations", a.PodAnnotations),
		check.Annotations("serviceAccountAnnotations", a.ServiceAccountAnnotations),
		checkAll(check.Name, "pullSecrets", a.PullSecrets),
		a.checkConflicts(),
	)
	for key := range webApp("").Selector() {
		_, taken := a.Labels[key]
		problems = append(problems, check.That(!taken, "labels", key, "must not be a label of the pod selector")...)
	}
	if a.Ingress == nil {
		return problems
	}
	if a.Ingress.ALB != nil && a.Container.Probes.Readiness.HTTP == "" {
		problems = append(problems, field.Required(field.NewPath("container", "probes", "readiness", "http"),
			"must be a path that answers 200: an ALB uses it for its health checks"))
	}
	if len(a.AllowFrom) == 0 {
		problems = append(problems, field.Required(field.NewPath("allowFrom"), "must not be empty with an ingress: "+
			"add the namespace of the ingress controller, or the CIDRs of the load balancer"))
	}
	return append(problems, check.In("ingress", a.Ingress.Validate())...)
}

// checkConflicts reports folders that are mounted twice, which the API server would reject during the update, and
// variables that are set by two bindings, of which all but one would be lost.
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

// WebApp runs an app without losing requests while pods start and terminate. Its parts are created in the order
// Service, Ingress, Deployment, autoscaler, and deleted in reverse order: a load balancer injects its readiness gate
// only into pods that are created after it, and must deregister the pods before they are deleted.
type WebApp struct {
	pulumi.ResourceState

	// URL of the app. Without an Ingress, the URL inside the cluster.
	URL pulumi.StringOutput
	// Address published by the ingress controller: a DNS name or an IP address. Without an Ingress, that of the Service.
	Address pulumi.StringOutput
	// Names of these objects. Autoscaler is empty if the number of pods is fixed.
	Deployment, Service, ServiceAccount, Autoscaler pulumi.StringOutput
	// Ready is the resource for dependents, instead of the component: the Go SDK expands a dependency on a component to
	// the children registered so far, and children register concurrently, so such a dependency can be incomplete.
	Ready pulumi.Resource
}

// NewWebApp creates the app and all objects that belong to it.
func NewWebApp(ctx *pulumi.Context, name string, args *WebAppArgs, opts ...pulumi.ResourceOption) (*WebApp, error) {
	args = cmp.Or(args, &WebAppArgs{})
	w := &WebApp{Autoscaler: pulumi.String("").ToStringOutput()}
	o := objects.Owner{Pods: webApp(args.Name), Namespace: args.Namespace}
	o.Labels, o.Annotations = args.Labels, args.Annotations
	problems := append(args.Validate(), check.Set("container.image", args.Container.Image != nil)...)
	if err := o.Register(ctx, "WebApp", name, problems, w, opts); err != nil {
		return nil, err
	}
	service := o.Service(portName, 80)
	var exposed pulumi.Resource = service
	if args.Ingress != nil {
		ingress := component.Create(o.Builder, NewIngress, "", &IngressArgs{
			Namespace: args.Namespace, Service: o.Instance, Spec: *args.Ingress, Shutdown: args.Shutdown,
			HealthPath: args.Container.Probes.Readiness.HTTP, Labels: args.Labels,
		}, pulumi.DependsOn(component.Present(service, args.IngressController)))
		exposed, w.URL, w.Address = ingress.Ready, ingress.URL, ingress.Address
	}
	access := args.createAccess(o, w)
	deployment := args.deployment(o, append(access, exposed))
	w.Ready = deployment
	if args.Scaling.Fixed == 0 {
		scaler := component.Create(o.Builder, NewAutoscaler, "", &AutoscalerArgs{
			Namespace: args.Namespace, Deployment: o.Instance, Container: args.Container.name(), Scaling: args.Scaling,
			Labels: args.Labels,
		}, pulumi.DependsOn(component.Present(deployment, args.MetricsServer)))
		w.Ready, w.Autoscaler = scaler.Ready, scaler.Name
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	w.Service, w.Deployment = objects.NameOf(service.Metadata), objects.NameOf(deployment.Metadata)
	if args.Ingress == nil {
		w.Address = pulumi.Sprintf("%s.%s.svc", w.Service, args.Namespace)
		w.URL = pulumi.Sprintf("http://%s/", w.Address)
	}
	return w, o.Finish(pulumi.Map{
		"url": w.URL, "address": w.Address, "deployment": w.Deployment, "service": w.Service,
		"serviceAccount": w.ServiceAccount, "autoscaler": w.Autoscaler, "keepsSleep": deployment.Spec.ApplyT(checkPreStop),
	})
}

// createAccess creates the service account, without an API token, the network policy, and, from two pods on, a
// PodDisruptionBudget.
func (a *WebAppArgs) createAccess(o objects.Owner, w *WebApp) []pulumi.Resource {
	account := component.Create(o.Builder, corev1.NewServiceAccount, "", &corev1.ServiceAccountArgs{
		Metadata:                     o.Annotated(pulumi.ToStringMap(a.ServiceAccountAnnotations)),
		AutomountServiceAccountToken: pulumi.Bool(false),
	})
	w.ServiceAccount = objects.NameOf(account.Metadata)
	from, to := append([]Peer{}, a.AllowFrom...), append([]Peer{}, a.AllowTo...) // never nil, which would allow everyone
	for i := range from {
		if len(from[i].Ports)+len(from[i].UDPPorts) == 0 {
			from[i].Ports = []int{a.Container.Port}
		}
	}
	for _, b := range a.Bindings {
		to = append(to, b.AllowTo...)
	}
	access := []pulumi.Resource{account, o.NetworkPolicy(from, to)}
	if a.Scaling.least() > 1 {
		access = append(access, o.DisruptionBudget())
	}
	return access
}

// maxSurgePercent is the maximum surge during a rollout: Kubernetes' default.
const maxSurgePercent = 25

func (a *WebAppArgs) deployment(o objects.Owner, after []pulumi.Resource) *appsv1.Deployment {
	for _, b := range a.Bindings {
		after = append(after, b.After...)
	}
	spec := &appsv1.DeploymentSpecArgs{
		Selector:                o.LabelSelector(),
		MinReadySeconds:         pulumi.Int(3),     // a pod that crashes at once must not count as available
		RevisionHistoryLimit:    objects.NoHistory, // rollbacks use the images in the stack's history
		ProgressDeadlineSeconds: pulumi.Int(a.RolloutTimeoutSeconds),
		Strategy: &appsv1.DeploymentStrategyArgs{
			Type: pulumi.String("RollingUpdate"),
			RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
				MaxUnavailable: pulumi.Int(0),
				MaxSurge:       pulumi.String(fmt.Sprintf("%d%%", maxSurgePercent)),
			},
		},
		Template: a.pod(o.Pods),
	}
	if a.Scaling.Fixed > 0 { // otherwise every update would overwrite the autoscaler's number
		spec.Replicas = pulumi.Int(a.Scaling.Fixed)
	}
	// The provider waits for the full timeout, even after it shows that Kubernetes gave up (ProgressDeadlineExceeded).
	limit := fmt.Sprintf("%ds", a.RolloutTimeoutSeconds)
	limits := &pulumi.CustomTimeouts{Create: limit, Update: limit}
	return component.Create(o.Builder, appsv1.NewDeployment, "", &appsv1.DeploymentArgs{
		Metadata: o.Meta(""), Spec: spec,
	}, pulumi.DependsOn(component.Present(after...)), pulumi.Timeouts(limits))
}

func (a *WebAppArgs) pod(app objects.Pods) *corev1.PodTemplateSpecArgs {
	var pull corev1.LocalObjectReferenceArray
	for _, name := range a.PullSecrets {
		pull = append(pull, corev1.LocalObjectReferenceArgs{Name: pulumi.String(name)})
	}
	spec := corev1.PodSpecArgs{
		ServiceAccountName:            pulumi.String(app.Instance),
		AutomountServiceAccountToken:  pulumi.Bool(false),
		ImagePullSecrets:              pull,
		TerminationGracePeriodSeconds: pulumi.Int(a.Shutdown.Grace()),
		TopologySpreadConstraints:     app.Spread(),
		Tolerations:                   a.Placement.Tolerations,
		PriorityClassName:             component.Optional(a.Placement.PriorityClass),
	}
	nodes := pulumi.ToStringMap(a.Placement.NodeSelector)
	if a.Placement.Architecture != "" {
		nodes["kubernetes.io/arch"] = pulumi.String(a.Placement.Architecture)
	}
	if len(nodes) > 0 {
		spec.NodeSelector = nodes
	}
	annotations := pulumi.ToStringMap(a.PodAnnotations)
	maps.Copy(annotations, a.checksum())
	return app.Pod(a.Container.user(), annotations, spec, a.container(), a.volumes()...)
}

// checkPreStop returns an error if the cluster dropped the preStop sleep of the Deployment. API servers older than
// Kubernetes 1.30 do so silently. A preview checks it too, unless the image is not known yet.
// https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
func checkPreStop(spec appsv1.DeploymentSpec) (bool, error) {
	if pod := spec.Template.Spec; pod != nil && len(pod.Containers) > 0 {
		if hook := pod.Containers[0].Lifecycle; hook != nil && hook.PreStop != nil && hook.PreStop.Sleep != nil {
			return true, nil
		}
	}
	return false, errors.New("the cluster is older than Kubernetes 1.30: it dropped the preStop sleep, during which a " +
		"pod serves until the load balancer has deregistered it, so rollouts would lose requests; upgrade the cluster")
}
