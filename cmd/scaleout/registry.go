package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// registryStart is how long a registry that was just started may take to answer; a fresh one needs about a second.
const registryStart = 20 * time.Second

// registry makes sure that the registry's container runs and answers, and settles its port.
func (d *driver) registry(ctx context.Context) (string, error) {
	c, err := d.inspect(ctx, d.RegistryName)
	if err != nil {
		return "", err
	}
	if c == nil {
		return d.createRegistry(ctx)
	}
	if err := d.adoptRegistryPort(c); err != nil {
		return "", err
	}
	did := "exists"
	if !c.State.Running {
		if _, err := d.docker(ctx, "start", d.RegistryName); err != nil {
			return "", fmt.Errorf("starting registry %s: %w", d.RegistryName, err)
		}
		did = "started"
	}
	return d.registryResult(ctx, did)
}

// adoptRegistryPort takes the port of an existing container, unless the user asked for another one.
func (d *driver) adoptRegistryPort(c *container) error {
	published := c.hostPort("5000/tcp")
	switch {
	case published == 0:
		return fmt.Errorf("container %s publishes no port for 5000/tcp, so nothing can be pushed to it: "+
			"remove it, or set REGISTRY_NAME to another name", d.RegistryName)
	case d.RegistryPort != 0 && d.RegistryPort != published:
		return fmt.Errorf("registry %s exists on port %d, not %d: leave REGISTRY_PORT unset to use it, "+
			"or set REGISTRY_NAME as well for a second one", d.RegistryName, published, d.RegistryPort)
	}
	d.RegistryPort = published
	return nil
}

// createRegistry starts a registry of our own, as https://kind.sigs.k8s.io/docs/user/local-registry/ describes.
func (d *driver) createRegistry(ctx context.Context) (string, error) {
	if d.RegistryPort == 0 {
		d.RegistryPort = defaultRegistryPort
	}
	if portTaken(d.RegistryPort) {
		what := "something that is no registry"
		if registryAnswers(ctx, d.RegistryPort) == nil {
			what = "a registry that is not the container " + d.RegistryName + " (nodes reach it by that name)"
		}
		return "", fmt.Errorf("port %d on 127.0.0.1 is taken by %s: set REGISTRY_PORT to a free port, "+
			"or REGISTRY_NAME to that registry's container", d.RegistryPort, what)
	}
	return d.runRegistry(ctx)
}

// runRegistry starts the container. The label is what lets `down` remove it.
func (d *driver) runRegistry(ctx context.Context) (string, error) {
	image, err := d.haveImage(ctx, "REGISTRY_IMAGE", d.RegistryImage)
	if err != nil {
		return "", err
	}
	_, err = d.docker(ctx, "run", "--detach", "--restart=always", "--label", createdBy, "--network=bridge",
		"--publish", fmt.Sprintf("127.0.0.1:%d:5000", d.RegistryPort), "--name", d.RegistryName, image)
	if err != nil {
		return "", fmt.Errorf("creating registry %s: %w", d.RegistryName, err)
	}
	return d.registryResult(ctx, "created from "+image)
}

// registryResult waits until the registry answers on its port.
func (d *driver) registryResult(ctx context.Context, did string) (string, error) {
	deadline := time.Now().Add(registryStart)
	for {
		err := registryAnswers(ctx, d.RegistryPort)
		if err == nil {
			return fmt.Sprintf("%s %s, answers on 127.0.0.1:%d", did, d.RegistryName, d.RegistryPort), nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return "", fmt.Errorf("registry %s runs but does not answer: %w; see `docker logs %[1]s`", d.RegistryName, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// registryAnswers checks that the port speaks the registry protocol: 200, or 401 where a login is needed.
func registryAnswers(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://127.0.0.1:%d/v2/", port)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return nil
}

// portTaken tells whether something listens on the port already. Not being allowed to listen is no sign of it.
func portTaken(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	_ = l.Close()
	return false
}

// removeRegistry removes the registry with its content if `up` made it.
func (d *driver) removeRegistry(ctx context.Context) (string, error) {
	c, err := d.inspect(ctx, d.RegistryName)
	switch {
	case err != nil:
		return "", err
	case c == nil:
		return "none", nil
	case !c.ours():
		return "left " + d.RegistryName + " alone: `up` did not make it", nil
	}
	if _, err := d.docker(ctx, "rm", "--force", "--volumes", d.RegistryName); err != nil {
		return "", fmt.Errorf("removing registry %s: %w", d.RegistryName, err)
	}
	return "removed " + d.RegistryName, nil
}
