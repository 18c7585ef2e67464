package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"example.com/scaleout/internal/rendered"
)

// cluster reads objects.
type cluster interface {
	// get returns the objects that `kubectl get` selects, or nil if the cluster has no such kind.
	get(ctx context.Context, args ...string) ([]any, error)
}

// kubectl reads with the kubectl on PATH, never from the current context: names are the same in every cluster, so a
// wrong one would go unnoticed.
type kubectl struct{ context string }

func (k kubectl) get(ctx context.Context, args ...string) ([]any, error) {
	if k.context == "" {
		return nil, errors.New("the stack names no kubeconfig context: set CONTEXT=NAME")
	}
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "kubectl", append([]string{"--context", k.context, "--output", "json",
		"--request-timeout", "30s", "get"}, args...)...)
	command.Stderr = &stderr
	out, err := command.Output()
	if message := stderr.String(); err != nil {
		if strings.Contains(message, "the server doesn't have a resource type") {
			return nil, nil
		}
		return nil, fmt.Errorf("kubectl get %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(message))
	}
	var list struct{ Items []any }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("kubectl get %s: %w", strings.Join(args, " "), err)
	}
	return list.Items, nil
}

// text is rendered.Get for strings.
func text(v any, path ...string) string {
	s, _ := rendered.Get(v, path...).(string)
	return s
}

// titled returns namespace and name of an object.
func titled(object any) string {
	return text(object, "metadata", "namespace") + "/" + text(object, "metadata", "name")
}
