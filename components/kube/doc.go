// Package kube runs a web app on any Kubernetes cluster. Its components are the parents of all that they create.
//
// NewKindProvider and NewEKSProvider connect to a cluster. Another provider needs EnableConfigMapMutable,
// EnablePatchForce and EnableSecretMutable, without which a change of a Secret deletes it first: its name is fixed.
//
// Three rules hold for all components. The main child has the component's name and the names of the others start with
// it, so that two instances can coexist. All arguments are validated before anything is registered, and one error
// lists every problem with its field. Plain Go types are decisions that shape the resource tree; Pulumi inputs are
// values that other resources may produce.
//
// The type tokens (scaleout:index:WebApp and so on) and the names of the children are part of the API: they are part
// of the URNs in a stack's state, and changing one without an alias replaces the resource.
//
// Objects in the cluster have the name of their component, so renaming it would replace all of them: an outage, and for
// Redis a loss of data. To rename a component, keep the names of its objects and add an alias for the old name:
//
//	kube.NewWebApp(ctx, "site", &kube.WebAppArgs{Name: "web", ...}, cluster,
//		pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("web")}}))
//
// The children need no aliases, because their names start with the component's:
// https://www.pulumi.com/docs/iac/concepts/options/aliases/. Keep Name; remove the alias once every stack is updated.
// Namespace and ALBClass always take the name as an argument.
//
// Use a transformation for settings that the arguments do not offer, as in the sidecar example of NewWebApp:
// https://www.pulumi.com/docs/iac/concepts/options/transformations/.
package kube
