// Package nodeport holds the two numbers that the program and the kind cluster must agree on: the ports of every node
// that Traefik answers, and that kind maps to ports of the host.
package nodeport

// From the range that Kubernetes reserves for node ports by default, 30000 to 32767.
const (
	HTTP  = 30080
	HTTPS = 30443
)
