package main

import (
	"context"
	"fmt"
	"strings"
)

// Where containerd looks for how to reach a registry, and how it reaches ours: `localhost` inside a node is the node
// itself, so it goes to the registry's container over the docker network that Kind's nodes share.
// https://kind.sigs.k8s.io/docs/user/local-registry/
const (
	kindNetwork  = "kind"
	hostsFolder  = "/etc/containerd/certs.d/localhost:%d"
	hostsContent = "[host.\"http://%s:5000\"]\n"
)

// registryHosting tells other tools where the registry is: https://github.com/kubernetes/enhancements/tree/master/
// keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
const registryHosting = `apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data:
  localRegistryHosting.v1: |
    host: "localhost:%d"
    help: "https://kind.sigs.k8s.io/docs/user/local-registry/"
`

// wireRegistry lets every node pull from the registry under the name that the host pushes to.
func (d *driver) wireRegistry(ctx context.Context) (string, error) {
	var did []string
	c, err := d.mustInspect(ctx, d.RegistryName)
	if err != nil {
		return "", err
	}
	if _, ok := c.NetworkSettings.Networks[kindNetwork]; !ok {
		if _, err := d.docker(ctx, "network", "connect", kindNetwork, d.RegistryName); err != nil {
			return "", fmt.Errorf("connecting the registry to the nodes' network: %w", err)
		}
		did = append(did, "connected to network "+kindNetwork)
	}
	nodes, err := d.nodes(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		changed, err := d.writeHosts(ctx, n.name)
		if err != nil {
			return "", err
		}
		if changed {
			did = append(did, "told "+n.name)
		}
	}
	if _, err := d.kubectl(ctx, fmt.Sprintf(registryHosting, d.RegistryPort), "apply", "--filename=-"); err != nil {
		return "", fmt.Errorf("publishing the registry's address in the cluster: %w", err)
	}
	if len(did) == 0 {
		return "exists", nil
	}
	return strings.Join(did, ", "), nil
}

// writeHosts tells one node's containerd how to reach the registry; it reads the file at every pull.
func (d *driver) writeHosts(ctx context.Context, node string) (changed bool, err error) {
	folder := fmt.Sprintf(hostsFolder, d.RegistryPort)
	want := fmt.Sprintf(hostsContent, d.RegistryName)
	file := folder + "/hosts.toml"
	if got, err := d.docker(ctx, "exec", node, "cat", file); err == nil && got == strings.TrimSpace(want) {
		return false, nil
	}
	write := fmt.Sprintf("mkdir -p '%s' && cat >'%s'", folder, file)
	args := []string{"exec", "--interactive", node, "sh", "-c", write}
	if _, err := d.host.Run(ctx, command{name: "docker", args: args, stdin: want}); err != nil {
		return false, fmt.Errorf("telling node %s about the registry: %w", node, err)
	}
	return true, nil
}
