// Package components holds the building blocks of a web app that scales itself on Kubernetes. Each is a Pulumi
// component resource: it appears as one node in the resource tree, with everything it creates below it.
//
//	Image          builds and pushes a container image, tagged by a hash of its build context
//	ECRRepository  the registry repository for that image on AWS
//	Namespace      a namespace that enforces Pod Security `restricted` and denies all traffic by default
//	Redis          a single Redis with a password and a persistent append-only file
//	ExternalRedis  a Redis that runs elsewhere, in the same form as the one above
//	WebApp         Service, Ingress, Deployment, autoscaler and their guards, created in the order that loses no request
//	Autoscaler     a HorizontalPodAutoscaler that is ready only when it really receives metrics
//	Ingress        the HTTP entry, for any controller or for an AWS Application Load Balancer
//	Traefik        an ingress controller, for clusters that have none
//	MetricsServer  the source of the autoscaler's CPU figures, for clusters that have none
//
// Three rules hold everywhere. A component's main child has the component's name and the others append to it, so two
// instances coexist (but for MetricsServer: a cluster has one such API). Arguments are checked as a whole before anything
// is registered, and one error lists every problem. Plain Go types are decisions that shape the tree; pulumi inputs are
// values that other resources may produce.
//
// Objects in the cluster are named like their component, and a name there cannot change. So a new name for a component
// would replace all that it owns, an outage and for Redis the loss of its data. To rename one and keep its objects, give
// them the old name, and tell Pulumi who the component was:
//
//	components.NewWebApp(ctx, "site", &components.WebAppArgs{Name: "web", ...}, cluster,
//		pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("web")}}))
//
// The children need no aliases of their own, since their names begin with the component's:
// https://www.pulumi.com/docs/iac/concepts/options/aliases/. Name stays; the alias may go once every stack is updated.
// Namespace and ECRRepository always take the name as an argument. Traefik, MetricsServer and the components for Docker
// take none: renaming one replaces what it owns.
package components
