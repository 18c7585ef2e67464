// Package objects creates the Kubernetes objects that components of several packages share, with this library's
// defaults: labels, a restricted pod, a network policy, a service account, a claim.
package objects

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Owner is a component that creates objects, whose names in the cluster start with Instance.
type Owner struct {
	Pods
	*component.Builder
	Namespace pulumi.StringInput
}

// Register registers the component, unless there are problems with its arguments. Its objects need a namespace; without
// an Instance they have the component's name.
func (o *Owner) Register(
	ctx *pulumi.Context, kind, name string, problems field.ErrorList,
	resource pulumi.ComponentResource, opts []pulumi.ResourceOption,
) (err error) {
	o.Instance = cmp.Or(o.Instance, name)
	problems = slices.Concat(problems, check.ObjectName(o.Instance), check.Set("namespace", o.Namespace != nil))
	o.Builder, err = component.Register(ctx, "scaleout:index", kind, name, problems, resource, opts)
	return err
}

// NameOf returns the name of an object that is known once the object exists, so that dependents wait for it. After an
// error of the Builder it is an output without a value.
func NameOf(metadata metav1.ObjectMetaOutput) pulumi.StringOutput {
	if metadata.OutputState == nil {
		return pulumi.StringOutput{}
	}
	return metadata.Name().Elem()
}

// Meta returns the metadata of an object in the namespace; suffix is empty for the main object.
func (o Owner) Meta(suffix string) *metav1.ObjectMetaArgs {
	meta := o.ClusterMeta(pulumi.String(o.Instance + suffix))
	meta.Namespace = o.Namespace
	return meta
}

// Annotated returns the Meta of a main object with annotations.
func (o Owner) Annotated(annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
	return annotated(o.Meta(""), annotations)
}

// annotated adds annotations, which override those in Pods. It sets no empty map, which would show in a preview.
func annotated(meta *metav1.ObjectMetaArgs, annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
	all := pulumi.StringMap{}
	own, _ := meta.Annotations.(pulumi.StringMap)
	maps.Copy(all, own)
	if maps.Copy(all, annotations); len(all) > 0 {
		meta.Annotations = all
	}
	return meta
}

// WithoutAwait disables the provider's wait for pods, for objects that are created before them.
var WithoutAwait = pulumi.StringMap{"pulumi.com/skipAwait": pulumi.String("true")}

// Service makes the app's pods reachable by the app's name; portName is their port. It is created before them, without
// the provider's wait of 10 s for pods: a client that resolves its name too early would cache "no such host".
func (o Owner) Service(portName string, number int) *corev1.Service {
	return component.Create(o.Builder, corev1.NewService, "", &corev1.ServiceArgs{
		Metadata: o.Annotated(WithoutAwait),
		Spec: &corev1.ServiceSpecArgs{
			Selector: pulumi.ToStringMap(o.Selector()),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(portName), Port: pulumi.Int(number), TargetPort: pulumi.String(portName),
			}},
		},
	})
}

// ConfigMap creates a ConfigMap, whose data must not be secret.
func (o Owner) ConfigMap(suffix string, data pulumi.StringMapInput) *corev1.ConfigMap {
	args := &corev1.ConfigMapArgs{Metadata: o.Meta(suffix), Data: data}
	return component.Create(o.Builder, corev1.NewConfigMap, suffix, args)
}

// DisruptionBudget allows the eviction of one pod at a time. With a single pod it has no effect.
func (o Owner) DisruptionBudget() *policyv1.PodDisruptionBudget {
	return component.Create(o.Builder, policyv1.NewPodDisruptionBudget, "", &policyv1.PodDisruptionBudgetArgs{
		Metadata: o.Meta(""),
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       o.LabelSelector(),
			// Otherwise a pod in a crash loop blocks the drain of its node.
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	})
}

// NoHistory keeps no old ReplicaSet: pulumi-kubernetes considers a rollback to one complete while it still has 0 pods
// (Deployment.checkReplicaSetStatus in provider/pkg/await, v4.32.0).
const NoHistory = pulumi.Int(0)

// SinglePodDeployment creates the Deployment of a stateless app with one pod.
func (o Owner) SinglePodDeployment(pod *corev1.PodTemplateSpecArgs) *appsv1.Deployment {
	return component.Create(o.Builder, appsv1.NewDeployment, "", &appsv1.DeploymentArgs{
		Metadata: o.Meta(""),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1), RevisionHistoryLimit: NoHistory, Selector: o.LabelSelector(), Template: pod,
		},
	})
}

