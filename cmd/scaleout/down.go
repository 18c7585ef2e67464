package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optremove"
)

// down removes what up created, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	s, err := d.openLocal("destroy", machineKeys...)
	if err != nil {
		return err
	}
	with := s.with
	err = d.do(ctx, step{"Docker", with(d.dockerAnswers)}, step{"Pulumi CLI", with(d.ensurePulumi)})
	if err != nil {
		return err
	}
	destroy, remove := step{"pulumi destroy", with(d.destroy)}, step{"stack " + d.Stack, with(d.removeStack)}
	removeRegistry := step{"registry", d.removeRegistry}
	if s.onDocker() {
		err = d.do(ctx, destroy, remove, removeRegistry)
	} else if node, inspectErr := d.inspect(ctx, d.controlPlane()); inspectErr != nil {
		err = inspectErr
	} else if kept := d.clusterKept(ctx, s, node); kept == "" { // all that a stack on kind has is in the cluster
		err = d.do(ctx, remove, step{"cluster " + d.Cluster, d.deleteCluster}, removeRegistry)
	} else if s.existed && !node.State.Running {
		err = fmt.Errorf("cluster %s does not run, and is kept: %s; `make up` starts it", d.Cluster, kept)
	} else if err = d.do(ctx, destroy, remove); err == nil {
		d.note("cluster %s and the registry are kept: %s", d.Cluster, kept)
	}
	if err == nil {
		d.total("down")
	}
	return err
}

// clusterKept returns the reason not to delete the cluster with the stack, or "" to delete it.
func (d *driver) clusterKept(ctx context.Context, s *stack, controlPlane container) string {
	made := d.mark(markCluster, d.Cluster)
	switch {
	case controlPlane.ID == "":
		return ""
	case made != controlPlane.ID && made != unfinished:
		return "`up` in this folder did not create it"
	case made == unfinished:
		return d.othersIn(ctx)
	case controlPlane.State.Running:
		return d.othersIn(ctx, s.setting("namespace"), "traefik")
	}
	var others []string // a cluster that does not run cannot be asked
	for _, other := range s.all {
		if path.Base(other.Name) != d.Stack && other.ResourceCount != nil && *other.ResourceCount > 0 {
			others = append(others, other.Name)
		}
	}
	if len(others) == 0 {
		return ""
	}
	return "stack " + strings.Join(others, ", ") + " may be in it"
}

// othersIn names the namespaces in the cluster that other stacks of this program created, of this folder or another
// one. A cluster that does not answer has none that anybody could use.
func (d *driver) othersIn(ctx context.Context, own ...string) string {
	found, _ := d.kubectl(ctx, "get", "namespaces", "--selector", partOf, "--output", "name")
	others := slices.DeleteFunc(strings.Fields(found), func(object string) bool {
		return slices.Contains(own, path.Base(object))
	})
	if len(others) == 0 {
		return ""
	}
	return "another stack has " + strings.Join(others, " ") + " in it"
}

// destroy destroys the stack's resources.
func (d *driver) destroy(ctx context.Context, s *stack) (string, error) {
	if !s.existed {
		return "no stack " + d.Stack, nil
	}
	if d.mark(markActive, d.Stack) == "up" && s.onKind() {
		// What an interrupted update created without recording it is recorded by finishing that update.
		if _, err := d.update(ctx, s); err != nil {
			d.note("%v\ncontinuing with the destroy", err)
		}
	}
	opened, err := s.open(ctx, d.Stack)
	if err == nil {
		err = errors.Join(d.removeStaleLock(ctx, s), d.setMark(markActive, d.Stack, "destroy"))
	}
	if err == nil {
		options := []optdestroy.Option{optdestroy.ProgressStreams(d.out), optdestroy.ErrorProgressStreams(d.out)}
		if s.onDocker() {
			options = append(options, optdestroy.Refresh()) // a container that is gone cannot be stopped
		}
		_, err = opened.Destroy(ctx, options...)
	}
	if err == nil && s.onDocker() {
		err = d.removeUnknown(ctx, s, nil)
	}
	if err = d.ended(ctx, s, brief(err)); err != nil {
		return "", fmt.Errorf("destroying stack %s: %w", d.Stack, err)
	}
	return "destroyed", nil
}

// removeStack removes the stack's record and, with it, the copy of its settings. Forced, because resources that are
// still recorded were deleted with their cluster.
func (d *driver) removeStack(ctx context.Context, s *stack) (string, error) {
	did := "none"
	if s.existed {
		if err := d.removeStaleLock(ctx, s); err != nil {
			return "", err
		}
		if err := s.workspace.RemoveStack(ctx, d.Stack, optremove.Force()); err != nil {
			return "", brief(err)
		}
		did = "removed"
	}
	return did, errors.Join(os.RemoveAll(d.local(stackFileName(d.Stack))), d.clearMark(markDaemon, d.Stack),
		d.clearMark(markActive, d.Stack))
}
