package objects

import (
	"maps"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// App identifies the pods of one component instance. A selector holds just two labels: it is immutable on a Deployment,
// so anything that may change later (a version, a team) would force a replacement, and an outage.
type App struct {
	// Name is what runs, e.g. redis.
	Name string
	// Instance is which one, and the name of its main object: the component's name unless its arguments give another.
	Instance string
	// Labels of all its objects besides the common ones. They are in no selector.
	Labels map[string]string
}

// Pods are the labels by which others select the pods of this app in their namespace.
func (a App) Pods() map[string]string {
	return map[string]string{"app.kubernetes.io/name": a.Name, "app.kubernetes.io/instance": a.Instance}
}

// Selector is the immutable minimum that tells this app's pods from all others in its namespace.
func (a App) Selector() pulumi.StringMap { return pulumi.ToStringMap(a.Pods()) }

// LabelSet is the selector and what is worth knowing on top:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func (a App) LabelSet() pulumi.StringMap {
	labels := pulumi.StringMap{
		"app.kubernetes.io/part-of": pulumi.String("scaleout"), "app.kubernetes.io/managed-by": pulumi.String("pulumi"),
	}
	maps.Copy(labels, pulumi.ToStringMap(a.Labels))
	maps.Copy(labels, a.Selector())
	return labels
}

// LabelSelector is Selector in the form that workloads and policies take.
func (a App) LabelSelector() *metav1.LabelSelectorArgs {
	return &metav1.LabelSelectorArgs{MatchLabels: a.Selector()}
}

// Meta is the metadata of an object of this app. Names are fixed rather than generated, since runbooks, dashboards
// and `kubectl` commands refer to them.
func (a App) Meta(name string, namespace pulumi.StringInput) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: namespace, Labels: a.LabelSet()}
}

// Annotated is Meta with annotations.
func (a App) Annotated(name string, namespace pulumi.StringInput, annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
	m := a.Meta(name, namespace)
	m.Annotations = annotations
	return m
}
