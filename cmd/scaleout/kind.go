package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	kindcmd "sigs.k8s.io/kind/pkg/cmd"

	"example.com/scaleout/internal/nodeport"
)

// clusters is the part of kind's library that is used; tests substitute a fake. It always gets a kubeconfig in
// localDir: the user's, and its current context, must not change.
type clusters interface {
	Create(name string, options ...kind.CreateOption) error
	Delete(name, kubeconfig string) error
	ExportKubeConfig(name, kubeconfig string, internal bool) error
}

func newClusters() clusters {
	return kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(kindcmd.NewLogger()))
}

// nodesReady limits the wait for ready nodes; a laptop needs about 30 s after a reboot.
const nodesReady = 4 * time.Minute

// unfinished is the content of markCluster while kind creates the cluster. A partial cluster is replaced, not repaired.
const unfinished = "unfinished"

// nodeImages are the images a new cluster can be created from. The first is what kind v0.33.0 publishes for
// Kubernetes 1.34 (https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0); other tags may be for another kind.
// The second is a patch release that mirrors and offline machines hold. 1.34 is the newest that runs with cgroup v1.
var nodeImages = []string{
	"kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
	"kindest/node:v1.34.2",
}

// controlPlane is the container of the cluster's first node.
func (d *driver) controlPlane() string { return d.Cluster + "-control-plane" }

// kindLabel is the filter for the nodes of all kind clusters.
const kindLabel = "label=io.x-k8s.kind.cluster"

// nodeLabel is the filter for the cluster's containers.
func (d *driver) nodeLabel() string { return kindLabel + "=" + d.Cluster }

// cluster ensures that the kind cluster exists, and determines its ports.
func (d *driver) cluster(ctx context.Context) (string, error) {
	nodes, err := d.containers(ctx, d.nodeLabel())
	if len(nodes) > 0 && d.mark(markCluster, d.Cluster) == unfinished {
		// Another folder may have finished it, or created its own in the meantime.
		if others, _ := d.othersIn(ctx); others != "" { // a partial cluster need not answer
			return "", fmt.Errorf("cluster %s: %s: set CLUSTER to another name", d.Cluster, others)
		}
		d.note("deleting what an interrupted creation left")
		nodes, err = nil, d.kind.Delete(d.Cluster, d.local("kubeconfig"))
	}
	if err != nil {
		return "", err
	}
	if len(nodes) == 0 {
		return d.createCluster(ctx)
	}
	controlPlane, err := d.inspect(ctx, d.controlPlane())
	for _, p := range d.clusterPorts() {
		if err == nil {
			err = p.adopt(controlPlane)
		}
	}
	return fmt.Sprintf("exists, %d node(s), ports %d and %d", len(nodes), d.HTTPPort, d.HTTPSPort), err
}

// clusterPorts are the ingress controller's, in every node. Host ports below 1024 need root in rootless Docker.
func (d *driver) clusterPorts() []hostPort {
	return []hostPort{
		{"cluster", d.Cluster, "CLUSTER", "HTTP_PORT", &d.HTTPPort, 8080, nodeport.HTTP},
		{"cluster", d.Cluster, "CLUSTER", "HTTPS_PORT", &d.HTTPSPort, 8443, nodeport.HTTPS},
	}
}

// clusterConfig describes a new cluster, after checking that the ports are free. Every node serves Traefik's node
// ports, wherever Traefik itself runs. Node images from kind 0.27 on read /etc/containerd/certs.d without a containerd
// patch.
func (d *driver) clusterConfig() (*v1alpha4.Cluster, error) {
	controlPlane := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole}
	for _, p := range d.clusterPorts() {
		if err := p.choose(); err != nil {
			return nil, err
		}
		controlPlane.ExtraPortMappings = append(controlPlane.ExtraPortMappings, v1alpha4.PortMapping{
			ContainerPort: int32(p.inside), HostPort: int32(*p.setting), ListenAddress: "127.0.0.1",
		})
	}
	if d.HTTPPort == d.HTTPSPort {
		return nil, fmt.Errorf("HTTP_PORT and HTTPS_PORT are both %d: set one of them to another", d.HTTPPort)
	}
	workers := slices.Repeat([]v1alpha4.Node{{Role: v1alpha4.WorkerRole}}, d.Workers)
	return &v1alpha4.Cluster{Nodes: append([]v1alpha4.Node{controlPlane}, workers...)}, nil
}

