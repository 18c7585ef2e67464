// Command scaleout drives the stacks of this project: `up` takes a machine that has Docker and Go to a running app,
// `down` removes all of it, and `status`, `logs` and `env` help in between. `promote` and `rollback` change which image
// a stack runs, wherever it is, and need only Pulumi and the registry. The Makefile calls it.
//
// It finds what it made by asking Docker, Kubernetes and Pulumi, and keeps what they cannot know in .local. So every step
// can be repeated, and the next run finishes one that was interrupted. It edits no committed file (but `promote` and
// `rollback`, whose result is one), not the user's kubeconfig, and not Pulumi's state.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// localDir holds what belongs to this checkout on this machine: tools, Pulumi's state, the passphrase, the settings of
// local stacks, the kubeconfig of kind clusters. Not in git.
const localDir = ".local"

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
		{"env", "print the shell variables with which plain commands see this stack", (*driver).env, false, false},
	}
}

// environ is os.LookupEnv.
type environ func(name string) (value string, set bool)

// driver is one run of a subcommand.
type driver struct {
	settings
	root      string // absolute path of the project
	host      runner
	out       io.Writer
	lookupEnv environ
	pulumi    string // the Pulumi CLI, once it is known: the one on PATH or a path in localDir
	began     time.Time
	// stdin is where a person answers, if it is a terminal.
	stdin    io.Reader
	terminal bool
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	host := &execRunner{}
	go passSignals(cancel, host)
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, host, os.Stdout, os.Stderr))
}

// passSignals turns the first Ctrl-C into an orderly end: the running child is interrupted once, which lets Pulumi
// finish its current operations and write its state. Each further one asks it to end at once.
func passSignals(cancel context.CancelFunc, host *execRunner) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // the last: the terminal is gone
	<-signals
	cancel()
	for range signals {
		host.terminate()
	}
}

// run is main without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, lookupEnv environ, host runner, out, errOut io.Writer) int {
	if len(args) == 1 && args[0] == "help" {
		printUsage(out)
		return 0
	}
	commands := subcommands()
	i := slices.IndexFunc(commands, func(c subcommand) bool { return len(args) == 1 && c.name == args[0] })
	if i < 0 {
		printUsage(errOut)
		return 2
	}
	err := start(ctx, commands[i], lookupEnv, host, out)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		_, _ = fmt.Fprintf(errOut, "scaleout %s: interrupted; the same command goes on from here\n", args[0])
		return 130 // 128+SIGINT, as shells do
	}
	_, _ = fmt.Fprintf(errOut, "scaleout %s: %v\n", args[0], err)
	return 1
}

func start(ctx context.Context, c subcommand, lookupEnv environ, host runner, out io.Writer) error {
	s, err := parseSettings(lookupEnv)
	if err != nil {
		return err
	}
	if strings.Contains(s.Stack, "/") && !c.release {
		return fmt.Errorf("STACK=%q: %s takes the plain name of a stack of this project", s.Stack, c.name)
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if !isFile(filepath.Join(root, "Pulumi.yaml")) {
		return errors.New("no Pulumi.yaml here: run this in the project's folder")
	}
	d := &driver{settings: s, root: root, host: host, out: out, lookupEnv: lookupEnv, began: time.Now(),
		stdin: os.Stdin, terminal: term.IsTerminal(int(os.Stdin.Fd()))}
	if err := os.MkdirAll(d.local("state"), 0o700); err != nil {
		return err
	}
	if c.alone {
		release, err := d.lock(c.name)
		if err != nil {
			return err
		}
		defer release()
	}
	return explainPulumi(s.Stack, c.run(d, ctx))
}

func (d *driver) getenv(name string) string {
	value, _ := d.lookupEnv(name)
	return value
}

func printUsage(w io.Writer) {
	_, _ = fmt.Fprint(w, "usage: scaleout COMMAND\n\ncommands:\n")
	for _, c := range subcommands() {
		_, _ = fmt.Fprintf(w, "  %-9s %s\n", c.name, c.summary)
	}
	_, _ = fmt.Fprint(w, "\nenvironment variables:\n")
	for _, v := range new(settings).variables() {
		_, _ = fmt.Fprintf(w, "  %-15s %s\n", v.name, v.usage)
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
