package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	_, err = d.runPulumi(ctx, s, d.steps.stream(), args...)
	if s.backend.local && staleLock(err) {
		d.steps.note("an update that was killed left its lock; removing it and trying again")
		if _, err := d.runPulumi(ctx, s, nil, "cancel", "--yes", "--stack", d.Stack); err != nil {
			return "", fmt.Errorf("removing the lock: %w", err)
		}
		_, err = d.runPulumi(ctx, s, d.steps.stream(), args...)
	}
	if err != nil {
		return "", explainPulumi(d.Stack, fmt.Errorf("updating stack %s: %w", d.Stack, err))
	}
	return "stack " + d.Stack + " is up to date", d.noteUpdate(ctx, s)
}

// updateFlags skips the preview on this machine, and makes Pulumi look again where its state may be of something that is
// gone: after a new cluster or registry, and always at containers, which anybody may have removed and which are quickly
// looked at.
func (d *driver) updateFlags(ctx context.Context, s *stack) ([]string, error) {
	if !s.local() {
		return nil, nil
	}
	flags := []string{"--skip-preview"}
	if s.existed && (s.onDocker() || d.marked(markNewCluster, d.Cluster)) {
		flags = append(flags, "--refresh")
	}
	registry, err := d.registryOf(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.existed && registry != nil && d.mark(markPushed, d.Stack) != registry.ID {
		flags = append(flags, "--replace", imageURN) // refreshing an image does not ask the registry
	}
	return flags, nil
}

// registryOf returns the container that the stack's images are pushed to, or nil if they go elsewhere.
func (d *driver) registryOf(ctx context.Context, s *stack) (*container, error) {
	if !s.pushesHere() {
		return nil, nil
	}
	return d.inspect(ctx, d.RegistryName)
}

// noteUpdate remembers what an update that went well has settled.
func (d *driver) noteUpdate(ctx context.Context, s *stack) error {
	if !s.local() {
		return nil
	}
	if s.onKind() {
		if err := d.clearMark(markNewCluster, d.Cluster); err != nil {
			return err
		}
	}
	registry, err := d.registryOf(ctx, s)
	if err != nil || registry == nil {
		return err
	}
	return d.setMark(markPushed, d.Stack, registry.ID)
}

// imageURN stands for every image of the stack.
const imageURN = "**docker:index/image:Image::**"

// lockOwner finds the process in Pulumi's message about a locked stack.
var lockOwner = regexp.MustCompile(`locked by 1 lock\(s\)[\s\S]*\(pid (\d+)\)`)

// staleLock tells whether an update failed only because a process that is gone had locked the stack. The state is in
// the project's own folder, so that process was on this machine.
func staleLock(err error) bool {
	var failed *commandError
	if !errors.As(err, &failed) {
		return false
	}
	m := lockOwner.FindStringSubmatch(failed.output)
	if m == nil {
		return false
	}
	pid, err := strconv.Atoi(m[1])
	return err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// explainPulumi adds what to do to errors whose own text does not say it.
func explainPulumi(stack string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return err
	}
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
		{"network with name", "a network of that name is there but not in the state, as after an update that was killed: " +
			"remove it (docker network rm), or give this stack another name (scaleout:namespace)"},
		{"already exists", "an object is in the cluster but not in the state, as after an update that was killed: " +
			"`make down" + stackArgument(stack) + "`, then `make up" + stackArgument(stack) + "`"},
	} {
		if strings.Contains(failed.output, known.sign) {
			return fmt.Errorf("%w\n%s", err, known.advice)
		}
	}
	return fmt.Errorf("%w\nwhat is there now: `make status%[2]s`; what the app says: `make logs%[2]s`", err, stackArgument(stack))
}

// outputs are the stack's outputs that the driver uses.
type outputs struct {
	URL          string   `json:"url"`
	NextCommands []string `json:"nextCommands"`
}

func (d *driver) outputs(ctx context.Context, s *stack) (outputs, error) {
	var o outputs
	out, err := d.runPulumi(ctx, s, nil, "stack", "output", "--json", "--stack", d.Stack)
	if err != nil {
		return o, fmt.Errorf("reading the outputs of stack %s: %w", d.Stack, err)
	}
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		return o, fmt.Errorf("reading the outputs of stack %s: %w", d.Stack, err)
	}
	return o, nil
}
