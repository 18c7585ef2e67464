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

// docker runs a docker command.
func (d *driver) docker(ctx context.Context, args ...string) (string, error) {
	return d.host.Run(ctx, command{name: "docker", args: args})
}

// dockerAnswers checks that there is a Docker daemon that this user may use, and that it is the one the stack runs on:
// Pulumi would treat the stack's resources on another daemon as deleted.
func (d *driver) dockerAnswers(ctx context.Context) (string, error) {
	answer, err := d.docker(ctx, "info", "--format", "{{.ServerVersion}} {{.ID}} {{.OSType}}/{{.Architecture}}")
	parts := strings.Fields(answer)
	if err != nil || len(parts) != 3 { // the client succeeds without a daemon
		err = cmp.Or(err, errors.New("the daemon does not answer"))
		return "", fmt.Errorf("needs a running Docker daemon that this user may use; `make doctor` says more: %w", err)
	}
	if before := d.mark(markDaemon, d.Stack); before != "" && before != parts[1] {
		return "", fmt.Errorf("stack %s runs on another Docker daemon (DOCKER_HOST, `docker context ls`); "+
			"if that daemon is gone for good, delete %s/%s%[1]s", d.Stack, localDir, markDaemon)
	}
	d.daemon, d.platform = parts[1], strings.NewReplacer("x86_64", "amd64", "aarch64", "arm64").Replace(parts[2])
	return "version " + parts[0] + " answers", d.findDaemon(ctx)
}

// findDaemon gives Pulumi the daemon of the current Docker context, which is that of DOCKER_HOST if it is set.
// pulumi-docker 4 does not read contexts.
func (d *driver) findDaemon(ctx context.Context) error {
	address, err := d.docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if address != "unix:///var/run/docker.sock" {
		d.env["DOCKER_HOST"] = address
	}
	return err
}

// container is the part of `docker container inspect` that decisions here depend on.
type container struct {
	ID         string `json:"Id"`
	Config     struct{ Labels map[string]string }
	HostConfig struct {
		PortBindings map[string][]struct{ HostPort string }
	}
}

// inspect returns a container; its ID is empty if there is none of that name.
func (d *driver) inspect(ctx context.Context, name string) (container, error) {
	var found [1]container
	out, err := d.docker(ctx, "container", "inspect", name)
	if err == nil {
		err = json.Unmarshal([]byte(out), &found)
	} else if strings.Contains(strings.ToLower(err.Error()), "no such container") {
		err = nil
	}
	return found[0], err
}

// stackLabel is the filter for the containers and networks of a stack on Docker.
func (s *stack) stackLabel() string { return "label=scaleout.network=" + s.setting("namespace") }

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
func (d *driver) startContainers(ctx context.Context) error {
	names, err := d.containers(ctx, d.stackLabel(), "status=exited", "status=created")
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
func (d *driver) removeUnknown(ctx context.Context, known []apitype.ResourceV3) error {
	for _, commands := range []struct{ list, remove string }{
		{"container ls --all", "container rm --force --volumes"}, {"network ls", "network rm"},
	} {
		list := append(strings.Fields(commands.list), "--quiet", "--no-trunc", "--filter", d.stackLabel())
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

// registryPort describes the port of the registry. The default is the one of kind's guide, since AirPlay on macOS uses
// port 5000.
func (d *driver) registryPort() hostPort {
	return hostPort{"registry", d.RegistryName, "REGISTRY_NAME", "REGISTRY_PORT", &d.RegistryPort, 5001, 5000}
}

// registry ensures that the registry's container runs and answers, and determines its port.
func (d *driver) registry(ctx context.Context) (string, error) {
	did := "exists"
	c, err := d.inspect(ctx, d.RegistryName)
	if err == nil && c.ID == "" {
		did, err = d.createRegistry(ctx)
	} else if err == nil {
		err = d.registryPort().adopt(c)
	}
	if err == nil {
		_, err = d.docker(ctx, "start", d.RegistryName) // without an effect on a running one
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
	if err := d.registryPort().choose(); err != nil {
		return "", err
	}
	_, err := d.docker(ctx, "run", "--detach", "--restart=always", "--label", madeIn+"="+d.root, "--network=bridge",
		"--publish", fmt.Sprintf("127.0.0.1:%d:5000", d.RegistryPort), "--name", d.RegistryName, d.RegistryImage)
	if err != nil {
		return "", fmt.Errorf("creating registry %s from the image %s (REGISTRY_IMAGE takes another): %w",
			d.RegistryName, d.RegistryImage, err)
	}
	return "created from " + d.RegistryImage, nil
}

// hostPort is the setting of a port on this machine, of the kind cluster or the registry.
type hostPort struct {
	what, name, nameVariable string // such as registry, kind-registry, REGISTRY_NAME
	variable                 string
	setting                  *int
	fallback                 int // for a new one
	inside                   int // the port of the container
}

// adopt takes the port of something that exists, which cannot be changed, unless the user requested another.
func (p hostPort) adopt(c container) error {
	has := 0
	for _, b := range c.HostConfig.PortBindings[fmt.Sprintf("%d/tcp", p.inside)] {
		has, _ = strconv.Atoi(b.HostPort)
	}
	switch {
	case has == 0:
		return fmt.Errorf("%s %s publishes no port for %d/tcp, so `up` did not create it: set %s to another name, "+
			"or remove it", p.what, p.name, p.inside, p.nameVariable)
	case *p.setting != 0 && *p.setting != has:
		return fmt.Errorf("%s %s was created with port %d, and %s=%d requests another: unset %[4]s, run `make down` "+
			"first, or set %[6]s as well for a second one", p.what, p.name, has, p.variable, *p.setting, p.nameVariable)
	}
	*p.setting = has
	return nil
}

// choose takes the default for something new, unless the user requested a port.
func (p hostPort) choose() error {
	if *p.setting = cmp.Or(*p.setting, p.fallback); !portTaken(*p.setting) {
		return nil
	}
	return fmt.Errorf("port %d on 127.0.0.1 is taken: set %s to a free one; or, if a %s listens on it, %s to its name",
		*p.setting, p.variable, p.what, p.nameVariable)
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