// SinglePodStatefulSet creates the StatefulSet of an app with one pod and data on a volume.
func (o Owner) SinglePodStatefulSet(
	service *corev1.Service, pod *corev1.PodTemplateSpecArgs, opts ...pulumi.ResourceOption,
) *appsv1.StatefulSet {
	return component.Create(o.Builder, appsv1.NewStatefulSet, "", &appsv1.StatefulSetArgs{
		Metadata: o.Meta(""),
		Spec: &appsv1.StatefulSetSpecArgs{
			Replicas:    pulumi.Int(1), // two servers on one volume would corrupt its data
			ServiceName: NameOf(service.Metadata),
			Selector:    o.LabelSelector(),
			Template:    pod,
			// OrderedReady, the default, never replaces a pod that is not ready, so a wrong image could not be corrected:
			// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
			PodManagementPolicy: pulumi.String("Parallel"),
		},
	}, opts...)
}

// Claim creates the claim for an app's data and returns the volume "data". The claim is a separate resource instead
// of a template of the StatefulSet, so that it shows in previews, can grow in place, and is deleted with the stack.
//
// An empty class is the cluster's default. A change of the class is an error: Kubernetes cannot change the class of a
// claim, so Pulumi would replace the claim and delete the data.
func (o Owner) Claim(size, class string, protect bool) corev1.VolumeArgs {
	spec := &corev1.PersistentVolumeClaimSpecArgs{
		AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}),
		Resources: &corev1.VolumeResourceRequirementsArgs{
			Requests: pulumi.StringMap{"storage": pulumi.String(size)},
		},
		StorageClassName: component.Optional(class),
	}
	// The Stash keeps its first value, the class of the existing data:
	// https://www.pulumi.com/docs/iac/concepts/resources/stash/
	first := component.Create(o.Builder, pulumi.NewStash, "-data-class", &pulumi.StashArgs{
		Input: pulumi.String(class),
	}, pulumi.IgnoreChanges([]string{"input"}))
	if o.Err() != nil {
		return corev1.VolumeArgs{}
	}
	sameClass := first.Output.ApplyT(func(had any) ([]pulumi.Resource, error) {
		return nil, checkClass(o.Instance+"-data", had, class)
	}).(pulumi.ResourceArrayOutput)
	claim := component.Create(o.Builder, corev1.NewPersistentVolumeClaim, "-data", &corev1.PersistentVolumeClaimArgs{
		Metadata: o.Meta("-data"), Spec: spec,
	}, pulumi.Protect(protect), pulumi.DependsOnInputs(sameClass))
	return corev1.VolumeArgs{
		Name:                  pulumi.String("data"),
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSourceArgs{ClaimName: NameOf(claim.Metadata)},
	}
}

func checkClass(claim string, had any, class string) error {
	if had == class {
		return nil
	}
	return fmt.Errorf("storageClass: the data of claim %q is on storage class %q; another class, %q, would delete it. "+
		"Set the class back, or move the data first (docs/operations.md of scaleout, Another storage class)",
		claim, had, class)
}

// Pods identifies the pods of one component instance. A selector contains just two labels: it is immutable on a
// Deployment, so a label that may change later (a version, a team) would force a replacement, and an outage.
type Pods struct {
	// Name of the software, e.g. redis.
	Name string
	// Instance is the name of the main object: the component's name, unless its arguments set another.
	Instance string
	// Labels of all objects besides the common ones; no selector has them. Annotations are for the objects, not the pods.
	Labels, Annotations map[string]string
}

// Selector returns the labels by which others select these pods in their namespace.
func (a Pods) Selector() map[string]string {
	return map[string]string{"app.kubernetes.io/name": a.Name, "app.kubernetes.io/instance": a.Instance}
}

// LabelSet returns the recommended labels:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func (a Pods) LabelSet() pulumi.StringMap {
	labels := pulumi.StringMap{
		"app.kubernetes.io/part-of": pulumi.String("scaleout"), "app.kubernetes.io/managed-by": pulumi.String("pulumi"),
	}
	maps.Copy(labels, pulumi.ToStringMap(a.Labels))
	maps.Copy(labels, pulumi.ToStringMap(a.Selector()))
	return labels
}

// LabelSelector returns Selector in the form of workloads and policies.
func (a Pods) LabelSelector() *metav1.LabelSelectorArgs {
	return &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(a.Selector())}
}

// ClusterMeta returns the metadata of a cluster-scoped object. Its name is fixed, for runbooks and `kubectl` commands.
func (a Pods) ClusterMeta(name pulumi.StringInput) *metav1.ObjectMetaArgs {
	return annotated(&metav1.ObjectMetaArgs{Name: name, Labels: a.LabelSet()}, pulumi.ToStringMap(a.Annotations))
}
