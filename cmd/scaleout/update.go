package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// update runs `pulumi up`. On this machine without its preview: that would run the program a second time for an answer
// nobody waits for, and `make preview` shows the same without touching anything. Elsewhere the preview stays, because
// what it finds wrong is found before anything was changed.
func (d *driver) update(ctx context.Context, s *stack) (string, error) {
	flags, err := d.updateFlags(ctx, s)
	if err != nil {
		return "", err
	}
	args := append([]string{"up", "--yes", "--stack", d.Stack}, flags...)
	err = d.runUnlocked(ctx, s, d.steps.stream(), "", args...)
	if err != nil {
		d.diagnose(ctx, s)
		return "", explainPulumi(d.Stack, fmt.Errorf("updating stack %s: %w", d.Stack, err))
	}
	return "stack " + d.Stack + " is up to date", d.noteUpdate(ctx, s)
}

// updateFlags skips the preview on this machine, and makes Pulumi look again where its state may be of something that is
// gone: in another cluster or registry than the last time, and always at containers, which anybody may have removed and
// which are quickly looked at.
func (d *driver) updateFlags(ctx context.Context, s *stack) ([]string, error) {
	if !s.local() {
		return nil, nil
	}
	flags := []string{"--skip-preview"}
	p, err := d.places(ctx, s)
	if err != nil || !s.existed {
		return flags, err
	}
	if s.onDocker() || d.mark(markDeployed, d.Stack) != p.cluster {
		flags = append(flags, "--refresh")
	}
	if p.registry != "" && d.mark(markPushed, d.Stack) != p.registry {
		flags = append(flags, "--replace", imageURN) // refreshing an image does not ask the registry
	}
	return flags, nil
}

// places are the IDs of the containers that a stack's objects and images go to, as far as they are on this machine.
type places struct{ cluster, registry string }

func (d *driver) places(ctx context.Context, s *stack) (places, error) {
	var p places
	for _, place := range []struct {
		used      bool
		container string
		id        *string
	}{
		{s.onKind(), d.Cluster + "-control-plane", &p.cluster},
		{s.pushesHere(), d.RegistryName, &p.registry},
	} {
		if !place.used {
			continue
		}
		c, err := d.inspect(ctx, place.container)
		if err != nil {
			return p, err
		}
		if c != nil {
			*place.id = c.ID
		}
	}
	return p, nil
}

// noteUpdate remembers where an update that went well has put the stack.
func (d *driver) noteUpdate(ctx context.Context, s *stack) error {
	if !s.local() {
		return nil
	}
	p, err := d.places(ctx, s)
	if err != nil {
		return err
	}
	for mark, id := range map[string]string{markDeployed: p.cluster, markPushed: p.registry} {
		if id == "" {
			continue
		}
		if err := d.setMark(mark, d.Stack, id); err != nil {
			return err
		}
	}
	return nil
}

// imageURN stands for every image of the stack.
const (
	imageType = "docker:index/image:Image"
	imageURN  = "**" + imageType + "::**"
)

// runUnlocked runs a Pulumi command that changes the state. If the stack is locked only because an update was killed,
// the lock goes first.
func (d *driver) runUnlocked(ctx context.Context, s *stack, live io.Writer, stdin string, args ...string) error {
	c := d.pulumiCommand(s, d.root, live, stdin, args...)
	c.beforeInterrupt = func() { d.noteUnderWay(ctx, s) }
	_, err := d.host.Run(ctx, c)
	if !s.backend.local || !d.staleLock(ctx, err) {
		return err
	}
	d.steps.note("an update that was killed left its lock; removing it and trying again")
	if _, err := d.runPulumi(ctx, s, "cancel", "--yes", "--stack", d.Stack); err != nil {
		return fmt.Errorf("removing the lock: %w", err)
	}
	_, err = d.host.Run(ctx, c)
	return err
}

