// Package nodeport defines the node ports of Traefik, which the program and the kind cluster share: kind maps them to
// ports of the host.
package nodeport

// Both are in the default node port range of Kubernetes, 30000 to 32767.
const (
	HTTP  = 30080
	HTTPS = 30443
)
