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

// docker runs a docker command and returns its output without the last newline. stdin is for input that must not
// appear in the process list.
type docker func(ctx context.Context, stdin string, args ...string) (string, error)

// commandLimit bounds commands that normally return at once, on a busy machine.
const commandLimit = 2 * time.Minute

// dockerCLI runs the docker command on PATH, which respects DOCKER_HOST and the current context. It uses a separate
// process group, so that Ctrl-C in a terminal reaches only this program. All commands but pull ignore the
// cancellation of ctx, because an abandoned one could create something after the cleanup.
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
	if args[0] == "logs" { // an app may log to both
		cmd.Stderr = &stdout
	}
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("`docker %s`: %w: %s", strings.Join(args, " "), err, said[strings.LastIndex(said, "\n")+1:])
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// usable returns an error with a remedy unless Docker runs and publishes ports on this machine.
func usable(ctx context.Context, d docker) error {
	_, err := d(ctx, "", "version", "--format", "{{.Server.Version}}")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("needs Docker, and there is no `docker` on PATH: install Docker Engine or Docker Desktop")
	} else if err != nil {
		return fmt.Errorf("needs a running Docker daemon that this user may use (group docker): %w", err)
	}
	host, err := d(ctx, "", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err == nil && !strings.HasPrefix(host, "unix://") && !strings.HasPrefix(host, "npipe://") {
		err = fmt.Errorf("needs Docker on this machine, because it calls the app on published ports of 127.0.0.1; "+
			"DOCKER_HOST or the current context is %s", host)
	}
	return err
}

// archive returns a tar archive with one file for `docker cp`, readable by all: the container's user does not own it.
func archive(name, content string) string {
	var b strings.Builder
	w := tar.NewWriter(&b) // its errors are those of the builder, which returns none
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(content)), ModTime: time.Now()})
	_, _ = io.WriteString(w, content)
	_ = w.Close()
	return b.String()
}
