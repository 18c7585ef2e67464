package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// dockerAnswers checks that there is a Docker daemon and that this user may talk to it.
func (d *driver) dockerAnswers(ctx context.Context) (string, error) {
	version, err := d.docker(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return "", fmt.Errorf("needs a running Docker daemon that this user may talk to: install or start Docker Desktop or Docker "+
			"Engine (`sudo systemctl start docker`), join the group `docker`, or set DOCKER_HOST if it runs elsewhere: %w", err)
	}
	return "version " + version + " answers", d.sameDaemon(ctx)
}

// sameDaemon fails if the stack is on another Docker daemon than the one that answers: what it made there would be
// taken for gone.
func (d *driver) sameDaemon(ctx context.Context) error {
	id, err := d.docker(ctx, "info", "--format", "{{.ID}}")
	if before := d.mark(markDaemon, d.Stack); err == nil && before != "" && before != id {
		return fmt.Errorf("stack %s is on another Docker daemon (DOCKER_HOST, `docker context ls`); "+
			"if that one is gone for good, delete %s/%s%[1]s", d.Stack, localDir, markDaemon)
	}
	if err != nil {
		return err
	}
	return d.setMark(markDaemon, d.Stack, id)
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

// inspect returns a container, without an ID if there is none of that name.
func (d *driver) inspect(ctx context.Context, name string) (container, error) {
	out, err := d.docker(ctx, "container", "inspect", name)
	var failed *commandError
	if errors.As(err, &failed) && strings.Contains(strings.ToLower(failed.output), "no such container") {
		return container{}, nil
	}
	var found [1]container // of one name there is one
	if err == nil {
		err = json.Unmarshal([]byte(out), &found)
	}
	return found[0], err
}

// firstImage returns the first of the images that is on this machine, so that a machine without a way out works, or else
// the first, which whatever runs it pulls.
func (d *driver) firstImage(ctx context.Context, images []string) string {
	for _, image := range images {
		if _, err := d.docker(ctx, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
			return image
		}
	}
	return images[0]
}

// stackLabel is the filter for what a stack on Docker consists of, by the label that the program gives it.
func stackLabel(s *stack) string { return "label=scaleout.network=" + s.setting(keyNamespace) }

// containers lists the names of the containers that all these filters of `docker ps` let through.
func (d *driver) containers(ctx context.Context, filters ...string) ([]string, error) {
	args := []string{"ps", "--all", "--format", "{{.Names}}"}
	for _, filter := range filters {
		args = append(args, "--filter", filter)
	}
	out, err := d.docker(ctx, args...)
	return strings.Fields(out), err
}

// startContainers starts stopped containers of the stack. Pulumi would replace them, and the data of Redis would go with
// its container. So only others than Redis are left to Pulumi if they do not start.
func (d *driver) startContainers(ctx context.Context, s *stack) error {
	names, err := d.containers(ctx, stackLabel(s), "status=exited", "status=created")
	for _, name := range names {
		_, err := d.docker(ctx, "start", name)
		switch {
		case err == nil:
			d.note("started %s", name)
		case name == s.setting(keyNamespace)+"-redis":
			return fmt.Errorf("%s does not start: %w; Pulumi would replace it, and an anonymous volume with the count "+
				"would go with it. If that may be: docker rm --volumes %[1]s", name, err)
		default:
			d.note("could not start %s, Pulumi will replace it", name)
		}
	}
	return err
}

// nothingLeft fails if containers of the stack are left after its destroy: those that Pulumi's state does not know.
func (d *driver) nothingLeft(ctx context.Context, s *stack) (string, error) {
	if s.resources == 0 && d.mark(markUnderWay, d.Stack) == "" {
		return "it made none", nil
	}
	names, err := d.containers(ctx, stackLabel(s))
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%s are left, which Pulumi's state does not know: docker rm --force --volumes %[1]s",
			strings.Join(names, " "))
	}
	return "none left", err
}
