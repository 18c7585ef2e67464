package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// state is what is read of a stack's state, as `pulumi stack export` prints it. Nothing here writes it.
type state struct {
	Deployment struct {
		Resources []resource
		Pending   []struct{ Type string } `json:"pending_operations"` // that Pulumi began and did not see the end of
	}
}

type resource struct {
	URN, Type, ID   string
	Inputs, Outputs map[string]any
}

func (d *driver) readState(ctx context.Context, s *stack, name string) (state, error) {
	var st state
	return st, d.pulumiJSON(ctx, s, &st, "stack", "export", "--stack", name)
}

// lookAgain returns the flags that keep Pulumi from believing a state that does not hold any more: a refresh, since the
// cluster or containers may have been removed behind its back, and the replacement of images that their registry, which
// may be a new one, does not have. It also sees to what an interrupted run has left.
func (d *driver) lookAgain(ctx context.Context, s *stack) ([]string, error) {
	st, err := d.readState(ctx, s, d.Stack)
	if err != nil {
		return nil, err
	}
	if err := d.settle(ctx, s, st); err != nil {
		return nil, err
	}
	flags := []string{"--refresh"}
	for _, r := range st.Deployment.Resources {
		reference, _ := r.Outputs["repoDigest"].(string)
		if r.Type != "docker:index/image:Image" || !localRepository.MatchString(reference) {
			continue
		}
		ref, err := name.NewDigest(reference)
		if err != nil {
			continue // whatever it is, the update computes it anew
		}
		if _, err := remote.Head(ref, registryOptions(ctx)...); notFound(err) {
			flags = append(flags, "--replace", r.URN)
		}
	}
	return flags, nil
}

// leaveWait is how long objects whose deletion had begun may take to go; a pod that leaves answers for some time.
const leaveWait = 5 * time.Minute

// settle prepares an update after a run that was interrupted. What that run was creating may exist without being in the
// state, and creating it would fail: in a kind cluster it is taken over, and in Docker it is removed, which is not in use.
func (d *driver) settle(ctx context.Context, s *stack, st state) error {
	pending := len(st.Deployment.Pending)
	if d.mark(markUnderWay, d.Stack) == "" && pending == 0 {
		return nil
	}
	d.note("an earlier run was interrupted: taking over what it left")
	if err := d.setMark(markUnderWay, d.Stack, "update"); err != nil {
		return err
	}
	if s.onKind() {
		if err := d.waitForDeletions(ctx); err != nil {
			return err
		}
		s.file.set(keyAdoptExisting, "true")
		if err := d.saveCopy(s); err != nil {
			return err
		}
	}
	refresh := []string{"refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", d.Stack}
	switch {
	case pending > 0 && s.backend.local:
		if err := d.change(ctx, s, append(refresh, d.configFlag(s)...)...); err != nil {
			return err
		}
	case pending > 0:
		d.note("%d operations in the state were not seen to end. They may be of a run that somebody else has under way. "+
			"If not, this clears them: pulumi %s", pending, strings.Join(refresh, " "))
	}
	if s.onDocker() {
		return d.removeUnknown(ctx, s, st)
	}
	return nil
}

// waitForDeletions waits until nothing of this program is on its way out: it would still be taken for there.
func (d *driver) waitForDeletions(ctx context.Context) error {
	for deadline := time.Now().Add(leaveWait); ; time.Sleep(500 * time.Millisecond) {
		leaving, err := d.kubectl(ctx, "get", "namespaces,deployments,statefulsets,persistentvolumeclaims",
			"--all-namespaces", "--selector", partOf,
			"--output", `jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.kind} {.metadata.name} {end}`)
		if err != nil {
			return err
		}
		if strings.TrimSpace(leaving) == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%sis being deleted, and is still there after %s", leaving, leaveWait)
		}
	}
}

// removeUnknown removes what carries the label of this stack on Docker and is not in its state.
func (d *driver) removeUnknown(ctx context.Context, s *stack, st state) error {
	for _, part := range []struct{ list, remove []string }{
		{[]string{"container", "ls", "--all"}, []string{"container", "rm", "--force", "--volumes"}},
		{[]string{"network", "ls"}, []string{"network", "rm"}},
	} {
		ids, err := d.docker(ctx, append(part.list, "--quiet", "--no-trunc", "--filter", stackLabel(s))...)
		if err != nil {
			return err
		}
		for _, id := range strings.Fields(ids) {
			if slices.ContainsFunc(st.Deployment.Resources, func(r resource) bool { return r.ID == id }) {
				continue
			}
			if _, err := d.docker(ctx, append(part.remove, id)...); err != nil {
				return err
			}
			d.note("removed %s %.12s, which is not in the state", part.list[0], id)
		}
	}
	return nil
}

// unlocked runs a Pulumi command, and once more without the lock if that is of a run that was killed.
func (d *driver) unlocked(ctx context.Context, s *stack, c command) error {
	_, err := d.host.Run(ctx, c)
	if !s.backend.local || !d.staleLock(ctx, err) {
		return err
	}
	d.note("a run that was killed left its lock; removing it and trying again")
	if _, err := d.runPulumi(ctx, s, "cancel", "--yes", "--stack", d.Stack); err != nil {
		return err
	}
	_, err = d.host.Run(ctx, c)
	return err
}

// change runs a Pulumi command that changes the stack, and notes that until it has ended by itself.
func (d *driver) change(ctx context.Context, s *stack, args ...string) error {
	before := d.mark(markUnderWay, d.Stack)
	if err := d.setMark(markUnderWay, d.Stack, args[0]); err != nil {
		return err
	}
	c := d.pulumiCommand(s, args...)
	c.live = &indented{out: d.out}
	err := d.unlocked(ctx, s, c)
	var ended *exec.ExitError
	killed := ctx.Err() != nil || errors.As(err, &ended) && ended.ExitCode() < 0
	if killed || before != "" && (err != nil || args[0] == "refresh") {
		return err
	}
	return errors.Join(err, d.clearMark(markUnderWay, d.Stack))
}

// lockOwner finds host and process in Pulumi's message about a locked stack.
var lockOwner = regexp.MustCompile(`locked by 1 lock\(s\)[\s\S]*created by \S*@(\S+) \(pid (\d+)\)`)

// staleLock tells whether a command failed only because a process of this machine that is gone had locked the stack. The
// folder may be shared with another machine or container, whose processes cannot be seen.
func (d *driver) staleLock(ctx context.Context, err error) bool {
	var failed *commandError
	if !errors.As(err, &failed) {
		return false
	}
	owner := lockOwner.FindStringSubmatch(failed.output)
	if host, err := os.Hostname(); err != nil || owner == nil || owner[1] != host {
		return false
	}
	pid, _ := strconv.Atoi(owner[2]) // digits only
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	// Another program may have the number since. Z is a process that has ended and whose parent has not asked how, as init
	// in some containers never does.
	program, err := d.host.Run(ctx, command{name: "ps", args: []string{"-o", "state=,comm=", "-p", owner[2]}})
	return err == nil && (strings.HasPrefix(program, "Z") || !strings.Contains(program, "pulumi"))
}
