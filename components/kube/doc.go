// Package kube runs a web app on any Kubernetes cluster. Each type below is a Pulumi component resource: one node in
// the resource tree, with everything that it creates below it.
//
//	WebApp       Service, Ingress, Deployment, autoscaler and their guards, in the order in which no request is lost;
//	             reached through any ingress controller or an AWS Application Load Balancer
//	Ingress      the way to the Service of another app, through any ingress controller or an AWS Application Load Balancer
//	Autoscaler   the HorizontalPodAutoscaler of another Deployment, created once it gets measurements
//	Secret       a Kubernetes Secret that outlives what uses it, with a version that tells nothing about its content
//	RedisSecret  the password of a Redis, wherever that runs, and the Binding that gives an app the connection
//	Redis        one Redis server with a password and a persistent append-only file
//	Namespace    a namespace that enforces Pod Security `restricted` and denies all traffic but DNS
//	ALBClass     the IngressClass of Application Load Balancers
//
// NewKindProvider and NewEKSProvider connect to a cluster. A provider of one's own needs what they set:
// EnableSecretMutable, EnableConfigMapMutable and EnablePatchForce. A Binding is what a backing service adds to the pods of an
// app; a Peer is one that a network policy admits; Capacity and Demand compare what pods ask for with the nodes.
//
// Three rules hold for all of them. A component's main child has the component's name and the others append to it, so
// that two instances coexist. Arguments are checked as a whole before anything is registered, and one error lists
// every problem with its field. Plain Go types are decisions that shape the tree; pulumi inputs are values that other
// resources may produce.
//
// The type tokens (scaleout:index:WebApp and so on) and the names of the children are part of the API: they make up the
// URNs in the state of a stack, and one that changes without an alias replaces what it names.
//
// Objects in the cluster are named like their component, so a new name for a component would replace all that it owns:
// an outage, and for Redis the loss of its data. To rename a component, keep the names of its objects, and tell Pulumi
// what the component was called:
//
//	kube.NewWebApp(ctx, "site", &kube.WebAppArgs{Name: "web", ...}, cluster,
//		pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("web")}}))
//
// The children need no aliases of their own, since their names begin with the component's:
// https://www.pulumi.com/docs/iac/concepts/options/aliases/. Name stays; the alias may go once every stack is updated.
// Namespace and ALBClass always take the name as an argument.
//
// What the arguments do not offer, a transformation changes in the objects, as in the example of NewWebApp with a
// sidecar: https://www.pulumi.com/docs/iac/concepts/options/transformations/.
package kube
