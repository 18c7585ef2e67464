// Package docker runs a web app in containers on one Docker host, without Kubernetes.
//
//	Network  a private network, on which containers find each other by name
//	Redis    one Redis server with a password, on a volume
//	WebApp   a fixed number of containers of any image, replaced one at a time
//	Nginx    a reverse proxy that balances requests across the containers
package docker
