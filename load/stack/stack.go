// Package stack finds what a stack has told Pulumi of itself, and its cluster.
package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Outputs are those of a running stack. What it has not is empty.
type Outputs struct {
	URL, Image string
	Namespace  string
	HPA        string
	// Prometheus and Grafana are the names of their Services.
	Prometheus, Grafana string
}

// Project is where Pulumi finds a stack.
type Project struct {
	Root, Stack string
	// Run runs a script of bash in a folder and returns what it prints.
	Run func(ctx context.Context, dir, script string, args ...string) ([]byte, error)
}

// Open is the stack of the project in this folder or above it.
func Open(name string) (Project, error) {
	root, err := findRoot()
	return Project{Root: root, Stack: name, Run: shell}, err
}

// shell runs a script of bash, and says on failure what it printed.
func shell(ctx context.Context, dir, script string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "bash", append([]string{"-c", script, "bash"}, args...)...) //nolint:gosec // the scripts are those below
	command.Dir = dir
	var out, progress bytes.Buffer
	command.Stdout, command.Stderr = &out, &progress
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(progress.String()))
	}
	return out.Bytes(), nil
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "Pulumi.yaml")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no Pulumi.yaml in %s or above it; run this from the repository", dir)
		}
	}
}

// pulumi runs the CLI with the backend of `make up`.
func (p Project) pulumi(ctx context.Context, args ...string) ([]byte, error) {
	const script = `additions="$(make -s --no-print-directory env)" && eval "$additions" && pulumi "$@" --non-interactive`
	return p.Run(ctx, p.Root, script, append(args, "--stack", p.Stack)...)
}

// Outputs asks Pulumi for the running stack.
func (p Project) Outputs(ctx context.Context) (*Outputs, error) {
	out, err := p.pulumi(ctx, "stack", "output", "--json")
	if err != nil {
		return nil, fmt.Errorf("asking for the outputs of stack %s: %w", p.Stack, err)
	}
	o := &Outputs{}
	if err := json.Unmarshal(out, o); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", p.Stack, err)
	}
	if o.URL == "" {
		return nil, fmt.Errorf("stack %s has no output `url`: it is not up; run `make up STACK=%[1]s`", p.Stack)
	}
	return o, nil
}

func (p Project) setting(ctx context.Context, key string) (string, error) {
	out, err := p.pulumi(ctx, "config", "get", key)
	if err != nil {
		return "", fmt.Errorf("asking for the setting %s of stack %s: %w", key, p.Stack, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Cluster is how to connect to the cluster of the stack. An empty name means the context of the stack's settings, never
// the current one: objects have the same names in every cluster, so the wrong one would not be noticed. It returns the
// name of what it took.
func (p Project) Cluster(ctx context.Context, name string) (*rest.Config, string, error) {
	if name == "" {
		target, err := p.setting(ctx, "target")
		if err != nil {
			return nil, "", err
		}
		if target != "kind" { // kubeContext has a default, which is of kind
			return nil, "", fmt.Errorf("stack %s is on %s, so its settings name no kubeconfig context; -context NAME says which is its cluster's",
				p.Stack, target)
		}
		if name, err = p.setting(ctx, "kubeContext"); err != nil {
			return nil, "", err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	// The clusters of `make up` are in a kubeconfig of the project.
	rules.Precedence = append([]string{filepath.Join(p.Root, ".local", "kubeconfig")}, rules.Precedence...)
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the context %q: %w; -context takes another", name, err)
	}
	return config, name, nil
}
