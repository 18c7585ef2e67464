package objects

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// NewDisruptionBudget lets one pod at a time be evicted. It is for apps of two pods and more: with one alone it would
// block every node drain for good.
func NewDisruptionBudget(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, meta *metav1.ObjectMetaArgs,
) (*policyv1.PodDisruptionBudget, error) {
	budget, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: meta,
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       app.LabelSelector(),
			// Without this a pod that crash-loops counts as needed, and the node it is on cannot be drained.
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, component.Creating("pod disruption budget", name, err)
	}
	return budget, nil
}
