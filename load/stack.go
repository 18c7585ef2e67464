package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// outputs are the outputs of a running stack that a load needs. HPA is empty without an autoscaler.
type outputs struct{ URL, Image, Namespace, HPA string }

// pulumiStack reads the outputs and settings of a stack with the Pulumi CLI.
type pulumiStack struct {
	name string
	run  func(ctx context.Context, args ...string) ([]byte, error) // runs the Pulumi CLI and returns its output
}

// pulumi runs the CLI; `make load` sets the variables that it needs.
func pulumi(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive")...).Output()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		err = fmt.Errorf("pulumi %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

func (s pulumiStack) outputs(ctx context.Context) (*outputs, error) {
	out, err := s.run(ctx, "stack", "output", "--json", "--stack", s.name)
	if err != nil {
		return nil, err
	}
	o := &outputs{}
	if err := json.Unmarshal(out, o); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", s.name, err)
	}
	if o.URL == "" {
		return nil, fmt.Errorf("stack %s has no output `url`: it is not up; run `make up STACK=%[1]s`", s.name)
	}
	return o, nil
}

func (s pulumiStack) setting(ctx context.Context, key string) (string, error) {
	out, err := s.run(ctx, "config", "get", key, "--stack", s.name)
	return strings.TrimSpace(string(out)), err
}

// cluster returns the configuration for the cluster of the stack, and the name of its context. Without a given one it
// is the context in the stack's settings, never the current one: namespaces and objects have the same names in every
// cluster, so a wrong one would go unnoticed.
func (s pulumiStack) cluster(ctx context.Context, given string) (config *rest.Config, name string, err error) {
	name = given
	if name == "" {
		target, err := s.setting(ctx, "target")
		if err != nil {
			return nil, "", err
		}
		if target != "kind" { // the default of kubeContext is for kind
			return nil, "", fmt.Errorf("stack %s is on %s, so its settings have no kubeconfig context; "+
				"set that of its cluster with -context NAME", s.name, target)
		}
		if name, err = s.setting(ctx, "kubeContext"); err != nil {
			return nil, "", err
		}
	}
	config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(),
		&clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the context %q: %w; -context selects another", name, err)
	}
	return config, name, nil
}
