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
	s, err := d.begin(ctx, "destroy", machineKeys...)
	if err != nil {
		return err
	}
	if at := s.setting("kubeContext"); s.onKind() && s.existed && at != "kind-"+d.Cluster {
		return fmt.Errorf("stack %s runs in %s: add CLUSTER=%s", d.Stack, at, strings.TrimPrefix(at, "kind-"))
	}
	kept, err := d.clusterKept(ctx, s)
	if err != nil {
		return err
	}
	steps := []step{{"pulumi destroy", s.with(d.destroy)}, d.removeStack(s)}
	if s.onKind() && kept == "" { // the cluster holds all resources of the stack, so they need no destroy
		steps = []step{d.removeStack(s, optremove.Force()), {"cluster " + d.Cluster, d.deleteCluster}}
	}
	if kept == "" {
		steps = append(steps, step{"registry", d.removeRegistry})
	}
	if err := d.do(ctx, steps...); err != nil {
		return err
	}
	if kept != "" {
		d.note("cluster %s and the registry are kept: %s", d.Cluster, kept)
	}
	d.total("down")
	return nil
}

// clusterKept returns the reason not to delete the cluster with the stack, or "" to delete it. It starts a stopped one,
// since only a running cluster shows what is in it.
func (d *driver) clusterKept(ctx context.Context, s *stack) (string, error) {
	nodes, err := d.containers(ctx, d.nodeLabel())
	if err != nil || !s.onKind() || len(nodes) == 0 {
		return "", err
	}
	controlPlane, err := d.inspect(ctx, d.controlPlane())
	switch made := d.mark(markCluster, d.Cluster); {
	case err != nil:
		return "", err
	case made == unfinished:
		others, _ := d.othersIn(ctx) // a partial cluster need not answer
		return others, nil
	case made != controlPlane.ID:
		return "`up` in this folder did not create it", nil
	}
	if err := d.startNodes(ctx, nodes); err != nil {
		return "", fmt.Errorf("cluster %s does not run, so it is unknown what else is in it: %w; to delete it with "+
			"everything: docker rm --force --volumes %s, and make down again", d.Cluster, err, strings.Join(nodes, " "))
	}
	return d.othersIn(ctx, s.setting("namespace"), "traefik")
}

// othersIn names the namespaces in the cluster that other stacks of this program created, of any folder.
func (d *driver) othersIn(ctx context.Context, own ...string) (string, error) {
	found, err := d.kubectl(ctx, "get", "namespaces", "--selector", partOf, "--output", "name")
	others := slices.DeleteFunc(strings.Fields(found), func(object string) bool {
		return slices.Contains(own, path.Base(object))
	})
	if err != nil || len(others) == 0 {
		return "", err
	}
	return "another stack has " + strings.Join(others, " ") + " in it", nil
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
	options := []optdestroy.Option{optdestroy.ProgressStreams(d.out), optdestroy.ShowSecrets(false)}
	if s.onDocker() {
		options = append(options, optdestroy.Refresh()) // a container that is gone cannot be stopped
	}
	err := d.changeMarked(ctx, s, "destroy", func() error {
		_, err := s.pulumi.Destroy(ctx, options...)
		return err
	})
	if err == nil && s.onDocker() {
		err = d.removeUnknown(ctx, s, nil)
	}
	if err != nil {
		return "", fmt.Errorf("destroying stack %s: %w", d.Stack, err)
	}
	return "destroyed", nil
}

// removeStack is the step that removes the stack's record and, with it, the copy of its settings.
func (d *driver) removeStack(s *stack, options ...optremove.Option) step {
	return step{"stack " + d.Stack, func(ctx context.Context) (string, error) {
		did := "none"
		if s.existed {
			did = "removed"
			remove := func() error { return s.workspace.RemoveStack(ctx, d.Stack, options...) }
			if err := d.change(ctx, s, remove); err != nil {
				return "", err
			}
		}
		return did, errors.Join(os.RemoveAll(d.copied(d.Stack)), d.clearMark(markDaemon, d.Stack),
			d.clearMark(markActive, d.Stack))
	}}
}