// lockOwner finds the process in Pulumi's message about a locked stack.
var lockOwner = regexp.MustCompile(`locked by 1 lock\(s\)[\s\S]*\(pid (\d+)\)`)

// staleLock tells whether a command failed only because a process that is gone had locked the stack. The state is in
// the project's own folder, so that process was on this machine. After a power failure another can have its number.
func (d *driver) staleLock(ctx context.Context, err error) bool {
	var failed *commandError
	if !errors.As(err, &failed) {
		return false
	}
	m := lockOwner.FindStringSubmatch(failed.output)
	if m == nil {
		return false
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		return false
	}
	gone := func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
	if gone() {
		return true
	}
	// Z is a process that has ended and whose parent has not asked how, as init in some containers never does.
	program, err := d.host.Run(ctx, command{name: "ps", args: []string{"-o", "state=,comm=", "-p", m[1]}})
	if err != nil {
		return gone() // since
	}
	return strings.HasPrefix(program, "Z") || !strings.Contains(program, "pulumi")
}

// existsAdvice is about objects that no killed update has left, since those are adopted.
const existsAdvice = "an object is in the cluster but not in the state: of another stack, which needs another " +
	"scaleout:namespace, or of a state that was lost (docs/operations.md)"

// explainPulumi adds what to do to errors whose own text does not say it.
func explainPulumi(stack string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return err
	}
	stack = path.Base(stack)
	for _, known := range []struct{ sign, advice string }{
		{"incorrect passphrase", "Pulumi." + stack + ".yaml (or the state) was encrypted with another passphrase: put that " +
			"one into " + localDir + "/passphrase or PULUMI_CONFIG_PASSPHRASE; if it is lost, delete the lines " +
			"`encryptionsalt` and `secure` from Pulumi." + stack + ".yaml and run this again"},
		{"currently locked", "another update is running; if it is not, `eval \"$(make -s env)\"; pulumi cancel --stack " +
			stack + "` removes its lock"},
		{"pulumi-language-go", "the Pulumi CLI came without its Go language host: put pulumi-language-go on PATH or into " +
			localDir + "/bin"},
		{"no resource plugin", "a provider plugin is neither installed nor can it be downloaded: `pulumi plugin install` " +
			"takes a file or --server"},
		{"is already in use by container", "a container of that name is there but not in the state: remove it (docker rm --force), " +
			"or give this stack other names (scaleout:namespace)"},
		{"port is already allocated", "set HTTP_PORT to a free port"},
		{"address already in use", "set HTTP_PORT to a free port"},
		{"network with name", "a network of that name is there but not in the state: remove it (docker network rm), or give " +
			"this stack another name (scaleout:namespace)"},
		{`" already exists`, existsAdvice},
		{"resource already exists", existsAdvice}, // the Kubernetes provider from 4.29 on; not "Layer already exists" of a push
	} {
		if strings.Contains(failed.output, known.sign) {
			return fmt.Errorf("%w\n%s", err, known.advice)
		}
	}
	return fmt.Errorf("%w\nwhat is there now: `make status%[2]s`; what the app says: `make logs%[2]s`", err, stackArgument(stack))
}

// outputs are the stack's outputs that the driver uses.
type outputs struct {
	// Image is the reference, by digest, of the image that runs; Images are those that ran, the newest first.
	Image        string     `json:"image"`
	Images       []deployed `json:"images"`
	URL          string     `json:"url"`
	NextCommands []string   `json:"nextCommands"`
}

func (d *driver) outputs(ctx context.Context, s *stack, name string) (outputs, error) {
	var o outputs
	out, err := d.runPulumi(ctx, s, "stack", "output", "--json", "--stack", name)
	if err != nil {
		return o, fmt.Errorf("reading the outputs of stack %s: %w", name, err)
	}
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		return o, fmt.Errorf("reading the outputs of stack %s: %w", name, err)
	}
	return o, nil
}
