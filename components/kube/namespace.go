package kube

import (
	"cmp"
	"regexp"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
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
	// PodSecurityVersion is the version of Kubernetes whose definition of `restricted` counts, e.g. v1.34: an upgrade of the
	// cluster then refuses no pod that it took before. Default: v1.30, the oldest that this library supports.
	PodSecurityVersion string
}

const defaultPodSecurityVersion = "v1.30"

// podSecurityForm: https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces
var podSecurityForm = regexp.MustCompile(`^(latest|v1\.[0-9]{1,3})$`)

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
	if a.PodSecurityVersion != "" && !podSecurityForm.MatchString(a.PodSecurityVersion) {
		problems = append(problems, check.Invalid("podSecurityVersion", a.PodSecurityVersion,
			"must be a version of Kubernetes such as v1.34, or latest")...)
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
	app := objects.App{Name: "namespace", Instance: name}
	problems := append(args.Validate(), check.Labels("component", app.Pods())...)
	if err := register(ctx, "Namespace", name, problems, n, opts); err != nil {
		return nil, err
	}
	labels, version := app.LabelSet(), cmp.Or(args.PodSecurityVersion, defaultPodSecurityVersion)
	for _, mode := range []string{"enforce", "audit", "warn"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
		labels["pod-security.kubernetes.io/"+mode+"-version"] = pulumi.String(version)
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
	_, err = objects.NewNetworkPolicy(ctx, n, name+"-default-deny", app.Meta("default-deny", n.Name), everyPod,
		[]objects.Peer{}, []objects.Peer{})
	if err != nil {
		return nil, err
	}
	// To anyone: with a NodeLocal DNSCache, and on EKS Auto Mode, it is the node that answers and no pod in kube-system.
	dns := objects.Peer{Ports: []objects.Port{{Protocol: "UDP", Number: 53}, {Protocol: "TCP", Number: 53}}}
	_, err = objects.NewNetworkPolicy(ctx, n, name+"-allow-dns", app.Meta("allow-dns", n.Name), everyPod, nil, []objects.Peer{dns})
	if err != nil {
		return nil, err
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"name": n.Name})
}
