package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// down takes away what up made, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	s, err := d.openStack()
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
		return d.downOnDocker(ctx, s)
	}
	destroyErr := d.steps.do("pulumi destroy", func() (string, error) { return d.destroyOnKind(ctx, s) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	neighbours, err := d.neighbours(ctx, s)
	if err != nil {
		return errors.Join(destroyErr, err)
	}
	if len(neighbours) > 0 {
		if destroyErr != nil {
			return destroyErr
		}
		return d.leaveCluster(ctx, s, neighbours)
	}
	// If destroying fails, the rest goes on: the objects are all in the cluster, which is deleted next. The error
	// still makes this run fail, for whoever watches for destroys that do not work.
	if destroyErr != nil {
		d.steps.note("%v", destroyErr)
		d.steps.note("going on: the objects go with the cluster")
	}
	for _, st := range []struct {
		title string
		run   func(context.Context) (string, error)
	}{
		{"stack " + d.Stack, func(ctx context.Context) (string, error) { return d.removeStack(ctx, s) }},
		{"cluster " + d.Cluster, d.deleteCluster},
		{"registry", d.removeRegistry},
	} {
		if err := d.steps.do(st.title, func() (string, error) { return st.run(ctx) }); err != nil {
			return errors.Join(destroyErr, err)
		}
	}
	d.steps.total("down")
	return destroyErr
}

// neighbours are the other stacks of this backend that have objects in the cluster.
func (d *driver) neighbours(ctx context.Context, s *stack) ([]string, error) {
	nodes, err := d.nodes(ctx)
	if err != nil || len(nodes) == 0 || d.pulumi == "" {
		return nil, err
	}
	stacks, err := d.stacks(ctx, s)
	if err != nil {
		return nil, explainPulumi(d.Stack, err)
	}
	var found []string
	for _, other := range stacks {
		if other.Name == d.Stack || other.ResourceCount == 0 {
			continue
		}
		st, err := d.exportState(ctx, s, other.Name)
		if err != nil {
			return nil, err
		}
		if st.deploysTo("kind-" + d.Cluster) {
			found = append(found, other.Name)
		}
	}
	return found, nil
}

// leaveCluster ends a `down` where other stacks stay.
func (d *driver) leaveCluster(ctx context.Context, s *stack, neighbours []string) error {
	if err := d.steps.do("stack "+d.Stack, func() (string, error) { return d.removeStack(ctx, s) }); err != nil {
		return err
	}
	d.steps.note("cluster %s and the registry stay: %s is in them, and its `make down` will remove them", d.Cluster,
		strings.Join(neighbours, ", "))
	d.steps.total("down")
	return nil
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
	if len(nodes) == 0 || nodes[0].state != "running" || d.creating(d.Cluster) {
		neighbours, err := d.neighbours(ctx, s)
		if err != nil || len(neighbours) > 0 {
			return "", cmp.Or(err, fmt.Errorf("cluster %s is not running, and %s is in it too: `make up` starts it",
				d.Cluster, strings.Join(neighbours, ", ")))
		}
		return "skipped: cluster " + d.Cluster + " is not running, and what was in it goes with it", nil
	}
	return d.destroy(ctx, s)
}

// destroy destroys the stack's resources, those included that a killed update had just begun to create.
func (d *driver) destroy(ctx context.Context, s *stack) (string, error) {
	_, err := d.adopt(ctx, s)
	if err == nil {
		args := []string{"destroy", "--yes", "--skip-preview", "--stack", d.Stack}
		if s.onDocker() {
			args = append(args, "--refresh") // a container that is gone cannot be stopped
		}
		err = d.runUnlocked(ctx, s, d.steps.stream(), "", args...)
	}
	if err != nil {
		return "", explainPulumi(d.Stack, fmt.Errorf("destroying stack %s: %w", d.Stack, err))
	}
	return "destroyed", d.clearMark(markUnderWay, d.Stack)
}

// removeStack removes the stack's record and what up wrote to its file. --force, because resources that are still
// recorded went with their cluster, or are none; --preserve-config, because the file belongs to git.
func (d *driver) removeStack(ctx context.Context, s *stack) (string, error) {
	var did []string
	if d.pulumi != "" {
		exists, err := d.stackExists(ctx, s)
		if err != nil {
			return "", explainPulumi(d.Stack, err)
		}
		if exists {
			_, err := d.runPulumi(ctx, s, "stack", "rm", d.Stack, "--yes", "--force", "--preserve-config")
			if err != nil {
				return "", explainPulumi(d.Stack, fmt.Errorf("removing stack %s: %w", d.Stack, err))
			}
			did = append(did, "removed")
		}
	}
	if keys := s.file.clean(); len(keys) > 0 {
		if err := s.file.save(); err != nil {
			return "", err
		}
		did = append(did, fmt.Sprintf("took back %s in Pulumi.%s.yaml", strings.Join(keys, ", "), d.Stack))
	}
	return cmp.Or(strings.Join(did, ", "), "none"), d.clearMark(markUnderWay, d.Stack)
}

// downElsewhere destroys a stack that is not on this machine. Its record and its file stay: they are shared with others.
func (d *driver) downElsewhere(ctx context.Context, s *stack) error {
	if d.Confirm != d.Stack {
		return usageError{fmt.Errorf("stack %s is not on this machine: destroying it needs CONFIRM=%[1]s", d.Stack)}
	}
	if err := d.steps.do("Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }); err != nil {
		return err
	}
	if err := d.steps.do("pulumi destroy", func() (string, error) { return d.destroy(ctx, s) }); err != nil {
		return err
	}
	d.steps.total("down")
	d.steps.note("the empty stack is kept with its history: `pulumi stack rm %s --preserve-config` removes it", d.Stack)
	return nil
}

// nothingToDestroy says why there is nothing, or nothing if there is something.
func (d *driver) nothingToDestroy(ctx context.Context, s *stack) (string, error) {
	if _, ok := d.findPulumi(ctx); !ok {
		if states, _ := filepath.Glob(d.local("state", ".pulumi", "stacks", "scaleout", "*.json")); len(states) == 0 {
			return "no Pulumi CLI and no state here", nil
		}
		if _, err := d.ensurePulumi(ctx); err != nil {
			return "", err
		}
	}
	exists, err := d.stackExists(ctx, s)
	if err != nil {
		return "", explainPulumi(d.Stack, err)
	}
	if !exists {
		return "no stack " + d.Stack, nil
	}
	return "", nil
}

// downOnDocker stops where destroying fails: the containers are nobody else's to remove. The registry stays if a
// cluster pulls from it.
func (d *driver) downOnDocker(ctx context.Context, s *stack) error {
	for _, st := range []struct {
		title string
		run   func() (string, error)
	}{
		{"pulumi destroy", func() (string, error) {
			if nothing, err := d.nothingToDestroy(ctx, s); nothing != "" || err != nil {
				return nothing, err
			}
			return d.destroy(ctx, s)
		}},
		{"containers", func() (string, error) { return d.nothingLeft(ctx, s) }},
		{"stack " + d.Stack, func() (string, error) { return d.removeStack(ctx, s) }},
		{"registry", func() (string, error) {
			if nodes, err := d.nodes(ctx); err != nil || len(nodes) > 0 {
				return "left " + d.RegistryName + " alone: cluster " + d.Cluster + " uses it", err
			}
			return d.removeRegistry(ctx)
		}},
	} {
		if err := d.steps.do(st.title, st.run); err != nil {
			return err
		}
	}
	d.steps.total("down")
	return nil
}
