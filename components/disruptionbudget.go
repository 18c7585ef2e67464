package components

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newDisruptionBudget lets one pod at a time be evicted. It is for apps of two pods and more: with one alone it would
// block every node drain for good.
func newDisruptionBudget(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, meta *metav1.ObjectMetaArgs,
) (*policyv1.PodDisruptionBudget, error) {
	budget, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: meta,
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       app.labelSelector(),
			// Without this a pod that crash-loops counts as needed, and the node it is on cannot be drained.
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, creating("pod disruption budget", name, err)
	}
	return budget, nil
}
