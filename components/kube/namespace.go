package kube

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// NamespaceArgs describes a namespace.
type NamespaceArgs struct {
	// Name in the cluster. Keep it if the component is renamed: see the package documentation. Required.
	Name string
	// ALBController whose readiness gate new pods get, so that a rollout waits for the load balancer. Empty for none.
	ALBController ALBController
	// PodSecurityVersion is the Kubernetes version whose `restricted` applies, e.g. v1.34, so that an upgrade of the
	// cluster rejects no pod that was accepted before. Default: v1.30, the oldest supported one.
	PodSecurityVersion string
}

// podSecurityForm:
// https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces
var podSecurityForm = regexp.MustCompile(`^(|latest|v1\.[0-9]{1,3})$`)

// Validate reports everything wrong with the arguments.
func (a *NamespaceArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Label("name", a.Name),
		check.That(a.Name != "default" && !strings.HasPrefix(a.Name, "kube-"), "name", a.Name,
			"must be a new namespace: default exists already, and kube- is reserved for Kubernetes"),
		check.Match("podSecurityVersion", a.PodSecurityVersion, podSecurityForm,
			"must be a version of Kubernetes such as v1.34, or latest"),
		check.Optional(checkController, "albController", string(a.ALBController)),
	)
}

// Namespace rejects pods that violate the Pod Security Standard `restricted`, and denies all traffic except DNS
// queries: each component allows exactly the connections that it needs.
type Namespace struct {
	pulumi.ResourceState

	// Name is known once the namespace exists, so that dependents wait for it.
	Name pulumi.StringOutput
}

// NewNamespace creates the namespace and its two network policies.
func NewNamespace(
	ctx *pulumi.Context, name string, args *NamespaceArgs, opts ...pulumi.ResourceOption,
) (*Namespace, error) {
	args = cmp.Or(args, &NamespaceArgs{})
	n := &Namespace{}
	app := objects.Pods{Name: "namespace", Instance: name}
	problems := append(args.Validate(), check.Labels("component", app.Selector())...)
	b, err := component.Register(ctx, "scaleout:index", "Namespace", name, problems, n, opts)
	if err != nil {
		return nil, err
	}
	labels, version := app.LabelSet(), cmp.Or(args.PodSecurityVersion, "v1.30")
	for _, mode := range []string{"enforce", "audit", "warn"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
		labels["pod-security.kubernetes.io/"+mode+"-version"] = pulumi.String(version)
	}
	if api, given := albControllers[args.ALBController]; given {
		labels[api.readinessGate] = pulumi.String("enabled")
	}
	namespace := component.Create(b, corev1.NewNamespace, "", &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(args.Name), Labels: labels},
	})
	n.Name = objects.NameOf(namespace.Metadata)
	o := objects.Owner{Pods: app, Builder: b, Namespace: n.Name}
	o.NamespacePolicy("default-deny", []Peer{}, []Peer{})
	// Any destination: with NodeLocal DNSCache, and on EKS Auto Mode, the node answers and not a pod in kube-system.
	dns := Peer{Anyone: true, UDPPorts: []int{53}, Ports: []int{53}}
	o.NamespacePolicy("allow-dns", nil, []Peer{dns})
	return n, b.Finish(pulumi.Map{"name": n.Name})
}
