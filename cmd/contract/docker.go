package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"
)

// docker runs the docker command. Tests put their own in its place.
type docker interface {
	// run returns standard output without the last line end. stdin is for what must not show in a list of processes.
	run(ctx context.Context, stdin string, args ...string) (string, error)
}

// dockerCLI is the docker command on PATH. It follows DOCKER_HOST and the current context.
type dockerCLI struct{}

// commandLimit is for commands that Docker answers at once, on a busy machine.
const commandLimit = 2 * time.Minute

// run starts the command in a process group of its own, so that Ctrl-C in a terminal reaches only this program. A
// command that creates something is waited for, whatever ctx says: an abandoned one would create it after everything
// was removed.
func (dockerCLI) run(ctx context.Context, stdin string, args ...string) (string, error) {
	if !takesLong(args[0]) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), commandLimit)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if args[0] == "logs" { // those of the app are on both
		cmd.Stderr = &stdout
	}
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("`docker %s`: %w: %s", strings.Join(args, " "), err, said[strings.LastIndex(said, "\n")+1:])
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// takesLong tells whether a command of Docker waits for something else than Docker, and creates nothing that this
// program has to remove.
func takesLong(command string) bool { return command == "pull" || command == "wait" }

// usable returns an error that says what to do unless there is a Docker whose published ports are on this machine.
func usable(ctx context.Context, d docker) error {
	host, err := d.run(ctx, "", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("needs Docker, and there is no `docker` on PATH: install Docker Engine or Docker Desktop")
	case err != nil:
		return fmt.Errorf("asking which Docker to use: %w", err)
	case !strings.HasPrefix(host, "unix://") && !strings.HasPrefix(host, "npipe://"):
		return fmt.Errorf("needs a Docker on this machine, since it asks the app on published ports of 127.0.0.1; "+
			"DOCKER_HOST or the current context is %s", host)
	}
	if _, err := d.run(ctx, "", "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("needs a running Docker daemon that this user may use (group docker): %w", err)
	}
	return nil
}

// haveImage pulls an image unless it is there.
func haveImage(ctx context.Context, d docker, r *report, image string) error {
	if _, err := d.run(ctx, "", "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	r.note("pulling %s", image)
	if _, err := d.run(ctx, "", "pull", "--quiet", image); err != nil {
		return fmt.Errorf("needs the image %s, which is not on this machine: %w", image, err)
	}
	return nil
}

// archive is files as `docker cp` takes them. They are readable for everyone, since the user in the container owns
// nothing.
func archive(files map[string]string) (string, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		header := &tar.Header{Name: path.Base(name), Mode: 0o444, Size: int64(len(content)), ModTime: time.Now()}
		if err := w.WriteHeader(header); err != nil {
			return "", fmt.Errorf("packing %s: %w", name, err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			return "", fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("packing files: %w", err)
	}
	return b.String(), nil
}
