package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// nodesReady is how long the nodes may take to be ready; a laptop needs about 30 s after a reboot.
const nodesReady = 4 * time.Minute

// node is one container of the Kind cluster.
type node struct {
	name, state, role string
}

// nodes returns the cluster's containers, the control plane first; none if there is no cluster.
func (d *driver) nodes(ctx context.Context) ([]node, error) {
	out, err := d.docker(ctx, "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster="+d.Cluster,
		"--format", "{{.Names}} {{.State}} {{.Label \"io.x-k8s.kind.role\"}}")
	if err != nil {
		return nil, fmt.Errorf("listing the nodes of cluster %s: %w", d.Cluster, err)
	}
	var found []node
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) != 3:
		case f[2] == "control-plane":
			found = append([]node{{f[0], f[1], f[2]}}, found...)
		default:
			found = append(found, node{f[0], f[1], f[2]})
		}
	}
	return found, nil
}

// cluster makes sure that the Kind cluster exists and runs, and settles its ports.
func (d *driver) cluster(ctx context.Context) (string, error) {
	nodes, err := d.nodes(ctx)
	if err != nil {
		return "", err
	}
	if len(nodes) > 0 && d.creating(d.Cluster) {
		d.steps.note("removing what an interrupted creation left")
		if err := d.kind(ctx, nil, "", "delete", "cluster", "--name", d.Cluster); err != nil {
			return "", fmt.Errorf("removing the unfinished cluster: %w", err)
		}
		nodes = nil
	}
	if len(nodes) == 0 {
		return d.createCluster(ctx)
	}
	if err := d.adoptPorts(ctx, nodes[0].name); err != nil {
		return "", err
	}
	did := "exists"
	for _, n := range nodes {
		if n.state == "running" {
			continue
		}
		if _, err := d.docker(ctx, "start", n.name); err != nil {
			return "", fmt.Errorf("starting node %s: %w", n.name, err)
		}
		did = "started"
	}
	if err := d.waitForNodes(ctx, nodes[0].name); err != nil {
		return "", err
	}
	if err := d.exportKubeconfig(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d node(s), ports %d and %d", did, len(nodes), d.HTTPPort, d.HTTPSPort), nil
}

// adoptPorts takes the ports of an existing cluster, which cannot be changed, unless the user asked for others.
func (d *driver) adoptPorts(ctx context.Context, controlPlane string) error {
	c, err := d.mustInspect(ctx, controlPlane)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		want             *int
		inside, variable string
	}{{&d.HTTPPort, nodeHTTP, "HTTP_PORT"}, {&d.HTTPSPort, nodeHTTPS, "HTTPS_PORT"}} {
		has := c.hostPort(p.inside)
		switch {
		case has == 0:
			return fmt.Errorf("cluster %s has no host port for %s, so `up` did not make it: set CLUSTER to another name, "+
				"or delete it", d.Cluster, p.inside)
		case *p.want != 0 && *p.want != has:
			return fmt.Errorf("cluster %s was made with port %d, and %s=%d asks for another: unset %[3]s, "+
				"or run `make down` first", d.Cluster, has, p.variable, *p.want)
		}
		*p.want = has
	}
	return nil
}

// createCluster makes a new cluster.
func (d *driver) createCluster(ctx context.Context) (string, error) {
	config, err := d.clusterConfig()
	if err != nil {
		return "", err
	}
	images := nodeImages()
	if d.NodeImage != "" {
		images = []string{d.NodeImage}
	}
	image, err := d.haveImage(ctx, "NODE_IMAGE", images...)
	if err != nil {
		return "", err
	}
	if err := d.setMark(markCreating, d.Cluster, ""); err != nil {
		return "", err
	}
	before := d.kubeconfigContexts()
	err = d.kind(ctx, d.steps.stream(), config, "create", "cluster", "--name", d.Cluster, "--image", image,
		"--config", "-", "--wait", nodesReady.String())
	if ctx.Err() != nil {
		return "", ctx.Err() // and the mark stays
	}
	// A creation that failed has ended as well: Kind then removes what it made.
	if err := errors.Join(err, d.clearMark(markCreating, d.Cluster)); err != nil {
		return "", fmt.Errorf("creating cluster %s: %w", d.Cluster, err)
	}
	restored, err := d.restoreContexts(before)
	if err != nil {
		return "", err
	}
	if restored {
		d.steps.note("kubectl points again where it did; this cluster is `--context kind-%s`", d.Cluster)
	}
	if err := d.waitForNodes(ctx, d.Cluster+"-control-plane"); err != nil {
		return "", err
	}
	return fmt.Sprintf("created from %s, ports %d and %d", image, d.HTTPPort, d.HTTPSPort), nil
}

// deleteCluster deletes the cluster, whole or in part, and its entry in the kubeconfig.
func (d *driver) deleteCluster(ctx context.Context) (string, error) {
	nodes, err := d.nodes(ctx)
	if err != nil {
		return "", err
	}
	if len(nodes) > 0 {
		if err := d.kind(ctx, nil, "", "delete", "cluster", "--name", d.Cluster); err != nil {
			return "", fmt.Errorf("deleting cluster %s: %w", d.Cluster, err)
		}
	}
	if err := d.clearMark(markCreating, d.Cluster); err != nil {
		return "", err
	}
	if len(nodes) == 0 {
		return "none", nil
	}
	return fmt.Sprintf("deleted %s, %d node(s)", d.Cluster, len(nodes)), nil
}
