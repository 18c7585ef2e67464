package objects

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// ClaimSettings are the decisions about the volume for an app's data.
type ClaimSettings struct {
	// Size, e.g. 1Gi. It may grow later if the class allows expansion.
	Size string
	// Class of the volume. Empty for the cluster's default class. It cannot change while there is data.
	Class string
	// Protect makes Pulumi refuse to delete the claim.
	Protect bool
}

// NewClaim creates the claim for an app's data and returns the volume "data". The claim is a resource of its own rather
// than a template of the StatefulSet, so that it shows in previews, can grow in place, and goes when the stack goes.
//
// Another class is refused. Kubernetes cannot change the class of a claim, so Pulumi would replace it, and the data would
// go with the old one: after ten minutes in which the running pod keeps that from going.
func NewClaim(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, s ClaimSettings,
) (corev1.VolumeArgs, error) {
	spec := &corev1.PersistentVolumeClaimSpecArgs{
		AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}),
		Resources: &corev1.VolumeResourceRequirementsArgs{
			Requests: pulumi.StringMap{"storage": pulumi.String(s.Size)},
		},
	}
	if s.Class != "" {
		spec.StorageClassName = pulumi.String(s.Class)
	}
	// A Stash keeps the value that it was created with: the class that the data is on.
	// https://www.pulumi.com/docs/iac/concepts/resources/stash/
	first, err := pulumi.NewStash(ctx, name+"-data-class", &pulumi.StashArgs{Input: pulumi.String(s.Class)},
		pulumi.Parent(parent), pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return corev1.VolumeArgs{}, component.Creating("stash", name, err)
	}
	sameClass := first.Output.ApplyT(func(class any) ([]pulumi.Resource, error) {
		return nil, checkClass(app.Instance+"-data", class, s.Class)
	}).(pulumi.ResourceArrayOutput)
	claim, err := corev1.NewPersistentVolumeClaim(ctx, name+"-data", &corev1.PersistentVolumeClaimArgs{
		Metadata: app.Meta(app.Instance+"-data", namespace), Spec: spec,
	}, pulumi.Parent(parent), pulumi.Protect(s.Protect), pulumi.DependsOnInputs(sameClass))
	if err != nil {
		return corev1.VolumeArgs{}, component.Creating("persistent volume claim", name, err)
	}
	return corev1.VolumeArgs{
		Name: pulumi.String("data"),
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSourceArgs{
			ClaimName: claim.Metadata.Name().Elem(),
		},
	}, nil
}

func checkClass(claim string, had any, class string) error {
	if had == class {
		return nil
	}
	return fmt.Errorf("storageClass: the data of claim %q is on storage class %q; another class, %q, would delete it. "+
		"Set the class back, or move the data first: docs/operations.md#another-storage-class", claim, had, class)
}
