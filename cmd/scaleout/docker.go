package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// docker runs a docker command and returns its trimmed output.
func (d *driver) docker(ctx context.Context, args ...string) (string, error) {
	out, err := d.host.Run(ctx, command{name: "docker", args: args})
	return strings.TrimSpace(out), err
}

// dockerAnswers checks that there is a Docker daemon that this user may use, and that it is the one the stack runs on:
// what the stack has on another one would be taken for deleted.
func (d *driver) dockerAnswers(ctx context.Context, s *stack) (string, error) {
	answer, err := d.docker(ctx, "info", "--format", "{{.ServerVersion}} {{.ID}} {{.OSType}}/{{.Architecture}}")
	parts := strings.Fields(answer)
	if err == nil && len(parts) != 3 { // the client succeeds without a daemon
		err = errors.New("the daemon does not answer")
	}
	if err != nil {
		return "", fmt.Errorf("needs a running Docker daemon that this user may use; `make doctor` says more: %w", err)
	}
	if before := d.mark(markDaemon, d.Stack); before != "" && before != parts[1] {
		return "", fmt.Errorf("stack %s runs on another Docker daemon (DOCKER_HOST, `docker context ls`); "+
			"if that daemon is gone for good, delete %s/%s%[1]s", d.Stack, localDir, markDaemon)
	}
	d.platform = strings.NewReplacer("x86_64", "amd64", "aarch64", "arm64").Replace(parts[2])
	return "version " + parts[0] + " answers", errors.Join(d.findDaemon(ctx, s), d.setMark(markDaemon, d.Stack, parts[1]))
}

// findDaemon gives Pulumi the daemon of the current Docker context, which is that of DOCKER_HOST if it is set.
// pulumi-docker 4 does not read contexts.
func (d *driver) findDaemon(ctx context.Context, s *stack) error {
	address, err := d.docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if address != "unix:///var/run/docker.sock" {
		s.env["DOCKER_HOST"] = address
	}
	return err
}

// container is the part of `docker container inspect` that decisions here depend on.
type container struct {
	ID         string `json:"Id"`
	State      struct{ Running bool }
	Config     struct{ Labels map[string]string }
	HostConfig struct {
		PortBindings map[string][]struct{ HostPort string }
	}
}

// hostPort returns the host's port for a TCP port of the container, or 0.
func (c container) hostPort(inside int) (port int) {
	for _, b := range c.HostConfig.PortBindings[fmt.Sprintf("%d/tcp", inside)] {
		port, _ = strconv.Atoi(b.HostPort)
	}
	return port
}

// inspect returns a container; its ID is empty if there is none of that name.
func (d *driver) inspect(ctx context.Context, name string) (container, error) {
	out, err := d.docker(ctx, "container", "inspect", name)
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container") {
		return container{}, nil
	}
	var found [1]container
	if err == nil {
		err = json.Unmarshal([]byte(out), &found)
	}
	return found[0], err
}

// stackLabel is the filter for the containers and networks of a stack on Docker.
func stackLabel(s *stack) string { return "label=scaleout.network=" + s.setting("namespace") }

// containers lists the names of the containers that match all these filters of `docker ps`.
func (d *driver) containers(ctx context.Context, filters ...string) ([]string, error) {
	args := []string{"ps", "--all", "--format", "{{.Names}}"}
	for _, filter := range filters {
		args = append(args, "--filter", filter)
	}
	out, err := d.docker(ctx, args...)
	return strings.Fields(out), err
}

// startContainers starts the stopped containers of the stack. Pulumi would replace them, and Redis' data would be
// deleted with its container.
func (d *driver) startContainers(ctx context.Context, s *stack) error {
	names, err := d.containers(ctx, stackLabel(s), "status=exited", "status=created")
	for _, name := range names {
		if _, err := d.docker(ctx, "start", name); err != nil {
			return fmt.Errorf("%s does not start: %w; Pulumi would replace it. To let it, with the count if that is "+
				"in an anonymous volume of Redis: docker rm --volumes %[1]s", name, err)
		}
		d.note("started %s", name)
	}
	return err
}

// removeUnknown removes containers and networks that carry the label of this stack and are not among these resources:
// what an interrupted run created and did not record.
func (d *driver) removeUnknown(ctx context.Context, s *stack, known []apitype.ResourceV3) error {
	for _, commands := range []struct{ list, remove string }{
		{"container ls --all", "container rm --force --volumes"}, {"network ls", "network rm"},
	} {
		list := append(strings.Fields(commands.list), "--quiet", "--no-trunc", "--filter", stackLabel(s))
		ids, err := d.docker(ctx, list...)
		if err != nil {
			return err
		}
		for _, id := range strings.Fields(ids) {
			if slices.ContainsFunc(known, func(r apitype.ResourceV3) bool { return r.ID.String() == id }) {
				continue
			}
			if _, err := d.docker(ctx, append(strings.Fields(commands.remove), id)...); err != nil {
				return err
			}
			d.note("%s %.12s, which is not in the state", commands.remove, id)
		}
	}
	return nil
}

// madeIn is the label with the folder from which `up` created a registry; `down` removes no other.
const madeIn = "scaleout.made-in"

// registryImage is the default of REGISTRY_IMAGE.
const registryImage = "docker.io/library/registry:3.0.0"

// registry ensures that the registry's container runs and answers, and determines its port.
func (d *driver) registry(ctx context.Context) (string, error) {
	c, err := d.inspect(ctx, d.RegistryName)
	did, port := "exists", c.hostPort(5000)
	switch {
	case err != nil:
	case c.ID == "":
		did, err = d.createRegistry(ctx)
	case port == 0:
		err = fmt.Errorf("container %s publishes no port for 5000/tcp, so nothing can be pushed to it: "+
			"remove it, or set REGISTRY_NAME to another name", d.RegistryName)
	case d.RegistryPort != 0 && d.RegistryPort != port:
		err = fmt.Errorf("registry %s exists on port %d, not %d: leave REGISTRY_PORT unset to use it, "+
			"or set REGISTRY_NAME as well for a second one", d.RegistryName, port, d.RegistryPort)
	default:
		if d.RegistryPort = port; !c.State.Running {
			did = "started"
			_, err = d.docker(ctx, "start", d.RegistryName)
		}
	}
	if err != nil {
		return "", err
	}
	if _, err = waitForAnswer(ctx, fmt.Sprintf("http://127.0.0.1:%d/v2/", d.RegistryPort)); err != nil {
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
