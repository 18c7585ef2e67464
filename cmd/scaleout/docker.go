package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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

// findDaemon gives Pulumi the daemon of the current Docker context. pulumi-docker 4 does not read contexts.
func (d *driver) findDaemon(ctx context.Context, s *stack) error {
	if host, _ := d.lookupEnv("DOCKER_HOST"); host != "" {
		return nil
	}
	address, err := d.docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err == nil && address != "unix:///var/run/docker.sock" {
		s.backend.env["DOCKER_HOST"] = address
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
func (c container) hostPort(inside int) int {
	for _, b := range c.HostConfig.PortBindings[fmt.Sprintf("%d/tcp", inside)] {
		if p, err := strconv.Atoi(b.HostPort); err == nil {
			return p
		}
	}
	return 0
}

// inspect returns a container; its ID is empty if there is none of that name.
func (d *driver) inspect(ctx context.Context, name string) (container, error) {
	out, err := d.docker(ctx, "container", "inspect", name)
	var failed *commandError
	if errors.As(err, &failed) && strings.Contains(strings.ToLower(failed.output), "no such container") {
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
	for _, kind := range []string{"container", "network"} {
		list, remove := []string{kind, "ls", "--quiet", "--no-trunc", "--filter", stackLabel(s)}, []string{kind, "rm"}
		if kind == "container" {
			list, remove = append(list, "--all"), append(remove, "--force", "--volumes")
		}
		ids, err := d.docker(ctx, list...)
		if err != nil {
			return err
		}
		for _, id := range strings.Fields(ids) {
			if slices.ContainsFunc(known, func(r apitype.ResourceV3) bool { return r.ID.String() == id }) {
				continue
			}
			if _, err := d.docker(ctx, append(remove, id)...); err != nil {
				return err
			}
			d.note("removed %s %.12s, which is not in the state", kind, id)
		}
	}
	return nil
}
