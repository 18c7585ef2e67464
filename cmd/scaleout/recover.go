package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"example.com/scaleout/internal/registry"
)

// partOf is the label of every object of this program.
const partOf = "app.kubernetes.io/part-of=scaleout"

// deletionWait limits the wait for objects that are being deleted; a pod's graceful shutdown takes most of it.
const deletionWait = 5 * time.Minute

// recover prepares the update of a local stack after whatever happened before. What an interrupted run was creating can
// exist without being in the state: on kind the update takes it over, and on Docker it is removed first. It returns the
// images that have to be built again: see missingImages.
func (d *driver) recover(ctx context.Context, s *stack) (missing []string, err error) {
	if err := d.removeStaleLock(ctx, s); err != nil {
		return nil, err
	}
	state, err := s.state(ctx, d.Stack)
	if err != nil {
		return nil, err
	}
	if d.mark(markActive, d.Stack) != "" || len(state.PendingOperations) > 0 {
		d.note("an earlier run was interrupted: taking over what it left")
		if s.onKind() {
			s.set("adoptExisting", "true") // until the next up: without it, a preview would show a change of the provider
			err = errors.Join(d.saveCopy(s), d.waitForDeletions(ctx))
		}
		if err == nil && len(state.PendingOperations) > 0 {
			err = d.clearPending(ctx, s)
		}
		if err == nil && s.onDocker() {
			err = d.removeUnknown(ctx, s, state.Resources)
		}
	}
	if err == nil && s.onDocker() && s.existed {
		err = d.startContainers(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	return missingImages(ctx, state.Resources), d.setMark(markActive, d.Stack, "up")
}

// missingImages returns the URNs of images that their registry on this machine, which may be a new one, does not have.
func missingImages(ctx context.Context, resources []apitype.ResourceV3) (urns []string) {
	for _, r := range resources {
		image, _ := r.Outputs["repoDigest"].(string)
		ref, err := name.NewDigest(image)
		if r.Type != "docker:index/image:Image" || !localRepository.MatchString(image) || err != nil {
			continue
		}
		if _, err := remote.Head(ref, registry.Options(ctx)...); registry.NotFound(err) {
			urns = append(urns, string(r.URN))
		}
	}
	return urns
}

// ended passes on the error of an update or a destroy, and notes whether it was interrupted: an interrupted one keeps
// its mark, as does one that failed while it adopted what an interrupted one left. One that was killed has left pending
// operations in the state.
func (d *driver) ended(ctx context.Context, s *stack, err error) error {
	if ctx.Err() != nil || err != nil && s.has("adoptExisting") {
		return err
	}
	return errors.Join(err, d.clearMark(markActive, d.Stack))
}

// clearPending refreshes the operations that an interrupted run began and did not complete. On a shared backend they
// may be those of a run that somebody else has active.
func (d *driver) clearPending(ctx context.Context, s *stack) error {
	if !s.backend.local {
		d.note("operations in the state did not complete; if no other run is active, clear them: "+
			"pulumi refresh --clear-pending-creates --stack %s", d.Stack)
		return nil
	}
	opened, err := s.open(ctx, d.Stack)
	if err == nil {
		_, err = opened.Refresh(ctx, optrefresh.ClearPendingCreates(), optrefresh.ProgressStreams(d.out),
			optrefresh.ErrorProgressStreams(d.out))
	}
	return brief(err)
}

// waitForDeletions waits until no object of this program is being deleted: an update would take it for existing.
func (d *driver) waitForDeletions(ctx context.Context) error {
	for deadline := time.Now().Add(deletionWait); ; time.Sleep(500 * time.Millisecond) {
		going, err := d.kubectl(ctx, "get", "namespaces,deployments,statefulsets,persistentvolumeclaims",
			"--all-namespaces", "--selector", partOf,
			"--output", `jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.kind} {.metadata.name} {end}`)
		if err != nil || going == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is still being deleted after %s", going, deletionWait)
		}
	}
}

// removeStaleLock cancels the lock of a run that was killed: one of this machine, in localDir, whose process is gone.
// Pulumi reports any other.
func (d *driver) removeStaleLock(ctx context.Context, s *stack) error {
	state := os.DirFS(d.local("state"))
	files, _ := fs.Glob(state, ".pulumi/locks/*/*/"+s.name+"/*.json")
	host, err := os.Hostname()
	if err != nil || !s.backend.local || len(files) == 0 {
		return err
	}
	for _, file := range files {
		var lock struct { // github.com/pulumi/pulumi/pkg/v3/backend/diy/lock.go
			Pid      int    `json:"pid"`
			Hostname string `json:"hostname"`
		}
		content, err := fs.ReadFile(state, file)
		if err == nil {
			err = json.Unmarshal(content, &lock)
		}
		if err != nil || lock.Hostname != host || d.runsPulumi(ctx, lock.Pid) {
			return nil
		}
	}
	d.note("removing the lock of a run that was killed")
	opened, err := s.open(ctx, d.Stack)
	if err == nil {
		err = opened.Cancel(ctx)
	}
	return brief(err)
}

// runsPulumi reports whether a process is Pulumi's: another program may have its number since. Z is a process that has
// ended and was not reaped, as init in some containers never does.
func (d *driver) runsPulumi(ctx context.Context, pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	out, err := d.host.Run(ctx, command{name: "ps", args: []string{"-o", "state=,comm=", "-p", fmt.Sprint(pid)}})
	return err != nil || !strings.HasPrefix(out, "Z") && strings.Contains(out, "pulumi")
}
