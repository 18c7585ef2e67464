package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// down removes what up made, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	s, err := d.openLocal("destroy", machineKeys...)
	if err != nil {
		return err
	}
	if err := d.steps.do("Docker", func() (string, error) { return d.dockerAnswers(ctx) }); err != nil {
		return err
	}
	if s.onDocker() {
		err = d.downOnDocker(ctx, s)
	} else {
		err = d.downOnKind(ctx, s)
	}
	if err == nil {
		d.steps.total("down")
	}
	return err
}

func (d *driver) downOnKind(ctx context.Context, s *stack) error {
	nothing, err := d.nothingToDestroy(ctx, s)
	if err != nil {
		return err
	}
	stays, err := d.clusterStays(ctx, s)
	if err != nil {
		return err
	}
	destroyErr := d.steps.do("pulumi destroy", func() (string, error) {
		if nothing != "" {
			return nothing, nil
		}
		running, err := d.clusterRuns(ctx)
		switch {
		case err != nil || running:
			return d.destroy(ctx, s)
		case stays != "":
			return "", fmt.Errorf("cluster %s is not running, and stays: %s; `make up` starts it", d.Cluster, stays)
		}
		return "skipped: cluster " + d.Cluster + " is not running, and what was in it goes with it", nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if stays != "" && destroyErr != nil {
		return destroyErr
	}
	steps := []step{{"stack " + d.Stack, func() (string, error) { return d.removeStack(ctx, s) }}}
	if stays == "" {
		// If destroying fails, the rest goes on: the objects are all in the cluster, which is deleted next. The error
		// still makes this run fail, for whoever watches for destroys that do not work.
		if destroyErr != nil {
			d.steps.note("%v", destroyErr)
			d.steps.note("going on: the objects go with the cluster")
		}
		steps = append(steps, step{"cluster " + d.Cluster, func() (string, error) { return d.deleteCluster(ctx) }},
			step{"registry", func() (string, error) { return d.removeRegistry(ctx) }})
	}
	err = d.steps.doAll(steps...)
	if stays != "" && err == nil {
		d.steps.note("cluster %s and the registry stay: %s", d.Cluster, stays)
	}
	return errors.Join(destroyErr, err)
}

// clusterStays returns why the cluster is not to be deleted with the stack; "" if it is.
func (d *driver) clusterStays(ctx context.Context, s *stack) (string, error) {
	controlPlane, err := d.inspect(ctx, d.controlPlane())
	if err != nil || controlPlane.ID == "" {
		return "", err
	}
	switch d.mark(markCluster, d.Cluster) {
	case controlPlane.ID, unfinished:
	default:
		return "`up` in this folder did not make it", nil
	}
	if d.pulumi == "" {
		return "", nil
	}
	stacks, err := d.stacks(ctx, s)
	if err != nil {
		return "", err
	}
	var neighbours []string
	for _, other := range stacks {
		if other.Name == d.Stack || other.ResourceCount == 0 {
			continue
		}
		st, err := d.readState(ctx, s, other.Name)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(st.Deployment.Resources, func(r resource) bool {
			return r.Type == "pulumi:providers:kubernetes" && r.Inputs["context"] == "kind-"+d.Cluster
		}) {
			neighbours = append(neighbours, other.Name)
		}
	}
	if len(neighbours) == 0 {
		return "", nil
	}
	return strings.Join(neighbours, ", ") + " is in them, and its `make down` will remove them", nil
}

// destroy destroys the stack's resources, and what an interrupted update has left beside them.
func (d *driver) destroy(ctx context.Context, s *stack) (string, error) {
	interrupted := d.mark(markUnderWay, d.Stack) != ""
	if err := d.saveCopy(s); err != nil { // it may be gone
		return "", err
	}
	args := append([]string{"destroy", "--yes", "--skip-preview", "--stack", d.Stack}, d.configFlag(s)...)
	if s.onDocker() {
		args = append(args, "--refresh") // a container that is gone cannot be stopped
	}
	err := d.change(ctx, s, args...)
	switch {
	case err != nil || !interrupted:
	case s.onDocker():
		err = d.removeUnknown(ctx, s, state{})
	case s.onKind():
		_, err = d.kubectl(ctx, "delete", "namespaces", "--field-selector", "metadata.name="+s.setting(keyNamespace),
			"--selector", "app.kubernetes.io/part-of=scaleout")
	}
	if err != nil {
		return "", explainPulumi(d.Stack, fmt.Errorf("destroying stack %s: %w", d.Stack, err))
	}
	return "destroyed", nil
}

// removeStack removes the stack's record and the copy of its settings. --force, because resources that are still recorded
// went with their cluster, or are none; --preserve-config, because the stack's file belongs to git.
func (d *driver) removeStack(ctx context.Context, s *stack) (string, error) {
	did := "none"
	if d.pulumi != "" {
		exists, err := d.stackExists(ctx, s)
		if err != nil {
			return "", err
		}
		if exists {
			_, err := d.runPulumi(ctx, s, "stack", "rm", d.Stack, "--yes", "--force", "--preserve-config")
			if err != nil {
				return "", explainPulumi(d.Stack, fmt.Errorf("removing stack %s: %w", d.Stack, err))
			}
			did = "removed"
		}
	}
	if err := os.RemoveAll(d.local(stackFileName(d.Stack))); err != nil {
		return "", fmt.Errorf("removing the settings of stack %s: %w", d.Stack, err)
	}
	return did, d.clearMark(markUnderWay, d.Stack)
}

// nothingToDestroy returns the reason to skip the destroy, or "" if there is something to destroy.
func (d *driver) nothingToDestroy(ctx context.Context, s *stack) (string, error) {
	if _, ok := d.findPulumi(ctx); !ok {
		if states, _ := filepath.Glob(d.local("state", ".pulumi", "stacks", "scaleout", "*.json")); len(states) == 0 {
			return "no Pulumi CLI and no state here", nil
		}
		if _, err := d.ensurePulumi(ctx); err != nil {
			return "", err
		}
	}
	if exists, err := d.stackExists(ctx, s); err != nil || !exists {
		return "no stack " + d.Stack, err
	}
	return "", nil
}

// downOnDocker stops where destroying fails: the containers are nobody else's to remove. The registry stays if a
// cluster pulls from it.
func (d *driver) downOnDocker(ctx context.Context, s *stack) error {
	return d.steps.doAll(
		step{"pulumi destroy", func() (string, error) {
			if nothing, err := d.nothingToDestroy(ctx, s); nothing != "" || err != nil {
				return nothing, err
			}
			return d.destroy(ctx, s)
		}},
		step{"containers", func() (string, error) { return d.nothingLeft(ctx, s) }},
		step{"stack " + d.Stack, func() (string, error) { return d.removeStack(ctx, s) }},
		step{"registry", func() (string, error) {
			if nodes, err := d.nodes(ctx); err != nil || len(nodes) > 0 {
				return "left " + d.RegistryName + " alone: cluster " + d.Cluster + " uses it", err
			}
			return d.removeRegistry(ctx)
		}},
	)
}
