package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

// madeIn is the label with the folder from which `up` created a registry; `down` removes no other.
const madeIn = "scaleout.made-in"

// registryImage is the default of REGISTRY_IMAGE.
const registryImage = "docker.io/library/registry:3.0.0"

// registry ensures that the registry's container runs and answers, and determines its port.
func (d *driver) registry(ctx context.Context) (string, error) {
	c, err := d.inspect(ctx, d.RegistryName)
	if err != nil {
		return "", err
	}
	did := "exists"
	switch {
	case c.ID == "":
		did, err = d.createRegistry(ctx)
	case c.hostPort(5000) == 0:
		err = fmt.Errorf("container %s publishes no port for 5000/tcp, so nothing can be pushed to it: "+
			"remove it, or set REGISTRY_NAME to another name", d.RegistryName)
	case d.RegistryPort != 0 && d.RegistryPort != c.hostPort(5000):
		err = fmt.Errorf("registry %s exists on port %d, not %d: leave REGISTRY_PORT unset to use it, "+
			"or set REGISTRY_NAME as well for a second one", d.RegistryName, c.hostPort(5000), d.RegistryPort)
	default:
		if d.RegistryPort = c.hostPort(5000); !c.State.Running {
			did = "started"
			_, err = d.docker(ctx, "start", d.RegistryName)
		}
	}
	if err != nil {
		return "", err
	}
	_, err = waitForAnswer(ctx, fmt.Sprintf("http://127.0.0.1:%d/v2/", d.RegistryPort), func(status int) bool {
		return status == http.StatusOK || status == http.StatusUnauthorized // it may require a login
	})
	if err != nil {
		return "", fmt.Errorf("registry %s runs but does not answer: %w; see `docker logs %[1]s`", d.RegistryName, err)
	}
	return fmt.Sprintf("%s %s, answers on 127.0.0.1:%d", did, d.RegistryName, d.RegistryPort), nil
}

// createRegistry starts a registry as https://kind.sigs.k8s.io/docs/user/local-registry/ describes.
func (d *driver) createRegistry(ctx context.Context) (string, error) {
	d.RegistryPort = cmp.Or(d.RegistryPort, defaultRegistryPort)
	if portTaken(d.RegistryPort) {
		return "", fmt.Errorf("port %d on 127.0.0.1 is taken: set REGISTRY_PORT to a free port, or, if a registry listens "+
			"on it, REGISTRY_NAME to its container, by which the nodes reach it", d.RegistryPort)
	}
	_, err := d.docker(ctx, "run", "--detach", "--restart=always", "--label", madeIn+"="+d.root, "--network=bridge",
		"--publish", fmt.Sprintf("127.0.0.1:%d:5000", d.RegistryPort), "--name", d.RegistryName, d.RegistryImage)
	if err != nil {
		return "", fmt.Errorf("creating registry %s from the image %s (REGISTRY_IMAGE takes another): %w",
			d.RegistryName, d.RegistryImage, err)
	}
	return "created from " + d.RegistryImage, nil
}

// portTaken reports whether something listens on the port. Other errors, such as missing permission, do not count.
func portTaken(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	_ = l.Close()
	return false
}

// removeRegistry removes the registry with its content if `up` created it from this folder and no kind cluster is left
// whose nodes may pull from it.
func (d *driver) removeRegistry(ctx context.Context) (string, error) {
	c, err := d.inspect(ctx, d.RegistryName)
	switch {
	case err != nil:
		return "", err
	case c.ID == "":
		return "none", nil
	case c.Config.Labels[madeIn] != d.root:
		return "kept " + d.RegistryName + ", which `up` in this folder did not create", nil
	}
	for _, users := range []string{kindLabel, "label=scaleout.network"} {
		if names, err := d.containers(ctx, users); err != nil || len(names) > 0 {
			return fmt.Sprintf("kept %s, whose images %s may need", d.RegistryName, strings.Join(names, " ")), err
		}
	}
	_, err = d.docker(ctx, "rm", "--force", "--volumes", d.RegistryName)
	return "removed " + d.RegistryName, err
}
