package platform

import (
	"regexp"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	storagev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/storage/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// NewNetworkPolicies makes the cluster enforce NetworkPolicy objects, which EKS Auto Mode otherwise ignores: it creates
// the ConfigMap that the network plugin's controller reads. The NodeClass has the other half of the setting.
// https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
func NewNetworkPolicies(stack *component.Builder, name string, opts ...pulumi.ResourceOption) *Part {
	return part(stack, "NetworkPolicies", name, nil, opts, func(b *component.Builder) pulumi.Resource {
		return component.Create(b, corev1.NewConfigMap, "", &corev1.ConfigMapArgs{
			Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("amazon-vpc-cni"), Namespace: pulumi.String("kube-system")},
			Data:     pulumi.StringMap{"enable-network-policy-controller": pulumi.String("true")},
		})
	})
}

// NewStorageClass creates the default StorageClass, for encrypted gp3 volumes. Auto Mode has none.
// https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html
func NewStorageClass(stack *component.Builder, name string, opts ...pulumi.ResourceOption) *Part {
	return part(stack, "StorageClass", name, nil, opts, func(b *component.Builder) pulumi.Resource {
		return component.Create(b, storagev1.NewStorageClass, "", &storagev1.StorageClassArgs{
			Metadata: &metav1.ObjectMetaArgs{
				Name:        pulumi.String(name),
				Annotations: pulumi.StringMap{"storageclass.kubernetes.io/is-default-class": pulumi.String("true")},
			},
			Provisioner: pulumi.String("ebs.csi.eks.amazonaws.com"),
			Parameters:  pulumi.StringMap{"type": pulumi.String("gp3"), "encrypted": pulumi.String("true")},
			// An EBS volume is in one zone: it must be created in the zone of the pod.
			VolumeBindingMode: pulumi.String("WaitForFirstConsumer"),
			AllowedTopologies: corev1.TopologySelectorTermArray{corev1.TopologySelectorTermArgs{
				MatchLabelExpressions: corev1.TopologySelectorLabelRequirementArray{corev1.TopologySelectorLabelRequirementArgs{
					Key: pulumi.String("eks.amazonaws.com/compute-type"), Values: pulumi.ToStringArray([]string{"auto"}),
				}},
			}},
			AllowVolumeExpansion: pulumi.Bool(true),
			ReclaimPolicy:        pulumi.String("Delete"),
		})
	})
}

var addonVersionForm = regexp.MustCompile(`^$|^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$`)

// CheckAddonVersion requires a version of an add-on, or empty for the EKS default.
func CheckAddonVersion(name, version string) field.ErrorList {
	return check.Match(name, version, addonVersionForm, "must be a version such as v0.8.0-eksbuild.1, or empty; "+
		"`aws eks describe-addon-versions --addon-name metrics-server` lists them")
}

// NewMetricsServer creates the EKS add-on metrics-server, which AWS builds and scans and autoscalers require, and waits
// until it is active. An empty version is the EKS default at its creation, which it keeps until version changes.
// https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html
func NewMetricsServer(
	stack *component.Builder, name string, cluster pulumi.StringInput, version string, opts ...pulumi.ResourceOption,
) *Part {
	problems := CheckAddonVersion("version", version)
	return part(stack, "MetricsServer", name, problems, opts, func(b *component.Builder) pulumi.Resource {
		return component.Create(b, eks.NewAddon, "", &eks.AddonArgs{
			ClusterName: cluster, AddonName: pulumi.String("metrics-server"), AddonVersion: component.Optional(version),
			// Existing objects of the same name become part of the add-on; later manual changes are kept.
			ResolveConflictsOnCreate: pulumi.String("OVERWRITE"),
			ResolveConflictsOnUpdate: pulumi.String("PRESERVE"),
		})
	})
}
