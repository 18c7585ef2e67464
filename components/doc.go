// Package components holds the library. It is split by provider, so that a program compiles and starts only the
// providers that it uses:
//
//	image       builds and pushes a container image              pulumi-docker
//	docker      runs an app in containers on a Docker host       pulumi-docker
//	kube        runs an app in a Kubernetes cluster              pulumi-kubernetes
//	addons      installs Traefik and metrics-server              pulumi-kubernetes
//	monitoring  metrics, alerts and dashboards                   pulumi-kubernetes
//	aws         AWS resources for an app on Amazon EKS           pulumi-aws
//	redis       connection settings of any Redis                 no provider
//
// These packages have no configuration keys and no environments: every decision is a field of the arguments.
package components
