package platform

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// NetworkPolicies has the cluster enforce NetworkPolicy objects, which EKS Auto Mode otherwise takes without any
// effect. https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
type NetworkPolicies struct {
	pulumi.ResourceState

	// Ready is what nodes depend on.
	Ready pulumi.Resource
}

// NewNetworkPolicies creates the ConfigMap that the network plugin's controller looks for. The other half is in the
// NodeClass.
func NewNetworkPolicies(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*NetworkPolicies, error) {
	n := &NetworkPolicies{}
	if err := register(ctx, "NetworkPolicies", name, nil, n, opts); err != nil {
		return nil, err
	}
	config, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("amazon-vpc-cni"), Namespace: pulumi.String("kube-system")},
		Data:     pulumi.StringMap{"enable-network-policy-controller": pulumi.String("true")},
	}, pulumi.Parent(n))
	if err != nil {
		return nil, creating("config map", name, err)
	}
	n.Ready = config
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{})
}
