package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// kubectl runs the kubectl inside the control plane's node. It is always there and always of the cluster's version,
// so none has to be installed, and the user's kubeconfig plays no part.
func (d *driver) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return d.host.Run(ctx, d.kubectlCommand(stdin, args...))
}

// kubeconfigFlag names the administrator's kubeconfig inside the node.
const kubeconfigFlag = "--kubeconfig=/etc/kubernetes/admin.conf"

func (d *driver) kubectlCommand(stdin string, args ...string) command {
	c := d.inNode("kubectl", append([]string{kubeconfigFlag}, args...)...)
	c.stdin = stdin
	return c
}

// inNode is a command inside the control plane's node.
func (d *driver) inNode(program string, args ...string) command {
	inside := []string{"exec", "--interactive", d.Cluster + "-control-plane", program}
	return command{name: "docker", args: append(inside, args...)}
}

// waitForNodes waits until the API server answers and all nodes are ready.
func (d *driver) waitForNodes(ctx context.Context, controlPlane string) error {
	deadline := time.Now().Add(nodesReady)
	for {
		_, err := d.kubectl(ctx, "", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s")
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var failed *commandError
		if errors.As(err, &failed) && strings.Contains(failed.output, "/etc/kubernetes/admin.conf: no such file") {
			return fmt.Errorf("cluster %s was never set up (node %s has no admin.conf): run `make down`, "+
				"then `make up`", d.Cluster, controlPlane)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cluster %s runs but its nodes are not ready after %s: see `docker logs %s`, or start "+
				"over with `make down`: %w", d.Cluster, nodesReady, controlPlane, err)
		}
		time.Sleep(time.Second)
	}
}
