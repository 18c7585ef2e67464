package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// up takes the machine to a running stack. Each step looks before it acts, so a second run, or one after an
// interruption, does only what is missing.
func (d *driver) up(ctx context.Context) error {
	s, err := d.begin(ctx, "up")
	if err != nil {
		return err
	}
	var steps []step
	if s.onKind() || s.pushesHere() {
		steps = append(steps, step{"registry", d.registry})
	}
	if s.onKind() {
		steps = append(steps, step{"cluster " + d.Cluster, d.cluster}, step{"registry in the cluster", d.wireRegistry})
	}
	steps = append(steps, step{"stack " + d.Stack, s.with(d.ensureStack)},
		step{"Redis password", s.with(d.ensurePassword)}, step{"pulumi up", s.with(d.update)})
	if err := d.do(ctx, steps...); err != nil {
		return err
	}
	return d.finish(ctx, s)
}

// begin opens the stack for a command that changes it: its settings, with those named from its copy, Docker if it runs
// there, and Pulumi. A command that is for stacks on this machine names the one of Pulumi for others.
func (d *driver) begin(ctx context.Context, elsewhere string, carried ...string) (*stack, error) {
	s, err := d.openStack(d.Stack, carried...)
	if err != nil {
		return nil, err
	}
	var steps []step
	if s.local() {
		steps = append(steps, step{"Docker", s.with(d.dockerAnswers)})
	} else if elsewhere != "" {
		return nil, fmt.Errorf("stack %s does not run on this machine; use pulumi %s --stack %[1]s", d.Stack, elsewhere)
	}
	return s, d.do(ctx, append(steps, step{"Pulumi CLI", s.with(d.ensurePulumi)})...)
}

// finish shows the app's answer and the next commands.
func (d *driver) finish(ctx context.Context, s *stack) error {
	o, err := d.outputs(ctx, s, d.Stack)
	if err != nil {
		return err
	}
	var paths []string                                     // that lead to the app, none if all do
	_ = json.Unmarshal([]byte(s.setting("paths")), &paths) // the program reports a malformed value
	address, stack := strings.TrimSuffix(o.URL, "/")+append(paths, "/")[0], stackArgument(d.Stack)
	err = d.do(ctx, step{"GET " + address, func(ctx context.Context) (string, error) {
		return waitForAnswer(ctx, address)
	}})
	if err != nil {
		return fmt.Errorf("the stack is up, but the app does not answer: %w; see `make status%[2]s` and `make logs%[2]s`",
			err, stack)
	}
	d.total("up")
	if s.onKind() {
		d.note(`eval "$(make -s env%s)"   # for kubectl and pulumi`, stack)
	}
	for _, c := range append(o.NextCommands, "make status"+stack, "make logs"+stack, "make down"+stack) {
		d.note("%s", c)
	}
	return nil
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
func (d *driver) ensureStack(ctx context.Context, s *stack) (string, error) {
	did := "exists"
	if !s.existed {
		did = "created"
		if err := d.createStack(ctx, s); err != nil {
			return "", fmt.Errorf("creating stack %s: %w", d.Stack, err)
		}
	}
	set := func(when bool, key, value string) {
		if when && s.setting(key) != value {
			s.set(key, value)
			did += fmt.Sprintf("\n%s is %s here", key, value)
		}
	}
	set(s.onKind(), "kubeContext", "kind-"+d.Cluster)
	port := d.HTTPPort // on kind this is the cluster's by now
	if s.onKind() && s.setting("tlsSecret") != "" {
		port = d.HTTPSPort
	}
	set(port != 0, "publicPort", strconv.Itoa(port))
	set(s.pushesHere(), "imageRepository", fmt.Sprintf("localhost:%d/%s", d.RegistryPort,
		localRepository.ReplaceAllLiteralString(s.setting("imageRepository"), "")))
	set(true, "imagePlatform", d.platform)
	return did, d.save(s)
}

// createStack creates a stack in the backend. It fails if the namespace exists: what is in it belongs to another stack,
// whose containers and objects the recovery of this one would remove or take over.
func (d *driver) createStack(ctx context.Context, s *stack) error {
	namespace := s.setting("namespace")
	find := d.inNode("kubectl", "get", "namespace", namespace, "--ignore-not-found", "--output", "name")
	if s.onDocker() {
		find = command{name: "docker", args: []string{"ps", "--all", "--format", "{{.Names}}", "--filter", stackLabel(s)}}
	}
	found, err := d.host.Run(ctx, find)
	if names := strings.Join(strings.Fields(found), " "); err == nil && names != "" {
		err = fmt.Errorf("%s exists and does not belong to stack %s: choose another scaleout:namespace than %s, "+
			"or see docs/operations.md if the state was lost", names, d.Stack, namespace)
	}
	if err == nil { // what the copy holds of a deleted stack was encrypted for that one
		s.settings, err = s.read(d.committed(d.Stack))
	}
	if err == nil {
		err = d.save(s)
	}
	if err == nil {
		err = d.change(ctx, s, func() error { return s.workspace.CreateStack(ctx, d.Stack) })
	}
	if err == nil {
		s.settings, err = s.read(d.copied(d.Stack)) // with the salt
	}
	return err
}

// ensurePassword generates a random Redis password for a local stack without one. Pulumi reads it from standard input
// and encrypts it into the copy of the settings; the automation API would pass it as an argument, which process lists
// show.
func (d *driver) ensurePassword(ctx context.Context, s *stack) (string, error) {
	switch {
	case s.setting("redisPassword") != "":
		return "exists", nil
	case s.setting("redis") == "false":
		return "not needed", nil
	case s.setting("redisHost") != "":
		return "", fmt.Errorf("stack %s has no password for the Redis at redisHost; set it with:\n"+
			"  eval \"$(make -s env%s)\"; pulumi config set --secret redisPassword", d.Stack, stackArgument(d.Stack))
	}
	random := strings.NewReader(rand.Text())
	_, err := d.command(ctx, s, random, "config", "set", "--secret", "redisPassword", "--stack", d.Stack)
	if err == nil {
		s.settings, err = s.read(d.copied(d.Stack))
	}
	if err != nil {
		return "", fmt.Errorf("encrypting the Redis password: %w", err)
	}
	return "generated", nil
}
