package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// down removes what up made, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	s, err := d.openLocal("destroy", machineKeys...)
	if err != nil {
		return err
	}
	if err := d.doAll(
		step{"Docker", func() (string, error) { return d.dockerAnswers(ctx) }},
		step{"Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }},
	); err != nil {
		return err
	}
	if err := d.lookUp(ctx, s); err != nil {
		return err
	}
	if s.onDocker() {
		err = d.downOnDocker(ctx, s)
	} else {
		err = d.downOnKind(ctx, s)
	}
	if err == nil {
		d.total("down")
	}
	return err
}

func (d *driver) downOnKind(ctx context.Context, s *stack) error {
	node, err := d.inspect(ctx, d.controlPlane())
	if err != nil {
		return err
	}
	stays, err := d.clusterStays(ctx, s, node)
	if err != nil {
		return err
	}
	destroyErr := d.do("pulumi destroy", func() (string, error) {
		runs := node.State.Running && d.mark(markCluster, d.Cluster) != unfinished
		switch {
		case runs || !s.existed:
			return d.destroy(ctx, s)
		case stays != "":
			return "", fmt.Errorf("cluster %s is not running, and stays: %s; `make up` starts it", d.Cluster, stays)
		}
		return "skipped: cluster " + d.Cluster + " is not running, and what was in it goes with it", nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case destroyErr != nil && stays != "":
		return destroyErr
	case destroyErr != nil:
		// The rest goes on: the objects are all in the cluster, which is deleted next. The error still makes this run
		// fail, for whoever watches for destroys that do not work.
		d.note("%v\n    going on: the objects go with the cluster", destroyErr)
	}
	steps := []step{{"stack " + d.Stack, func() (string, error) { return d.removeStack(ctx, s) }}}
	if stays == "" {
		steps = append(steps, step{"cluster " + d.Cluster, func() (string, error) { return d.deleteCluster(ctx) }},
			step{"registry", func() (string, error) { return d.removeRegistry(ctx) }})
	}
	err = d.doAll(steps...)
	if stays != "" && err == nil {
		d.note("cluster %s and the registry stay: %s", d.Cluster, stays)
	}
	return errors.Join(destroyErr, err)
}

// downOnDocker stops where destroying fails: the containers are nobody else's to remove.
func (d *driver) downOnDocker(ctx context.Context, s *stack) error {
	return d.doAll(
		step{"pulumi destroy", func() (string, error) { return d.destroy(ctx, s) }},
		step{"containers", func() (string, error) { return d.nothingLeft(ctx, s) }},
		step{"stack " + d.Stack, func() (string, error) { return d.removeStack(ctx, s) }},
		step{"registry", func() (string, error) { return d.removeRegistry(ctx) }},
	)
}

// clusterStays returns why the cluster is not to be deleted with the stack; "" if it is.
func (d *driver) clusterStays(ctx context.Context, s *stack, controlPlane container) (string, error) {
	if controlPlane.ID == "" {
		return "", nil
	}
	made := d.mark(markCluster, d.Cluster)
	if made != controlPlane.ID && made != unfinished {
		return "`up` in this folder did not make it", nil
	}
	stacks, err := d.stacks(ctx, s)
	if err != nil {
		return "", err
	}
	var neighbours []string
	for _, other := range stacks {
		name := path.Base(other.Name)
		if name == d.Stack || other.ResourceCount == 0 {
			continue
		}
		st, err := d.readState(ctx, s, name)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(st.Deployment.Resources, func(r resource) bool {
			return r.Type == "pulumi:providers:kubernetes" && r.Inputs["context"] == "kind-"+d.Cluster
		}) {
			neighbours = append(neighbours, name)
		}
	}
	if len(neighbours) > 0 {
		return strings.Join(neighbours, ", ") + " is in them, and its `make down` will remove them", nil
	}
	var own []string
	if made != unfinished {
		own = []string{s.setting(keyNamespace), "traefik"}
	}
	if others := d.othersIn(ctx, own...); others != "" {
		return others + " of another folder or backend is in it", nil
	}
	return "", nil
}

// othersIn returns the namespaces in the cluster that stacks of this program made, but for those of this folder; in a
// cluster that was never finished it has none. One that does not answer has nothing that anybody could use.
func (d *driver) othersIn(ctx context.Context, own ...string) string {
	found, _ := d.kubectl(ctx, "get", "namespaces", "--selector", partOf, "--output", "name")
	return strings.Join(slices.DeleteFunc(strings.Fields(found), func(object string) bool {
		return slices.Contains(own, path.Base(object))
	}), " ")
}

// destroy destroys the stack's resources, and what an interrupted update has left beside them.
func (d *driver) destroy(ctx context.Context, s *stack) (string, error) {
	if !s.existed {
		return "no stack " + d.Stack, nil
	}
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
		err = d.removeLeft(ctx, s)
	}
	if err != nil {
		return "", fmt.Errorf("destroying stack %s: %w", d.Stack, err)
	}
	return "destroyed", nil
}

// partOf is the label of every object of this program.
const partOf = "app.kubernetes.io/part-of=scaleout"

// removeLeft deletes what an interrupted update made and did not note in the state. Nothing of it was there before
// (unclaimed).
func (d *driver) removeLeft(ctx context.Context, s *stack) error {
	namespace := s.setting(keyNamespace)
	deletions := [][]string{
		{"namespaces", "--field-selector", "metadata.name=" + namespace, "--selector", partOf},
		{"clusterroles,clusterrolebindings", "--field-selector", "metadata.name=" + namespace + "-prometheus",
			"--selector", partOf},
	}
	for key, instance := range map[string]string{keyTraefik: "traefik", keyMetricsServer: "metrics-server"} {
		if s.setting(key) == "true" {
			selector := partOf + ",app.kubernetes.io/instance=" + instance
			deletions = append(deletions,
				[]string{"namespaces,clusterroles,clusterrolebindings,ingressclasses,apiservices", "-l", selector},
				[]string{"deployments,services,serviceaccounts,rolebindings", "-n", "kube-system", "-l", selector})
		}
	}
	for _, objects := range deletions {
		if _, err := d.kubectl(ctx, append([]string{"delete"}, objects...)...); err != nil {
			return err
		}
	}
	return nil
}

// removeStack removes the stack's record and the copy of its settings. --force, because resources that are still recorded
// went with their cluster, or are none; --preserve-config, because the stack's file belongs to git.
func (d *driver) removeStack(ctx context.Context, s *stack) (string, error) {
	did := "none"
	if s.existed {
		rm := d.pulumiCommand(s, "stack", "rm", d.Stack, "--yes", "--force", "--preserve-config")
		if err := d.unlocked(ctx, s, rm); err != nil {
			return "", err
		}
		did = "removed"
	}
	return did, errors.Join(os.RemoveAll(d.local(stackFileName(d.Stack))),
		d.clearMark(markUnderWay, d.Stack), d.clearMark(markDaemon, d.Stack))
}
