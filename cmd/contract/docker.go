package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// docker runs a command of Docker and returns its standard output without the last line end. stdin is for what must not
// show in a list of processes. Tests put their own in its place.
type docker func(ctx context.Context, stdin string, args ...string) (string, error)

// commandLimit is for commands that Docker answers at once, on a busy machine.
const commandLimit = 2 * time.Minute

// dockerCLI runs the docker command on PATH, which follows DOCKER_HOST and the current context. It does so in a process
// group of its own, so that Ctrl-C in a terminal reaches only this program. All commands but pull are waited for,
// whatever ctx says: an abandoned one could create something after everything was removed.
func dockerCLI(ctx context.Context, stdin string, args ...string) (string, error) {
	if args[0] != "pull" {
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

// usable returns an error that says what to do unless there is a Docker whose published ports are on this machine.
func usable(ctx context.Context, d docker) error {
	_, err := d(ctx, "", "version", "--format", "{{.Server.Version}}")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("needs Docker, and there is no `docker` on PATH: install Docker Engine or Docker Desktop")
	} else if err != nil {
		return fmt.Errorf("needs a running Docker daemon that this user may use (group docker): %w", err)
	}
	host, err := d(ctx, "", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err == nil && !strings.HasPrefix(host, "unix://") && !strings.HasPrefix(host, "npipe://") {
		err = fmt.Errorf("needs a Docker on this machine, since it asks the app on published ports of 127.0.0.1; "+
			"DOCKER_HOST or the current context is %s", host)
	}
	return err
}

// archive is a file as `docker cp` takes it, readable for everyone, since the user in the container owns nothing.
func archive(name, content string) string {
	var b strings.Builder
	w := tar.NewWriter(&b) // whose errors are those of the builder, which has none
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(content)), ModTime: time.Now()})
	_, _ = io.WriteString(w, content)
	_ = w.Close()
	return b.String()
}
