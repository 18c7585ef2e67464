package main

import (
	"context"
	"fmt"
)

// up takes the machine to a running stack. Each step looks before it acts, so that a second run, or one after an
// interruption, does only what is missing.
func (d *driver) up(ctx context.Context) error {
	s, err := d.openStack()
	if err != nil {
		return err
	}
	if err := d.requirePassword(s); err != nil {
		return err
	}
	type step struct {
		title string
		run   func() (string, error)
	}
	prepare := []step{
		{"Docker", func() (string, error) { return d.dockerAnswers(ctx) }},
		{"Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }},
	}
	registry := step{"registry", func() (string, error) { return d.registry(ctx) }}
	switch {
	case s.onKind():
		prepare = append(prepare,
			step{"Kind", func() (string, error) { return d.ensureKind(ctx) }},
			registry,
			step{"cluster " + d.Cluster, func() (string, error) { return d.cluster(ctx) }},
			step{"registry in the cluster", func() (string, error) { return d.wireRegistry(ctx) }},
		)
	case s.onDocker() && s.pushesHere():
		prepare = append(prepare, registry)
	}
	deploy := []step{{"stack " + d.Stack, func() (string, error) { return d.ensureStack(ctx, s) }}}
	if s.local() {
		deploy = append(deploy,
			step{"settings of stack " + d.Stack, func() (string, error) { return d.matchSettings(ctx, s) }},
			step{"Redis password", func() (string, error) { return d.ensurePassword(ctx, s) }},
		)
	}
	if s.onDocker() {
		deploy = append(deploy,
			step{"port", func() (string, error) { return d.portIsFree(ctx, s) }},
			step{"containers", func() (string, error) { return d.startContainers(ctx, s) }},
		)
	}
	deploy = append(deploy, step{"pulumi up", func() (string, error) {
		result, err := d.update(ctx, s)
		if err != nil && s.existed {
			err = fmt.Errorf("%w\nto return to the image that ran before: make rollback%s", err, stackArgument(d.Stack))
		}
		return result, err
	}})
	for _, st := range append(prepare, deploy...) {
		if err := d.steps.do(st.title, st.run); err != nil {
			return err
		}
	}
	return d.finish(ctx, s)
}

// finish shows the app's answer and what to type next.
func (d *driver) finish(ctx context.Context, s *stack) error {
	o, err := d.outputs(ctx, s, d.Stack)
	if err != nil {
		return err
	}
	err = d.steps.do("GET "+o.URL, func() (string, error) {
		a, err := waitForAnswer(ctx, o.URL)
		if err != nil && !s.local() {
			// A cloud load balancer and its name take minutes to become known; the stack itself is complete.
			return "no answer yet: " + err.Error(), nil
		}
		return a.String(), err
	})
	if err != nil {
		return fmt.Errorf("the stack is up, but the app does not answer: %w; see `make status%[2]s` and `make logs%[2]s`",
			err, stackArgument(d.Stack))
	}
	d.steps.total("up")
	for _, c := range o.NextCommands {
		d.steps.note("%s", c)
	}
	for _, c := range []string{"status", "logs", "down"} {
		d.steps.note("make %s%s", c, stackArgument(d.Stack))
	}
	return nil
}

// stackArgument is what to add to a make command for a stack.
func stackArgument(stack string) string {
	if stack == defaultStack {
		return ""
	}
	return " STACK=" + stack
}
