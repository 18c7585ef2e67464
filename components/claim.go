package components

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newClaim creates the claim for an app's data and returns the volume "data". The claim is a resource of its own rather
// than a template of the StatefulSet, so that it shows in previews, can grow in place, and goes when the stack goes.
func newClaim(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, size, class string,
) (corev1.VolumeArgs, error) {
	spec := &corev1.PersistentVolumeClaimSpecArgs{
		AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}),
		Resources: &corev1.VolumeResourceRequirementsArgs{
			Requests: pulumi.StringMap{"storage": pulumi.String(size)},
		},
	}
	if class != "" {
		spec.StorageClassName = pulumi.String(class)
	}
	claim, err := corev1.NewPersistentVolumeClaim(ctx, name+"-data", &corev1.PersistentVolumeClaimArgs{
		// The StatefulSet's own wait covers it. The provider's (v4.23) never ends for an update of a claim whose class
		// binds at the first use: https://github.com/pulumi/pulumi-kubernetes/pull/4181
		Metadata: app.annotated(app.Instance+"-data", namespace, withoutAwait), Spec: spec,
	}, pulumi.Parent(parent))
	if err != nil {
		return corev1.VolumeArgs{}, creating("persistent volume claim", name, err)
	}
	return corev1.VolumeArgs{
		Name: pulumi.String("data"),
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSourceArgs{
			ClaimName: claim.Metadata.Name().Elem(),
		},
	}, nil
}
