// Command scaleout drives the stacks of this project. `up` takes a machine with Docker and Go to a running app, `down`
// removes all of it, and `status`, `logs` and `env` inspect it. `promote` and `rollback` change the image that a stack
// runs, wherever it is; they need only Pulumi and the registry. The Makefile calls this program.
//
// It finds what it created by querying Docker, Kubernetes and Pulumi, and stores in .local only what these do not know.
// Every step can therefore be repeated, and the next run completes an interrupted one. It edits no committed file
// (except `promote` and `rollback`, whose result is one), no kubeconfig of the user, and no Pulumi state.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"golang.org/x/term"
)

// subcommand is one verb of the command line.
type subcommand struct {
	name, summary string
	run           func(*driver, context.Context) error
	exclusive     bool // changes something, so it must not run beside another such command
	qualified     bool // also accepts a stack of the form organization/project/stack
}

var subcommands = []subcommand{
	{"up", "create the stack and what it runs on; complete an interrupted run", (*driver).up, true, false},
	{"down", "destroy the stack, then remove what up created for it", (*driver).down, true, false},
	{"promote", "deploy in STACK the image that runs in FROM, without a build", (*driver).promote, true, true},
	{"evidence", "attach to the running image what was measured: KIND, RESULT, FILE", (*driver).evidence, false, true},
	{"sbom", "list what is in the running image, and attach the list to it", (*driver).sbom, false, true},
	{"sign", "sign the running image, with KEY or keyless", (*driver).sign, false, true},
	{"rollback", "deploy in STACK an earlier image: the previous one, or TO", (*driver).rollback, true, true},
	{"env-up", "create or update the environment NAME for a branch, a copy of STACK in its kind cluster",
		(*driver).environmentUp, true, false},
	{"env-down", "remove the environment NAME with its stack", (*driver).environmentDown, true, false},
	{"env-expire", "remove the environments whose HOURS are over, and list the others", (*driver).environmentExpire,
		true, false},
	{"deploy", "update a stack that does not run on this machine: preview, then change", (*driver).deploy, true, true},
	{"plan", "show what an update would do to the real objects; FILE gets a comment for a pull request",
		(*driver).plan, true, true},
	{"drift", "show what others changed, and apart from it what is not deployed yet", (*driver).drift, true, true},
	{"status", "show what runs, the URL and the last update", (*driver).status, false, false},
	{"logs", "print the recent log lines of COMPONENT; FOLLOW=1 keeps printing", (*driver).logs, false, false},
	{"env", "print shell variables for plain pulumi and kubectl commands", (*driver).printEnv, false, false},
}

// driver is one run of a subcommand.
type driver struct {
	settings
	*stack           // from openStack on
	root      string // absolute path of the project
	host      runner
	kind      clusters
	out       io.Writer
	lookupEnv func(name string) (value string, set bool)
	began     time.Time
	stdin     io.Reader
	terminal  bool               // whether a person can answer on stdin
	platform  string             // of the Docker daemon, such as linux/amd64
	daemon    string             // its ID
	exclusive bool               // whether no other command changes something meanwhile
	cli       auto.PulumiCommand // from findPulumi on
}

func main() {
	if len(os.Args) != 2 || os.Args[1] == "help" {
		printUsage()
		return
	}
	// Ctrl-C interrupts the running child once, so that Pulumi completes the operations in progress and writes its state.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err, code := run(ctx, os.Args[1]), 1
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err, code = errors.New("interrupted; run the same command again to continue"), 130 // 128+SIGINT, as shells do
	}
	_, _ = fmt.Fprintf(os.Stderr, "scaleout %s: %v\n", os.Args[1], err)
	os.Exit(code)
}

func run(ctx context.Context, name string) error {
	i := slices.IndexFunc(subcommands, func(c subcommand) bool { return c.name == name })
	if i < 0 {
		return errors.New("there is no such command: `scaleout help` lists them")
	}
	c := subcommands[i]
	s, err := parseSettings(name, os.LookupEnv)
	if err != nil {
		return err
	}
	if strings.Contains(s.Stack, "/") && !c.qualified {
		return fmt.Errorf("STACK=%q: want the plain name of a stack of this project", s.Stack)
	}
	root, err := syscall.Getwd() // unlike os.Getwd, one name for the folder, however it was entered
	if err != nil {
		return err
	}
	if !isFile(filepath.Join(root, "Pulumi.yaml")) {
		return errors.New("no Pulumi.yaml here: run this in the project's folder")
	}
	d := &driver{settings: s, root: root, host: execRunner{}, kind: newClusters(), out: os.Stdout, lookupEnv: os.LookupEnv,
		began: time.Now(), stdin: os.Stdin, terminal: term.IsTerminal(int(os.Stdin.Fd()))}
	if err := os.MkdirAll(d.local("state"), 0o700); err != nil {
		return err
	}
	if d.exclusive = c.exclusive; d.exclusive {
		if err := d.lock(name); err != nil {
			return err
		}
	}
	return c.run(d, ctx)
}

func printUsage() {
	fmt.Print("usage: scaleout COMMAND\n\ncommands:\n")
	for _, c := range subcommands {
		fmt.Printf("  %-10s %s\n", c.name, c.summary)
	}
	fmt.Print("\nenvironment variables:\n")
	for _, v := range new(settings).variables() {
		fmt.Printf("  %-15s %s\n", v.name, v.usage)
	}
}

// localDir holds what belongs to this checkout on this machine: tools, Pulumi's state and project of local stacks, the
// passphrase, the kubeconfig of kind clusters. It is not in git.
const localDir = ".local"

// Marks are files in localDir for facts that no other program keeps.
const (
	// markCluster holds the container ID of the control plane of a cluster that `up` created, or unfinished. `down`
	// deletes no other cluster.
	markCluster = "cluster-"
	// markDaemon holds the ID of the Docker daemon that `up` in this folder runs a stack on.
	markDaemon = "docker-daemon-"
	// markActive exists while Pulumi changes a stack, and stays if that is interrupted.
	markActive = "active-"
	// markRollback holds the image of a rollback that has not finished.
	markRollback = "rolling-back-"
)

// local returns a path below localDir.
func (d *driver) local(elem ...string) string {
	return filepath.Join(append([]string{d.root, localDir}, elem...)...)
}

// setMark writes a mark. A stack name may have organization and project in front.
func (d *driver) setMark(mark, name, content string) error {
	return os.WriteFile(d.local(mark+path.Base(name)), []byte(content), 0o600)
}

func (d *driver) clearMark(mark, name string) error {
	return os.RemoveAll(d.local(mark + path.Base(name))) // unlike Remove, without an error if there is none
}

// mark returns the content of a mark, or "".
func (d *driver) mark(mark, name string) string {
	content, _ := os.ReadFile(d.local(mark + path.Base(name)))
	return string(content)
}

// lock refuses a second command that changes something in this checkout. The kernel releases the lock when the process
// ends, however it ends: nothing here closes the descriptor, as an os.File would when it is collected. The file stays,
// since a lock on a removed file protects nothing.
func (d *driver) lock(what string) error {
	file := d.local("lock")
	descriptor, err := syscall.Open(file, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(file)
		return fmt.Errorf("another run is active in this folder (%s): wait for it, or interrupt it (%w)", holder, err)
	}
	return os.WriteFile(file, fmt.Appendf(nil, "%s of stack %s, process %d", what, d.Stack, os.Getpid()), 0o600)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
