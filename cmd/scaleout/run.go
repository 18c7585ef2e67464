package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// cancelGrace is how long an interrupted child may take to end by itself. Pulumi finishes the operations that are
// under way first, and a Kubernetes one may wait for a pod for minutes.
const cancelGrace = 5 * time.Minute

// command is one program to run.
type command struct {
	name string
	args []string
	// dir is the working directory; empty is that of this process.
	dir string
	// env is added to the environment of this process.
	env []string
	// stdin is what the program reads: the place for secrets, since arguments show in process lists and errors.
	stdin string
	// holdStdin keeps standard input open, and empty, for as long as this process runs the program.
	holdStdin bool
	// live takes the output as it comes; nil keeps it, to be returned or to explain an error.
	live io.Writer
	// beforeInterrupt, if set, is called when the program is about to be interrupted, while it stands still.
	beforeInterrupt func()
}

// runner runs programs. Tests put their own in its place.
type runner interface {
	// Run returns the program's standard output. Its error is a *commandError if the program ran and failed.
	Run(ctx context.Context, c command) (string, error)
	// LookPath finds a program on PATH.
	LookPath(name string) (string, error)
}

// commandError is a program that ended badly.
type commandError struct {
	command string
	cause   error
	// output is what it printed, for explanations.
	output string
}

// Error is one line: the command (a script's first line), how it ended and the last thing it said.
func (e *commandError) Error() string {
	first, _, _ := strings.Cut(e.command, "\n")
	msg := fmt.Sprintf("`%s`: %v", first, e.cause)
	if last := lastLine(e.output); last != "" {
		msg += ": " + last
	}
	return msg
}

// Unwrap gives errors.Is and errors.As what ended the command.
func (e *commandError) Unwrap() error { return e.cause }

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// execRunner runs real programs, one at a time, but for those that run while another is about to be interrupted.
type execRunner struct {
	group atomic.Int64 // process group of the running child, 0 if there is none
}

// Run starts the program in a process group of its own. Otherwise Ctrl-C in a terminal would reach it directly as
// well as through us, and Pulumi takes a second interrupt as an order to drop everything.
func (r *execRunner) Run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return interrupt(cmd.Process.Pid, c.beforeInterrupt) }
	cmd.WaitDelay = cancelGrace
	if c.stdin != "" {
		cmd.Stdin = strings.NewReader(c.stdin)
	}
	if c.holdStdin {
		read, write, err := os.Pipe()
		if err != nil {
			return "", fmt.Errorf("starting %s: %w", c.name, err)
		}
		defer func() { _, _ = read.Close(), write.Close() }()
		cmd.Stdin = read
	}
	var stdout, all bytes.Buffer
	if c.live != nil {
		both := io.MultiWriter(c.live, &all)
		cmd.Stdout, cmd.Stderr = both, both
	} else {
		cmd.Stdout, cmd.Stderr = &stdout, &all
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", c.name, err)
	}
	outer := r.group.Swap(int64(cmd.Process.Pid))
	err := cmd.Wait()
	r.group.Store(outer)
	if err != nil {
		shown := strings.Join(append([]string{c.name}, c.args...), " ")
		return stdout.String(), &commandError{command: shown, cause: err, output: all.String()}
	}
	return stdout.String(), nil
}

// interrupt sends SIGINT to a process group. If there is something to do before, the group is stopped meanwhile, and gets
// the signal as the first thing when it goes on.
func interrupt(group int, before func()) error {
	if before == nil {
		return syscall.Kill(-group, syscall.SIGINT)
	}
	if err := syscall.Kill(-group, syscall.SIGSTOP); err != nil {
		return err
	}
	before()
	return errors.Join(syscall.Kill(-group, syscall.SIGINT), syscall.Kill(-group, syscall.SIGCONT))
}

// LookPath finds a program on PATH.
func (r *execRunner) LookPath(name string) (string, error) { return exec.LookPath(name) }

// terminate asks the running child, if there is one, to end at once.
func (r *execRunner) terminate() {
	if group := r.group.Load(); group != 0 {
		_ = syscall.Kill(-int(group), syscall.SIGTERM)
	}
}
