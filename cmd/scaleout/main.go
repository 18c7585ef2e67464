package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Exit codes. 2 for usage and 128+SIGINT are what shells and Go's flag package use; `go run` turns all of them into 1.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake in what was typed rather than something that went wrong.
type usageError struct{ error }

// Unwrap gives errors.Is and errors.As the mistake itself.
func (e usageError) Unwrap() error { return e.error }

// subcommand is one verb of the command line.
type subcommand struct {
	name, summary string
	run           func(*driver, context.Context) error
	alone         bool // not beside another that changes something
	release       bool // changes which image a stack runs; takes a name such as organization/project/stack too
}

func subcommands() []subcommand {
	return []subcommand{
		{"up", "make what the stack runs on, and the stack; finish what an interrupted run began", (*driver).up, true, false},
		{"down", "destroy the stack, then remove what up made for it to run on", (*driver).down, true, false},
		{"promote", "deploy in STACK the image that runs in FROM, without a build", (*driver).promote, true, true},
		{"rollback", "deploy in STACK an image that ran there: the previous one, or TO", (*driver).rollback, true, true},
		{"status", "show what runs, the URL and the last update", (*driver).status, false, false},
		{"logs", "print the recent log lines of COMPONENT; FOLLOW=1 keeps printing", (*driver).logs, false, false},
		{"env", "print the shell variables with which plain pulumi commands see this stack", (*driver).env, false, false},
	}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	host := &execRunner{}
	go passSignals(cancel, host)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, host, os.Stdout, os.Stderr))
}

// passSignals turns the first Ctrl-C into an orderly end: the running child is interrupted once, which lets Pulumi
// finish its current operations and write its state. Each further one asks it to end at once.
func passSignals(cancel context.CancelFunc, host *execRunner) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	cancel()
	for range signals {
		host.terminate()
	}
}

// run is main without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, host runner, out, errOut io.Writer) int {
	if len(args) == 0 {
		printUsage(errOut)
		return exitUsage
	}
	err := dispatch(ctx, args, getenv, host, out)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		printUsage(out)
		return 0
	case ctx.Err() != nil:
		_, _ = fmt.Fprintf(errOut, "scaleout %s: interrupted; the same command goes on from here\n", args[0])
		return exitInterrupted
	}
	_, _ = fmt.Fprintf(errOut, "scaleout %s: %v\n", args[0], err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

func dispatch(ctx context.Context, args []string, getenv func(string) string, host runner, out io.Writer) error {
	for _, c := range subcommands() {
		if c.name != args[0] {
			continue
		}
		s, err := parseSettings(args[1:], getenv)
		if err != nil {
			return usageError{err}
		}
		if strings.Contains(s.Stack, "/") && !c.release {
			return usageError{fmt.Errorf("STACK=%q: %s takes the plain name of a stack of this project", s.Stack, c.name)}
		}
		root, err := findRoot()
		if err != nil {
			return err
		}
		d := &driver{settings: s, root: root, host: host, out: out, getenv: getenv,
			steps: newSteps(out, time.Now), download: download,
			stdin: os.Stdin, terminal: term.IsTerminal(int(os.Stdin.Fd()))}
		if c.alone {
			release, err := d.lock(c.name)
			if err != nil {
				return err
			}
			defer release()
		}
		return c.run(d, ctx)
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return flag.ErrHelp
	}
	var names []string
	for _, c := range subcommands() {
		names = append(names, c.name)
	}
	return usageError{fmt.Errorf("unknown command %q; there are %s", args[0], strings.Join(names, ", "))}
}

func printUsage(w io.Writer) {
	_, _ = fmt.Fprint(w, "usage: scaleout COMMAND [flags]\n\ncommands:\n")
	for _, c := range subcommands() {
		_, _ = fmt.Fprintf(w, "  %-9s %s\n", c.name, c.summary)
	}
	_, _ = fmt.Fprint(w, "\nflags, each also an environment variable:\n")
	for _, o := range new(settings).options() {
		_, _ = fmt.Fprintf(w, "  -%-15s %-15s %s\n", o.flag, o.variable, o.usage)
	}
}
