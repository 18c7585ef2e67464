package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optremove"
)

// up takes the machine to a running stack. Each step looks before it acts, so a second run, or one after an
// interruption, does only what is missing.
func (d *driver) up(ctx context.Context) error {
	if err := d.begin(ctx, "up"); err != nil {
		return err
	}
	var steps []step
	if d.onKind() || d.pushesHere() {
		steps = append(steps, step{"registry", d.registry})
	}
	if d.onKind() {
		steps = append(steps, step{"cluster " + d.Cluster, d.cluster}, step{"nodes", d.prepareNodes})
	}
	steps = append(steps, step{"stack " + d.Stack, d.ensureStack}, step{"Redis password", d.ensurePassword},
		step{"pulumi up", d.update})
	if err := d.do(ctx, steps...); err != nil {
		return err
	}
	o, err := d.outputs(ctx, d.stack, d.Stack)
	if err != nil {
		return err
	}
	var paths []string                                     // that lead to the app, none if all do
	_ = json.Unmarshal([]byte(d.setting("paths")), &paths) // the program reports a malformed value
	address, stack := strings.TrimSuffix(o.URL, "/")+append(paths, "/")[0], stackArgument(d.Stack)
	err = d.do(ctx, step{"GET " + address, func(ctx context.Context) (string, error) {
		return waitForAnswer(ctx, address)
	}})
	if err != nil {
		return fmt.Errorf("the stack is up, but the app does not answer: %w; see `make status%[2]s` and `make logs%[2]s`",
			err, stack)
	}
	d.total("up")
	if d.onKind() {
		d.note(`eval "$(make -s env%s)"   # for kubectl and pulumi`, stack)
	}
	remove := "make down" + stack
	if d.mark(markEnvironment, d.Stack) != "" {
		remove = "make env-down NAME=" + d.Stack
	}
	for _, c := range append(o.NextCommands, "make status"+stack, "make logs"+stack, remove) {
		d.note("%s", c)
	}
	return nil
}

// begin opens the stack for a command that changes it: its settings with the carried keys, Docker if the stack is on
// this machine, and Pulumi. elsewhere is the Pulumi command to suggest for a stack that is not local; it is empty for a
// command that supports such stacks.
func (d *driver) begin(ctx context.Context, elsewhere string, carried ...string) (err error) {
	if d.stack, err = d.openStack(d.Stack, carried...); err != nil {
		return err
	}
	var steps []step
	if d.isLocal() {
		steps = append(steps, step{"Docker", d.dockerAnswers})
	} else if elsewhere != "" {
		return fmt.Errorf("stack %s does not run on this machine; use pulumi %s --stack %[1]s", d.Stack, elsewhere)
	}
	return d.do(ctx, append(steps, step{"Pulumi CLI", d.connect})...)
}

// stackArgument returns what to add to a make command for a stack.
func stackArgument(stack string) string {
	if stack == defaultStack {
		return ""
	}
	return " STACK=" + stack
}

// ensureStack ensures that the backend has the stack, and sets in the copy of its settings what is true of this
// machine: the cluster's context, the port of the app, the registry's port and Docker's platform.
func (d *driver) ensureStack(ctx context.Context) (string, error) {
	did := "exists"
	if err := d.setMark(markDaemon, d.Stack, d.daemon); err != nil {
		return "", err
	}
	if !d.existed {
		did = "created"
		if err := d.createStack(ctx); err != nil {
			return "", fmt.Errorf("creating stack %s: %w", d.Stack, err)
		}
	}
	set := func(when bool, key, value string) {
		if when && d.setting(key) != value {
			d.set(key, value)
			did += fmt.Sprintf("\n%s is %s here", key, value)
		}
	}
	set(d.onKind(), "kubeContext", "kind-"+d.Cluster)
	port := d.HTTPPort // on kind this is the cluster's by now
	if d.onKind() && d.setting("tlsSecret") != "" {
		port = d.HTTPSPort
	}
	set(port != 0, "publicPort", fmt.Sprint(port))
	set(d.pushesHere(), "imageRepository", fmt.Sprintf("localhost:%d/%s", d.RegistryPort,
		localRepository.ReplaceAllLiteralString(d.setting("imageRepository"), "")))
	set(true, "imagePlatform", d.platform)
	return did, d.save()
}

// createStack creates a stack in the backend. It fails if the namespace exists: what is in it belongs to another stack,
// whose containers and objects the recovery of this one would remove or take over.
func (d *driver) createStack(ctx context.Context) error {
	namespace := d.setting("namespace")
	find := inNode(d.controlPlane(), "kubectl", "get", "namespace", namespace, "--ignore-not-found", "--output", "name")
	if d.onDocker() {
		find = command{name: "docker", args: []string{"ps", "--all", "--format", "{{.Names}}", "--filter", d.stackLabel()}}
	}
	found, err := d.host.Run(ctx, find)
	if names := strings.Join(strings.Fields(found), " "); err == nil && names != "" {
		err = fmt.Errorf("%s exists and does not belong to stack %s: choose another scaleout:namespace than %s, "+
			"or see docs/operations.md if the state was lost", names, d.Stack, namespace)
	}
	if err == nil { // what the copy holds of a deleted stack was encrypted for that one
		d.config, err = d.read(d.committed(d.Stack))
	}
	if err == nil {
		err = d.save()
	}
	if err == nil {
		err = d.explain(d.workspace.CreateStack(ctx, d.Stack))
	}
	if err == nil {
		d.config, err = d.read(d.copied(d.Stack)) // with the salt
	}
	return err
}

