package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// errRefused means that nginx rejects a configuration, so that a retry would not help.
var errRefused = errors.New("nginx refuses the new configuration")

// nginx is the server process and its configuration file.
type nginx struct {
	binary         string
	dir            string // for the configuration and everything that nginx writes
	stdout, stderr io.Writer

	process *exec.Cmd
	ended   chan error // receives the exit error of the process
}

// apply tests a configuration and makes nginx use it: it starts nginx with the first one and reloads it for later
// ones, where the old workers finish their requests. A rejected configuration changes nothing.
func (n *nginx) apply(ctx context.Context, conf string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("creating the folder of nginx: %w", err)
	}
	candidate := filepath.Join(n.dir, "candidate.conf")
	if err := os.WriteFile(candidate, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	out, err := n.command(ctx, "-t", "-q", "-c", candidate).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return fmt.Errorf("%w: %s", errRefused, strings.TrimSpace(string(out)))
	case err != nil:
		return fmt.Errorf("testing the new configuration of nginx: %w", err)
	}
	if err := os.Rename(candidate, filepath.Join(n.dir, "nginx.conf")); err != nil {
		return fmt.Errorf("replacing the configuration of nginx: %w", err)
	}
	if n.process != nil {
		if err := n.process.Process.Signal(syscall.SIGHUP); err != nil {
			return fmt.Errorf("reloading nginx: %w", err)
		}
		return nil
	}
	// The master process is not bound to a context: stop shuts it down gracefully.
	process := n.command(context.Background(), "-c", filepath.Join(n.dir, "nginx.conf"), "-g", "daemon off;")
	process.Stdout, process.Stderr = n.stdout, n.stderr
	if err := process.Start(); err != nil {
		return fmt.Errorf("starting nginx: %w", err)
	}
	n.process, n.ended = process, make(chan error, 1)
	go func() { n.ended <- process.Wait() }()
	return nil
}

// command returns an nginx command with its own folder, and without the compiled-in log file that it opens first.
func (n *nginx) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, n.binary, append([]string{"-p", n.dir + "/", "-e", "stderr"}, args...)...)
}

// stop shuts nginx down gracefully: it finishes its requests, up to worker_shutdown_timeout.
func (n *nginx) stop() error {
	if n.process == nil {
		return nil
	}
	err := n.process.Process.Signal(syscall.SIGQUIT)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		err = <-n.ended
	}
	if err != nil {
		return fmt.Errorf("stopping nginx: %w", err)
	}
	return nil
}
