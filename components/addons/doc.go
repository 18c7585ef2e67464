// Package addons installs what a bare cluster lacks to run and scale web apps. A cluster has each of them once.
//
//	Traefik        an ingress controller behind node ports
//	MetricsServer  the source of the autoscaler's CPU and memory figures
package addons