func (d *driver) createCluster(ctx context.Context) (string, error) {
	config, err := d.clusterConfig()
	if err != nil {
		return "", err
	}
	here := slices.IndexFunc(nodeImages, func(image string) bool {
		_, err := d.docker(ctx, "image", "inspect", "--format", "{{.Id}}", image)
		return err == nil
	})
	image := cmp.Or(d.NodeImage, nodeImages[max(0, here)])
	if err := d.setMark(markCluster, d.Cluster, unfinished); err != nil {
		return "", err
	}
	created := make(chan error, 1)
	go func() {
		created <- d.kind.Create(d.Cluster, kind.CreateWithV1Alpha4Config(config), kind.CreateWithNodeImage(image),
			kind.CreateWithKubeconfigPath(d.local("kubeconfig")), kind.CreateWithWaitForReady(nodesReady),
			kind.CreateWithDisplaySalutation(false))
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err() // and the mark stays
	case err = <-created:
	}
	if err != nil {
		// kind deletes what it created. If that is complete, a cluster that exists later was created by somebody else.
		if nodes, listErr := d.containers(ctx, d.nodeLabel()); listErr == nil && len(nodes) == 0 {
			err = errors.Join(err, d.clearMark(markCluster, d.Cluster))
		}
		return "", fmt.Errorf("creating cluster %s from the image %s (NODE_IMAGE takes another): %w", d.Cluster, image, err)
	}
	made, err := d.inspect(ctx, d.controlPlane())
	if err == nil {
		err = d.setMark(markCluster, d.Cluster, made.ID)
	}
	return fmt.Sprintf("created from %s, ports %d and %d", image, d.HTTPPort, d.HTTPSPort), err
}

// deleteCluster deletes the cluster, whole or partial, if there is one.
func (d *driver) deleteCluster(context.Context) (string, error) {
	if err := d.kind.Delete(d.Cluster, d.local("kubeconfig")); err != nil {
		return "", err
	}
	return "deleted", d.clearMark(markCluster, d.Cluster)
}

// inNode is a command inside a node.
func inNode(node, program string, args ...string) command {
	return command{name: "docker", args: append([]string{"exec", "--interactive", node, program}, args...)}
}

// kubectl runs the kubectl of the control plane's node, which is always there and of the cluster's version. KUBECONFIG
// in that node names the administrator's.
func (d *driver) kubectl(ctx context.Context, args ...string) (string, error) {
	return d.host.Run(ctx, inNode(d.controlPlane(), "kubectl", args...))
}

// startNodes starts the nodes, without an effect on running ones, and waits until the API server answers and all are
// ready. After a creation, kind has waited for the first only.
func (d *driver) startNodes(ctx context.Context, nodes []string) error {
	if _, err := d.docker(ctx, append([]string{"start"}, nodes...)...); err != nil {
		return err
	}
	for deadline := time.Now().Add(nodesReady); ; time.Sleep(time.Second) {
		_, err := d.kubectl(ctx, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s")
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cluster %s runs but its nodes are not ready after %s: see `docker logs %s`, or start "+
				"over with `make down`: %w", d.Cluster, nodesReady, d.controlPlane(), err)
		}
	}
}

// waitForDeletions waits until no object of this program is being deleted: an update would adopt one that is about to
// disappear.
func (d *driver) waitForDeletions(ctx context.Context) error {
	const limit = 5 * time.Minute // a pod's graceful shutdown takes most of it
	for deadline := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		going, err := d.kubectl(ctx, "get", "namespaces,deployments,statefulsets,persistentvolumeclaims",
			"--all-namespaces", "--selector", partOf,
			"--output", `jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.kind} {.metadata.name} {end}`)
		if err != nil || going == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is still being deleted after %s", going, limit)
		}
	}
}

// prepareNodes ensures that the nodes run, and lets every one pull from the registry by the name that the host pushes
// to. `localhost` inside a node is the node itself, so containerd there is pointed at the registry's container:
// https://kind.sigs.k8s.io/docs/user/local-registry/
func (d *driver) prepareNodes(ctx context.Context) (string, error) {
	nodes, err := d.containers(ctx, d.nodeLabel())
	if err == nil {
		err = d.startNodes(ctx, nodes)
	}
	if err == nil {
		err = d.kind.ExportKubeConfig(d.Cluster, d.local("kubeconfig"), false)
	}
	if err == nil {
		_, err = d.docker(ctx, "network", "connect", "kind", d.RegistryName)
	}
	if err != nil && !strings.Contains(err.Error(), "already exists in network") {
		return "", err
	}
	folder := fmt.Sprintf("/etc/containerd/certs.d/localhost:%d", d.RegistryPort)
	write := fmt.Sprintf("mkdir -p '%s' && cat >'%[1]s/hosts.toml'", folder)
	hosts := fmt.Sprintf("[host.\"http://%s:5000\"]\n", d.RegistryName)
	for _, n := range nodes {
		c := inNode(n, "sh", "-c", write)
		c.stdin = strings.NewReader(hosts)
		if _, err := d.host.Run(ctx, c); err != nil {
			return "", fmt.Errorf("configuring node %s for the registry: %w", n, err)
		}
	}
	return "ready, pull from the registry: " + strings.Join(nodes, ", "), nil
}
