// Package components holds the library, whose packages are apart by what they need, so that a program compiles and
// starts only the providers that it uses:
//
//	image       an image, built of a folder and pushed            pulumi-docker
//	docker      an app in containers on a Docker host             pulumi-docker
//	kube        an app in a Kubernetes cluster                    pulumi-kubernetes
//	addons      what a cluster without them needs for it          pulumi-kubernetes
//	monitoring  measurements, alerts and dashboards               pulumi-kubernetes
//	aws         what an app on Amazon EKS needs besides           pulumi-aws
//	redis       how a Redis is reached, wherever it runs          no provider
//
// None of them knows configuration keys or environments: a decision is a field of the arguments. It has no code itself;
// its test keeps the packages apart.
package components
