package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// outputs are those of a running stack that a load needs. HPA is empty without an autoscaler.
type outputs struct{ URL, Image, Namespace, HPA string }

// pulumiStack asks Pulumi for a stack.
type pulumiStack struct {
	name string
	// run runs the Pulumi CLI and returns what it prints.
	run func(ctx context.Context, args ...string) ([]byte, error)
}

// pulumi runs the CLI; `make load` has set the variables that it needs.
func pulumi(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive")...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

func (s pulumiStack) outputs(ctx context.Context) (*outputs, error) {
	out, err := s.run(ctx, "stack", "output", "--json", "--stack", s.name)
	if err != nil {
		return nil, fmt.Errorf("asking for the outputs of stack %s: %w", s.name, err)
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
	args := []string{"config", "get", key, "--stack", s.name}
	// The settings of a stack of `make up` are a copy; the shell function of `make env` that knows is not seen here.
	settings := filepath.Join(".local", "Pulumi."+s.name+".yaml")
	if _, err := os.Stat(settings); err == nil {
		args = append(args, "--config-file", settings)
	}
	out, err := s.run(ctx, args...)
	if err != nil {
		return "", fmt.Errorf("asking for the setting %s of stack %s: %w", key, s.name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// cluster is how to connect to the cluster of the stack, and the name of its context. Without a given one it is that of
// the stack's settings, never the current one: all clusters have the same names, so nobody would notice the wrong one.
func (s pulumiStack) cluster(ctx context.Context, given string) (config *rest.Config, name string, err error) {
	name = given
	if name == "" {
		target, err := s.setting(ctx, "target")
		if err != nil {
			return nil, "", err
		}
		if target != "kind" { // kubeContext has a default, which is of kind
			return nil, "", fmt.Errorf("stack %s is on %s, so its settings name no kubeconfig context; "+
				"-context NAME says which is its cluster's", s.name, target)
		}
		if name, err = s.setting(ctx, "kubeContext"); err != nil {
			return nil, "", err
		}
	}
	config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(),
		&clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the context %q: %w; -context takes another", name, err)
	}
	return config, name, nil
}