// ensurePassword generates a random Redis password for a local stack without one. Pulumi reads it from standard input
// and encrypts it into the copy of the settings; the automation API would pass it as an argument, which process lists
// show.
func (d *driver) ensurePassword(ctx context.Context) (string, error) {
	switch {
	case d.setting("redisPassword") != "":
		return "exists", nil
	case d.setting("redis") == "false":
		return "not needed", nil
	case d.setting("redisHost") != "":
		return "", fmt.Errorf("stack %s has no password for the Redis at redisHost; set it with:\n"+
			"  eval \"$(make -s env%s)\"; pulumi config set --secret redisPassword", d.Stack, stackArgument(d.Stack))
	}
	random := strings.NewReader(rand.Text())
	_, err := d.command(ctx, d.stack, random, "config", "set", "--secret", "redisPassword", "--stack", d.Stack)
	if err == nil {
		d.config, err = d.read(d.copied(d.Stack))
	}
	if err != nil {
		return "", fmt.Errorf("encrypting the Redis password: %w", err)
	}
	return "generated", nil
}

// down removes what up created, and works when part of it is gone already.
func (d *driver) down(ctx context.Context) error {
	if err := d.begin(ctx, "destroy", machineKeys...); err != nil {
		return err
	}
	if d.existed && !d.ownState && d.mark(markDaemon, d.Stack) == "" { // it may run on the machine of a colleague
		return fmt.Errorf("no `up` in this folder created stack %s of the shared backend: run `make down%s` where one did",
			d.Stack, stackArgument(d.Stack))
	}
	if at := d.setting("kubeContext"); d.onKind() && d.existed && at != "kind-"+d.Cluster {
		return fmt.Errorf("stack %s runs in %s: add CLUSTER=%s", d.Stack, at, strings.TrimPrefix(at, "kind-"))
	}
	kept, err := d.clusterKept(ctx)
	if err != nil {
		return err
	}
	steps := []step{{"pulumi destroy", d.destroy}, d.removeStack()}
	if d.onKind() && kept == "" { // the cluster holds all resources of the stack, so they need no destroy
		steps = []step{d.removeStack(optremove.Force()), {"cluster " + d.Cluster, d.deleteCluster}}
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
func (d *driver) clusterKept(ctx context.Context) (string, error) {
	nodes, err := d.containers(ctx, d.nodeLabel())
	if err != nil || !d.onKind() || len(nodes) == 0 {
		return "", err
	}
	made := d.mark(markCluster, d.Cluster)
	if made == unfinished {
		others, _ := d.othersIn(ctx) // a partial cluster need not answer
		return others, nil
	}
	if controlPlane, err := d.inspect(ctx, d.controlPlane()); err != nil || controlPlane.ID != made {
		return "`up` in this folder did not create it", err
	}
	if err := d.startNodes(ctx, nodes); err != nil {
		return "", fmt.Errorf("cluster %s does not run, so it is unknown what else is in it: %w; to delete it with "+
			"everything: docker rm --force --volumes %s, and make down again", d.Cluster, err, strings.Join(nodes, " "))
	}
	return d.othersIn(ctx, d.setting("namespace"), "traefik")
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
func (d *driver) destroy(ctx context.Context) (string, error) {
	if !d.existed {
		return "no stack " + d.Stack, nil
	}
	if d.mark(markActive, d.Stack) == "up" && d.onKind() {
		// What an interrupted update created without recording it is recorded by finishing that update.
		if _, err := d.update(ctx); err != nil {
			d.note("%v\ncontinuing with the destroy", err)
		}
	}
	options := []optdestroy.Option{optdestroy.ProgressStreams(d.out), optdestroy.ShowSecrets(false)}
	if d.onDocker() {
		options = append(options, optdestroy.Refresh()) // a container that is gone cannot be stopped
	}
	err := d.change(ctx, "destroy", func() error {
		_, err := d.pulumi.Destroy(ctx, options...)
		return err
	})
	if err == nil && d.onDocker() {
		err = d.removeUnknown(ctx, nil)
	}
	if err != nil {
		return "", fmt.Errorf("destroying stack %s: %w", d.Stack, err)
	}
	return "destroyed", nil
}

// removeStack is the step that removes the stack's record and, with it, the copy of its settings.
func (d *driver) removeStack(options ...optremove.Option) step {
	return step{"stack " + d.Stack, func(ctx context.Context) (string, error) {
		did := "none"
		if d.existed {
			did = "removed"
			if err := d.workspace.RemoveStack(ctx, d.Stack, options...); err != nil {
				return "", d.explain(err)
			}
		}
		return did, errors.Join(os.RemoveAll(d.copied(d.Stack)), d.clearMark(markDaemon, d.Stack),
			d.clearMark(markActive, d.Stack))
	}}
}
