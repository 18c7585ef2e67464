// Package addons installs what a bare cluster lacks to run and scale web apps. One of each is enough for a
// cluster; two MetricsServers cannot coexist.
//
//	Traefik        an ingress controller behind node ports
//	MetricsServer  the source of the autoscaler's CPU and memory metrics
package addons
