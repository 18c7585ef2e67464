package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// down removes what up made, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	s, err := d.openStack(machineKeys...)
	if err != nil {
		return err
	}
	if !s.local() {
		return d.downElsewhere(ctx, s)
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
	destroyErr := d.steps.do("pulumi destroy", func() (string, error) { return d.destroyOnKind(ctx, s) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stays, err := d.clusterStays(ctx, s)
	if err != nil || stays != "" && destroyErr != nil {
		return errors.Join(destroyErr, err)
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
	nodes, err := d.nodes(ctx)
	if err != nil || len(nodes) == 0 {
		return "", err
	}
	ours, err := d.madeCluster(ctx)
	if err != nil {
		return "", err
	}
	if !ours {
		return "`up` in this folder did not make it", nil
	}
	neighbours, err := d.neighbours(ctx, s)
	if err != nil || len(neighbours) == 0 {
		return "", err
	}
	return strings.Join(neighbours, ", ") + " is in them, and its `make down` will remove them", nil
}

// neighbours are the other stacks of this backend that have objects in the cluster.
func (d *driver) neighbours(ctx context.Context, s *stack) ([]string, error) {
	if d.pulumi == "" {
		return nil, nil
	}
	stacks, err := d.stacks(ctx, s)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, other := range stacks {
		if other.Name == d.Stack || other.ResourceCount == 0 {
			continue
		}
		st, err := d.readState(ctx, s, other.Name)
		if err != nil {
			return nil, err
		}
		if st.deploysTo("kind-" + d.Cluster) {
			found = append(found, other.Name)
		}
	}
	return found, nil
}

// destroyOnKind destroys the stack's resources if there is a stack and a cluster to reach.
func (d *driver) destroyOnKind(ctx context.Context, s *stack) (string, error) {
	if nothing, err := d.nothingToDestroy(ctx, s); nothing != "" || err != nil {
		return nothing, err
	}
	nodes, err := d.nodes(ctx)
	if err != nil {
		return "", err
	}
	stopped := len(nodes) == 0 || d.mark(markCluster, d.Cluster) == unfinished
	for _, n := range nodes {
		stopped = stopped || n.name == d.controlPlane() && n.state != "running"
	}
	if !stopped {
		return d.destroy(ctx, s)
	}
	stays, err := d.clusterStays(ctx, s)
	if err != nil || stays != "" {
		return "", cmp.Or(err, fmt.Errorf("cluster %s is not running, and stays: %s; `make up` starts it", d.Cluster, stays))
	}
	return "skipped: cluster " + d.Cluster + " is not running, and what was in it goes with it", nil
}

// destroy destroys the stack's resources, and what an interrupted update has left beside them.
func (d *driver) destroy(ctx context.Context, s *stack) (string, error) {
	interrupted := d.mark(markUnderWay, d.Stack) != ""
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
		_, err = d.kubectl(ctx, "delete", "namespace", s.setting(keyNamespace), "--ignore-not-found")
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

// downElsewhere destroys a stack that is not on this machine. Its record and its file stay: they are shared with others.
func (d *driver) downElsewhere(ctx context.Context, s *stack) error {
	if d.Confirm != d.Stack {
		return fmt.Errorf("stack %s is not on this machine: destroying it needs CONFIRM=%[1]s", d.Stack)
	}
	err := d.steps.doAll(
		step{"Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }},
		step{"pulumi destroy", func() (string, error) { return d.destroy(ctx, s) }},
	)
	if err != nil {
		return err
	}
	d.steps.total("down")
	d.steps.note("the empty stack is kept with its history: `pulumi stack rm %s --preserve-config` removes it", d.Stack)
	return nil
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
