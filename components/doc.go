// Package components holds the library, in packages by the provider that they need, so that a program compiles and
// starts only those that it uses:
//
//	image       an image, built of a folder and pushed            pulumi-docker
//	docker      an app in containers on a Docker host             pulumi-docker
//	kube        an app in a Kubernetes cluster                    pulumi-kubernetes
//	addons      what a cluster without them needs for it          pulumi-kubernetes
//	monitoring  measurements, alerts and dashboards               pulumi-kubernetes
//	aws         what an app on Amazon EKS needs besides           pulumi-aws
//	redis       how a Redis is reached, wherever it runs          no provider
//
// None of them knows configuration keys or environments: a decision is a field of the arguments.
package components
