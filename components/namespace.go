package components

import (
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// ReadinessGate is the namespace label that makes a load balancer controller inject its readiness gate into new pods:
// a rollout then waits until the load balancer itself has found the new pods healthy.
type ReadinessGate string

// The label differs by who runs the controller.
const (
	// NoReadinessGate is for clusters without an AWS load balancer.
	NoReadinessGate ReadinessGate = ""
	// LoadBalancerControllerGate is read by an AWS Load Balancer Controller that was installed into the cluster:
	// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/
	LoadBalancerControllerGate ReadinessGate = "elbv2.k8s.aws/pod-readiness-gate-inject"
	// AutoModeGate is read by EKS Auto Mode: https://github.com/aws/containers-roadmap/issues/2511
	AutoModeGate ReadinessGate = "eks.amazonaws.com/pod-readiness-gate-inject"
)

// NamespaceArgs describe a namespace.
type NamespaceArgs struct {
	// Name in the cluster. It stays where the component is renamed (see the package's documentation); the label
	// app.kubernetes.io/instance follows the component, in place. Required.
	Name string
	// ReadinessGate, default NoReadinessGate.
	ReadinessGate ReadinessGate
}

// Validate reports everything wrong with the arguments.
func (a *NamespaceArgs) Validate() field.ErrorList {
	problems := check.Label("name", a.Name)
	if a.Name == "default" || strings.HasPrefix(a.Name, "kube-") {
		problems = check.Invalid("name", a.Name, "must be a new namespace: default exists, and kube- is kept for Kubernetes itself")
	}
	switch a.ReadinessGate {
	case NoReadinessGate, LoadBalancerControllerGate, AutoModeGate:
	default:
		problems = append(problems, check.Invalid("readinessGate", a.ReadinessGate, "must be a ReadinessGate constant")...)
	}
	return problems
}

// Namespace refuses pods that do not meet the Pod Security Standard `restricted`, and lets no packet in or out but DNS
// queries: each component opens exactly what it needs.
type Namespace struct {
	pulumi.ResourceState

	// Name is known once the namespace exists, so that what uses it waits for it.
	Name pulumi.StringOutput
}

// NewNamespace creates the namespace and its two network policies.
func NewNamespace(
	ctx *pulumi.Context, name string, args *NamespaceArgs, opts ...pulumi.ResourceOption,
) (*Namespace, error) {
	n := &Namespace{}
	inputs := pulumi.Map{"name": pulumi.String(args.Name), "readinessGate": pulumi.String(args.ReadinessGate)}
	if err := register(ctx, "Namespace", name, args.Validate(), inputs, n, opts); err != nil {
		return nil, err
	}

	app := App{Name: "namespace", Instance: name}
	labels := app.labels()
	for _, mode := range []string{"enforce", "audit", "warn"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
	}
	if args.ReadinessGate != NoReadinessGate {
		labels[string(args.ReadinessGate)] = pulumi.String("enabled")
	}
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(args.Name), Labels: labels},
	}, pulumi.Parent(n))
	if err != nil {
		return nil, creating("namespace", name, err)
	}
	n.Name = namespace.Metadata.Name().Elem()

	everyPod := &metav1.LabelSelectorArgs{}
	_, err = newNetworkPolicy(ctx, n, name+"-default-deny", app.meta("default-deny", n.Name), everyPod,
		[]peer{}, []peer{})
	if err != nil {
		return nil, err
	}
	// To anyone: with a NodeLocal DNSCache, and on EKS Auto Mode, it is the node that answers and no pod in kube-system.
	dns := peer{ports: []port{{"UDP", 53}, {"TCP", 53}}}
	_, err = newNetworkPolicy(ctx, n, name+"-allow-dns", app.meta("allow-dns", n.Name), everyPod, nil, []peer{dns})
	if err != nil {
		return nil, err
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"name": n.Name})
}
