package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// command is one program to run.
type command struct {
	name string
	args []string
	env  []string // added to the environment of this process
	// stdin is the place for secrets, since arguments show in process lists and errors.
	stdin io.Reader
	// live receives the output while the program runs, in place of the return value.
	live io.Writer
}

// runner runs programs; tests substitute a fake.
type runner interface {
	// Run returns the program's standard output, without blanks around it. The error has the command's first line and the
	// end of standard error.
	Run(ctx context.Context, c command) (string, error)
}

// execRunner runs real programs.
type execRunner struct{}

// Run implements runner. A program ends gracefully: it runs in its own process group, which is interrupted once when
// the context ends, and terminated at a second Ctrl-C. In the group of this process, Ctrl-C in a terminal would reach
// the program directly as well, and Pulumi abandons its operations at a second interrupt.
func (execRunner) Run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Env, cmd.Stdin = append(os.Environ(), c.env...), c.stdin
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Interrupted, Pulumi completes the operations in progress first, and a Kubernetes one can wait minutes for a pod.
	cmd.WaitDelay = 5 * time.Minute
	cmd.Cancel = func() error {
		go func() {
			again := make(chan os.Signal, 1)
			signal.Notify(again, os.Interrupt, syscall.SIGTERM)
			<-again
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		}()
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.live != nil {
		cmd.Stdout, cmd.Stderr = c.live, io.MultiWriter(c.live, &stderr)
	}
	err := cmd.Run()
	if err != nil {
		if said := lastLines(stderr.String(), 10); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		line, _, _ := strings.Cut(strings.Join(cmd.Args, " "), "\n")
		err = fmt.Errorf("`%s`: %w", line, err)
	}
	return strings.TrimSpace(stdout.String()), err
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// step is one thing to do. run returns a summary of what it found or did.
type step struct {
	title string
	run   func(context.Context) (string, error)
}

// do runs steps until one fails. It announces each, and prints its summary and duration as plain lines, which suit a
// terminal and a CI log.
func (d *driver) do(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		d.printf("==> %s\n", s.title)
		began := time.Now()
		result, err := s.run(ctx)
		took := time.Since(began).Round(100 * time.Millisecond)
		if err != nil {
			d.note("failed after %s", took)
			return err
		}
		d.note("%s (%s)", result, took)
	}
	return nil
}

// note prints lines that belong to the current step.
func (d *driver) note(format string, args ...any) {
	d.printf("    %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n    "))
}

// total prints the time since the start.
func (d *driver) total(what string) {
	d.printf("==> %s in %s\n", what, time.Since(d.began).Round(time.Second))
}

func (d *driver) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }
