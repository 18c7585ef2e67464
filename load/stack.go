package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// stack is what the load needs to know of a running stack.
type stack struct {
	URL, Image string
	Namespace  string
	HPA        string // empty without an autoscaler
}

// project is where Pulumi finds the stack.
type project struct {
	root, stack string
	run         func(ctx context.Context, dir, script string, args ...string) ([]byte, error)
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

// findRoot looks for the project upwards from here.
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
func (p project) pulumi(ctx context.Context, args ...string) ([]byte, error) {
	const script = `additions="$(make -s env)" && eval "$additions" && exec pulumi "$@" --non-interactive`
	return p.run(ctx, p.root, script, append(args, "--stack", p.stack)...)
}

// outputs asks Pulumi for the running stack.
func (p project) outputs(ctx context.Context) (*stack, error) {
	out, err := p.pulumi(ctx, "stack", "output", "--json")
	if err != nil {
		return nil, fmt.Errorf("asking for the outputs of stack %s: %w", p.stack, err)
	}
	s := &stack{}
	if err := json.Unmarshal(out, s); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", p.stack, err)
	}
	if s.URL == "" {
		return nil, fmt.Errorf("stack %s has no output `url`: it is not up; run `make up STACK=%[1]s`", p.stack)
	}
	return s, nil
}

// client connects to the cluster of the stack. An empty name means the context of the stack's settings and, as a stack
// on EKS has none, else the current one; it returns the name of what it took.
func (p project) client(ctx context.Context, name string) (kubernetes.Interface, string, error) {
	if name == "" {
		if out, err := p.pulumi(ctx, "config", "get", "kubeContext"); err == nil {
			name = strings.TrimSpace(string(out))
		} else if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(),
		&clientcmd.ConfigOverrides{CurrentContext: name})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the context %q: %w; -context takes another", cmp.Or(name, "current"), err)
	}
	if name == "" {
		raw, err := loader.RawConfig()
		if err != nil {
			return nil, "", err
		}
		name = raw.CurrentContext
	}
	client, err := kubernetes.NewForConfig(config)
	return client, name, err
}

// aim is where the load goes, and which autoscaler is followed.
func (o *options) aim(s *stack) (url string, namespace, hpa string, err error) {
	url, namespace, hpa = cmp.Or(o.url, s.URL), s.Namespace, s.HPA
	if o.hpa != "" {
		namespace, hpa, _ = strings.Cut(o.hpa, "/")
	}
	if hpa != "" && namespace == "" {
		err = errors.New("the stack has the output `hpa` but not `namespace`")
	}
	return url, namespace, hpa, err
}
