package platform

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	storagev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/storage/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// StorageClass is what claims for volumes get: encrypted gp3 disks, which Auto Mode comes without.
type StorageClass struct {
	pulumi.ResourceState

	// Name of the class.
	Name pulumi.StringOutput
}

// NewStorageClass creates the class and makes it the cluster's default.
// https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html
func NewStorageClass(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*StorageClass, error) {
	s := &StorageClass{}
	if err := register(ctx, "StorageClass", name, nil, s, opts); err != nil {
		return nil, err
	}
	class, err := storagev1.NewStorageClass(ctx, name, &storagev1.StorageClassArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String(name),
			Annotations: pulumi.StringMap{"storageclass.kubernetes.io/is-default-class": pulumi.String("true")},
		},
		Provisioner: pulumi.String("ebs.csi.eks.amazonaws.com"),
		Parameters:  pulumi.StringMap{"type": pulumi.String("gp3"), "encrypted": pulumi.String("true")},
		// A disk is in one zone: it is made where the pod is put, not the other way round.
		VolumeBindingMode: pulumi.String("WaitForFirstConsumer"),
		AllowedTopologies: corev1.TopologySelectorTermArray{corev1.TopologySelectorTermArgs{
			MatchLabelExpressions: corev1.TopologySelectorLabelRequirementArray{corev1.TopologySelectorLabelRequirementArgs{
				Key: pulumi.String("eks.amazonaws.com/compute-type"), Values: pulumi.ToStringArray([]string{"auto"}),
			}},
		}},
		AllowVolumeExpansion: pulumi.Bool(true),
		ReclaimPolicy:        pulumi.String("Delete"),
	}, pulumi.Parent(s))
	if err != nil {
		return nil, creating("storage class", name, err)
	}
	s.Name = class.Metadata.Name().Elem()
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{"name": s.Name})
}
