package offline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// Object is the identity of a Kubernetes object.
type Object struct {
	APIVersion, Kind string // e.g. apps/v1 and Deployment
	Namespace        string // empty for cluster-scoped objects
	Name             string // in the cluster; the text of an Unknown if Pulumi generates it
}

// String returns kind, namespace and name, e.g. "Deployment scaleout/web".
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Object returns the identity of a resource's Kubernetes object, and false if it is not a Kubernetes object.
func (r Resource) Object() (Object, bool) {
	o := Object{APIVersion: text(r.Inputs, "apiVersion"), Kind: text(r.Inputs, "kind"), Name: fmt.Sprint(r.objectName())}
	if !strings.HasPrefix(r.Type, "kubernetes:") || o.APIVersion == "" || o.Kind == "" {
		return Object{}, false
	}
	if namespace := Lookup(r.Inputs, "metadata", "namespace"); namespace != nil {
		o.Namespace = fmt.Sprint(namespace)
	}
	return o, true
}

// objectName returns the name of the object: unknown if not set, since Pulumi then generates one.
func (r Resource) objectName() any {
	if name := Lookup(r.Inputs, "metadata", "name"); name != nil {
		return name
	}
	return Unknown{"auto-named " + r.Name}
}

// printed returns the inputs as they are printed. An object has a name, and each value of a Kubernetes Secret is marked
// as secret, instead of the whole map, so that the keys are shown.
func (r Resource) printed() map[string]any {
	object, ok := r.Object()
	if !ok {
		return r.Inputs
	}
	manifest, metadata := maps.Clone(r.Inputs), map[string]any{}
	given, _ := manifest["metadata"].(map[string]any)
	maps.Copy(metadata, given)
	metadata["name"] = r.objectName()
	manifest["metadata"] = metadata
	if object.Kind != "Secret" || object.APIVersion != "v1" {
		return manifest
	}
	for _, field := range []string{"data", "stringData"} {
		given := manifest[field]
		if secret, ok := given.(Secret); ok {
			given = secret.Value
		}
		if values, ok := given.(map[string]any); ok {
			marked := map[string]any{}
			for key, value := range values {
				marked[key] = Secret{value}
			}
			manifest[field] = marked
		}
	}
	return manifest
}

// objects returns the Kubernetes objects of the given kinds, or of all kinds if none is given, in creation order.
func (r *Result) objects(kinds ...string) []Resource {
	var objects []Resource
	for _, resource := range r.Resources {
		if o, ok := resource.Object(); ok && (len(kinds) == 0 || slices.Contains(kinds, o.Kind)) {
			objects = append(objects, resource)
		}
	}
	slices.SortFunc(objects, func(a, b Resource) int {
		x, _ := a.Object()
		y, _ := b.Object()
		return cmp.Or(cmp.Compare(x.rank(), y.rank()), cmp.Compare(x.String(), y.String()))
	})
	return objects
}

// title returns the name of a resource in lists: the object, or else type and name.
func (r Resource) title() string {
	if object, ok := r.Object(); ok {
		return object.String()
	}
	return r.displayType() + " " + r.Name
}

// displayType returns the type as the Pulumi CLI shows it: docker:index/image:Image is docker:index:Image.
func (r Resource) displayType() string { return tokens.Type(r.Type).DisplayName() }

// kindOrder is the creation order of objects; kinds that are not listed precede the autoscalers. It is Helm's order
// (InstallOrder in its pkg/release/util) plus the kinds of EKS, with Ingresses before workloads, so that the load
// balancer controller can inject readiness gates into the first pods.
var kindOrder = []string{
	"PriorityClass", "Namespace",
	"NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget",
	"ServiceAccount", "Secret", "ConfigMap",
	"StorageClass", "PersistentVolume", "PersistentVolumeClaim",
	"CustomResourceDefinition",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
	"NodeClass", "NodePool",
	"Service", "APIService", "IngressClassParams", "IngressClass", "Ingress",
	"DaemonSet", "Pod", "ReplicaSet", "StatefulSet", "Deployment", "Job", "CronJob",
	"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	"", "HorizontalPodAutoscaler",
}

// rank returns the position of the kind in kindOrder, from 1.
func (o Object) rank() int {
	if i := slices.Index(kindOrder, o.Kind); i >= 0 {
		return i + 1
	}
	return slices.Index(kindOrder, "") + 1
}

// fileName returns a name without rank and extension. That of an object is unique in a cluster, since the name of a
// namespace has no dot. Characters that are problematic in file names are replaced: the colons of types and of RBAC
// names, the brackets of unknown names.
func (r Resource) fileName() string {
	kind, name := r.displayType(), r.Name
	if object, ok := r.Object(); ok {
		kind, name = object.Kind, strings.TrimPrefix(object.Namespace+"."+object.Name, ".")
	}
	kind = strings.NewReplacer(":", "-", "/", "-").Replace(strings.ToLower(kind))
	safe := strings.NewReplacer("/", "_", `\`, "_", ":", "_", " ", "_", `"`, "_", "[", "_", "]", "_")
	return kind + "-" + safe.Replace(name)
}
