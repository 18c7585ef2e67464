package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
}

// runner runs programs. Tests put their own in its place.
type runner interface {
	// Run returns the program's standard output. Its error is a *commandError if the program ran and failed.
	Run(ctx context.Context, c command) (string, error)
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

// execRunner runs real programs, one at a time.
type execRunner struct {
	group atomic.Int64 // process group of the running child, 0 if there is none
}

// Run starts the program in a process group of its own, and interrupts that group when the context ends. Otherwise
// Ctrl-C in a terminal would reach it directly as well, and Pulumi takes a second interrupt as an order to drop everything.
func (r *execRunner) Run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = cancelGrace
	if c.stdin != "" {
		cmd.Stdin = strings.NewReader(c.stdin)
	}
	if c.holdStdin {
		if _, err := cmd.StdinPipe(); err != nil {
			return "", err
		}
	}
	var stdout bytes.Buffer
	var all streams
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, &all), &all
	if c.live != nil {
		both := io.MultiWriter(c.live, &all)
		cmd.Stdout, cmd.Stderr = both, both
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", c.name, err)
	}
	r.group.Store(int64(cmd.Process.Pid))
	err := cmd.Wait()
	r.group.Store(0)
	if err != nil {
		shown := strings.Join(append([]string{c.name}, c.args...), " ")
		return stdout.String(), &commandError{command: shown, cause: err, output: all.text.String()}
	}
	return stdout.String(), nil
}

// streams holds what a program prints on both of its streams, which are copied at the same time.
type streams struct {
	mutex sync.Mutex
	text  strings.Builder
}

// Write implements io.Writer.
func (s *streams) Write(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.text.Write(p)
}

// terminate asks the running child, if there is one, to end at once.
func (r *execRunner) terminate() {
	if group := r.group.Load(); group != 0 {
		_ = syscall.Kill(-int(group), syscall.SIGTERM)
	}
}

// docker runs a docker command and returns what it printed, without the spaces around it.
func (d *driver) docker(ctx context.Context, args ...string) (string, error) {
	out, err := d.host.Run(ctx, command{name: "docker", args: args})
	return strings.TrimSpace(out), err
}

// kind runs the version of kind that tools/go.mod pins; Go compiles it on first use and keeps it in its cache. It writes a
// kubeconfig of this folder: whoever works on another cluster must not find kubectl turned to this one.
func (d *driver) kind(ctx context.Context, live io.Writer, stdin string, args ...string) error {
	args = append([]string{"-C", filepath.Join(d.root, "tools"), "tool", "kind"}, args...)
	_, err := d.host.Run(ctx, command{name: "go", args: args, stdin: stdin, live: live, env: []string{d.kubeconfig()}})
	return err
}

// kubeconfig is the variable that names the kubeconfig of the clusters of this folder.
func (d *driver) kubeconfig() string { return "KUBECONFIG=" + d.local("kubeconfig") }

// step is one thing to do. What run returns says what it found or did.
type step struct {
	title string
	run   func() (string, error)
}

// doAll runs steps until one fails.
func (d *driver) doAll(all ...step) error {
	for _, one := range all {
		if err := d.do(one.title, one.run); err != nil {
			return err
		}
	}
	return nil
}

// do announces a step, runs it and prints what came of it and how long it took, as plain lines that read well in a
// terminal and in a CI log.
func (d *driver) do(title string, f func() (string, error)) error {
	d.printf("==> %s\n", title)
	began := time.Now()
	result, err := f()
	took := duration(time.Since(began))
	if err != nil {
		d.note("failed after %s", took)
		return err
	}
	d.note("%s (%s)", strings.ReplaceAll(result, "\n", "\n    "), took)
	return nil
}

// note prints a line that belongs to the step under way.
func (d *driver) note(format string, args ...any) { d.printf("    "+format+"\n", args...) }

// total prints the time since the start.
func (d *driver) total(what string) { d.printf("==> %s in %s\n", what, duration(time.Since(d.began))) }

func (d *driver) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

// duration prints short times to a tenth and others to a second: nobody compares more digits.
func duration(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// indented writes the output of a command that takes long, with a mark before every line.
type indented struct {
	out        io.Writer
	unfinished bool // the last line
}

// Write implements io.Writer.
func (w *indented) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if !w.unfinished {
			_, _ = io.WriteString(w.out, "    | ")
		}
		_, _ = w.out.Write(line)
		w.unfinished = !bytes.HasSuffix(line, []byte("\n"))
	}
	return len(p), nil
}
