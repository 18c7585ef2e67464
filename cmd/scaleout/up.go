package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// up takes the machine to a running stack. Each step looks before it acts, so a second run, or one after an
// interruption, does only what is missing.
func (d *driver) up(ctx context.Context) error {
	s, err := d.openLocal("up")
	if err != nil {
		return err
	}
	with := s.with
	steps := []step{{"Docker", with(d.dockerAnswers)}, {"Pulumi CLI", with(d.ensurePulumi)}}
	if s.onKind() || s.pushesHere() {
		steps = append(steps, step{"registry", d.registry})
	}
	if s.onKind() {
		steps = append(steps, step{"cluster " + d.Cluster, d.cluster}, step{"registry in the cluster", d.wireRegistry})
	}
	steps = append(steps, step{"stack " + d.Stack, with(d.ensureStack)}, step{"Redis password", with(d.ensurePassword)},
		step{"pulumi up", with(d.update)})
	if err := d.do(ctx, steps...); err != nil {
		if s.existed {
			err = fmt.Errorf("%w\nto return to the previous image: make rollback%s", err, stackArgument(d.Stack))
		}
		return err
	}
	return d.finish(ctx, s)
}

// finish shows the app's answer and the next commands.
func (d *driver) finish(ctx context.Context, s *stack) error {
	o, err := s.outputs(ctx, d.Stack)
	if err != nil {
		return err
	}
	stack := stackArgument(d.Stack)
	address := o.URL
	if path := s.firstPath(); path != "" {
		address = strings.TrimSuffix(o.URL, "/") + path
	}
	err = d.do(ctx, step{"GET " + address, func(ctx context.Context) (string, error) {
		return waitForAnswer(ctx, address, appAnswers)
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
	did := "exists in " + s.backend.words
	if !s.existed {
		if err := d.refuseOthers(ctx, s); err != nil {
			return "", err
		}
		// What the copy holds of a deleted stack was encrypted for that one.
		committed, err := s.read(d.committed(d.Stack))
		if err == nil {
			s.settings = committed
			err = d.saveCopy(s)
		}
		if err == nil {
			err = s.workspace.CreateStack(ctx, d.Stack)
		}
		if err == nil {
			s.settings, err = s.read(d.local(stackFileName(d.Stack))) // with the salt
		}
		if err != nil {
			return "", fmt.Errorf("creating stack %s: %w", d.Stack, brief(err))
		}
		did = "created in " + s.backend.words
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
	return did, d.saveCopy(s)
}

// refuseOthers fails if the namespace of a new stack exists: what is in it belongs to another stack, whose containers
// and objects the recovery of this one would remove or take over.
func (d *driver) refuseOthers(ctx context.Context, s *stack) error {
	namespace := s.setting("namespace")
	var found string
	var err error
	if s.onDocker() {
		var names []string
		names, err = d.containers(ctx, stackLabel(s))
		found = strings.Join(names, " ")
	} else {
		found, err = d.kubectl(ctx, "get", "namespace", namespace, "--ignore-not-found", "--output", "name")
	}
	if err == nil && found != "" {
		err = fmt.Errorf("%s exists and does not belong to stack %s: choose another scaleout:namespace than %s, "+
			"or see docs/operations.md if the state was lost", found, d.Stack, namespace)
	}
	return err
}

// ensurePassword generates a random Redis password for a local stack without one. Pulumi reads it from standard input
// and encrypts it into the copy of the settings; the automation API would pass it as an argument, which process lists
// show.
func (d *driver) ensurePassword(ctx context.Context, s *stack) (string, error) {
	switch {
	case s.has("redisPassword"):
		return "exists", nil
	case s.setting("redis") == "false":
		return "not needed", nil
	case s.setting("redisHost") != "":
		return "", fmt.Errorf("stack %s has no password for the Redis at redisHost; set it with:\n"+
			"  eval \"$(make -s env%s)\"; pulumi config set --secret redisPassword", d.Stack, stackArgument(d.Stack))
	}
	random := strings.NewReader(rand.Text())
	_, err := s.pulumi(ctx, random, "config", "set", "--secret", "redisPassword", "--stack", d.Stack)
	if err == nil {
		s.settings, err = s.read(d.local(stackFileName(d.Stack)))
	}
	if err != nil {
		return "", fmt.Errorf("encrypting the Redis password: %w", err)
	}
	return "generated", nil
}

// update runs `pulumi up`. A stack on this machine skips the preview, which would run the program a second time.
// Elsewhere it finds errors before anything is changed.
func (d *driver) update(ctx context.Context, s *stack) (string, error) {
	opened, err := s.open(ctx, d.Stack)
	if err != nil {
		return "", brief(err)
	}
	options := []optup.Option{optup.ProgressStreams(d.out), optup.ErrorProgressStreams(d.out)}
	if s.local() {
		missing, err := d.recover(ctx, s)
		if err != nil {
			return "", err
		}
		// Refresh, since a cluster or containers may have been deleted.
		options = append(options, optup.Refresh(), optup.Replace(missing))
	} else {
		_, err = opened.Preview(ctx, optpreview.ProgressStreams(d.out), optpreview.ErrorProgressStreams(d.out))
	}
	if err == nil {
		_, err = opened.Up(ctx, options...)
	}
	if err = d.ended(ctx, s, brief(err)); err != nil {
		d.diagnose(ctx, s)
		return "", fmt.Errorf("updating stack %s: %w", d.Stack, err)
	}
	return "stack " + d.Stack + " is up to date", d.clearMark(markRollback, d.Stack)
}
