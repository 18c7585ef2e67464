package components

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// App identifies the pods of one component instance. A selector holds just these two labels: it is immutable on a
// Deployment, so anything that may change later (a version, a team) would force a replacement, and an outage.
type App struct {
	// Name is what runs, e.g. redis.
	Name string
	// Instance is which one, and the name of its main object: the component's name unless its arguments give another.
	Instance string
}

// WebAppPods are the pods of the WebApp whose objects have that name; known before they exist, so that Redis can admit
// them.
func WebAppPods(name string) App { return App{Name: "webapp", Instance: name} }

// selector is the immutable minimum that tells this app's pods from all others in its namespace.
func (a App) selector() pulumi.StringMap {
	return pulumi.StringMap{
		"app.kubernetes.io/name":     pulumi.String(a.Name),
		"app.kubernetes.io/instance": pulumi.String(a.Instance),
	}
}

// labels are the selector and what is worth knowing on top:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func (a App) labels() pulumi.StringMap {
	l := a.selector()
	l["app.kubernetes.io/part-of"] = pulumi.String("scaleout")
	l["app.kubernetes.io/managed-by"] = pulumi.String("pulumi")
	return l
}

// instancesOf are the names by which a component's inputs show other apps.
func instancesOf(apps []App) pulumi.StringArray {
	names := pulumi.StringArray{}
	for _, app := range apps {
		names = append(names, pulumi.String(app.Instance))
	}
	return names
}

func (a App) labelSelector() *metav1.LabelSelectorArgs {
	return &metav1.LabelSelectorArgs{MatchLabels: a.selector()}
}

// meta is the metadata of an object of this app. Names are fixed rather than generated, since runbooks, dashboards
// and `kubectl` commands refer to them.
func (a App) meta(name string, namespace pulumi.StringInput) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: namespace, Labels: a.labels()}
}

// annotated is meta with annotations.
func (a App) annotated(name string, namespace pulumi.StringInput, annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
	m := a.meta(name, namespace)
	m.Annotations = annotations
	return m
}
