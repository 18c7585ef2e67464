package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// createdBy is the label on what `up` made with Docker itself; `down` removes nothing that lacks it.
const createdBy = "scaleout.created-by=make-up"

// dockerAnswers checks that there is a Docker daemon and that this user may talk to it.
func (d *driver) dockerAnswers(ctx context.Context) (string, error) {
	version, err := d.docker(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return "", explainDocker(err)
	}
	return "version " + version + " answers", nil
}

// explainDocker says what to do about a Docker that does not answer.
func explainDocker(err error) error {
	var failed *commandError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("needs Docker, and there is no `docker` on PATH: install Docker Engine or Docker Desktop")
	case !errors.As(err, &failed):
		return fmt.Errorf("asking Docker for its version: %w", err)
	case strings.Contains(failed.output, "permission denied"):
		return fmt.Errorf("the Docker daemon refuses this user (permission denied): join the group `docker` and log in "+
			"again, or use rootless Docker: %w", err)
	}
	return fmt.Errorf("needs a running Docker daemon: start Docker Desktop, or `sudo systemctl start docker`; "+
		"if it runs elsewhere, set DOCKER_HOST: %w", err)
}

// container is the part of `docker container inspect` that decisions here depend on.
type container struct {
	ID     string `json:"Id"`
	State  struct{ Running bool }
	Config struct {
		Image  string
		Labels map[string]string
	}
	HostConfig struct {
		PortBindings map[string][]struct{ HostPort string }
	}
	NetworkSettings struct{ Networks map[string]any }
}

// hostPort returns the host's port for a port of the container such as "80/tcp", or 0.
func (c *container) hostPort(inside string) int {
	for _, b := range c.HostConfig.PortBindings[inside] {
		var p int
		if asPort(&p)(b.HostPort) == nil {
			return p
		}
	}
	return 0
}

// ours tells whether `up` made the container.
func (c *container) ours() bool {
	key, value, _ := strings.Cut(createdBy, "=")
	return c.Config.Labels[key] == value
}

// inspect returns a container, or nil if there is none of that name.
func (d *driver) inspect(ctx context.Context, name string) (*container, error) {
	out, err := d.docker(ctx, "container", "inspect", name)
	var failed *commandError
	if errors.As(err, &failed) && strings.Contains(strings.ToLower(failed.output), "no such container") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspecting container %s: %w", name, err)
	}
	var found [1]container // of one name there is one
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		return nil, fmt.Errorf("reading `docker container inspect %s`: %w", name, err)
	}
	return &found[0], nil
}

// mustInspect is inspect for a container that has to be there.
func (d *driver) mustInspect(ctx context.Context, name string) (*container, error) {
	c, err := d.inspect(ctx, name)
	if err == nil && c == nil {
		return nil, fmt.Errorf("container %s has gone", name)
	}
	return c, err
}

// haveImage makes sure that one of the images is on this machine and returns it. One that is there already is used as
// it is, so that a machine without a way out works; otherwise the first that can be pulled is. The variable is the one
// that lets the user name another image.
func (d *driver) haveImage(ctx context.Context, variable string, images ...string) (string, error) {
	for _, image := range images {
		if _, err := d.docker(ctx, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
			return image, nil
		}
	}
	var tried []string
	for _, image := range images {
		d.steps.note("pulling %s", image)
		_, err := d.docker(ctx, "pull", "--quiet", image)
		if err == nil {
			return image, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		tried = append(tried, err.Error())
	}
	return "", fmt.Errorf("needs the image %s: not on this machine, and pulling failed (%s); set %s to an image "+
		"that is here or can be pulled", strings.Join(images, " or "), strings.Join(tried, "; "), variable)
}
