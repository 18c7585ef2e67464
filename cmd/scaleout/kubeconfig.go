package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// currentContext is the line of a kubeconfig that says where plain kubectl commands go.
var currentContext = regexp.MustCompile(`(?m)^current-context:.*$`)

// exportKubeconfig makes sure that the kubeconfig knows the cluster, as `kind create cluster` does.
func (d *driver) exportKubeconfig(ctx context.Context) error {
	before := d.kubeconfigContexts()
	if err := d.kind(ctx, nil, "", "export", "kubeconfig", "--name", d.Cluster); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	_, err := d.restoreContexts(before)
	return err
}

// kubeconfigContexts returns the current-context line of each kubeconfig file that has one.
func (d *driver) kubeconfigContexts() map[string]string {
	files := filepath.SplitList(d.getenv("KUBECONFIG"))
	if len(files) == 0 {
		files = []string{filepath.Join(d.getenv("HOME"), ".kube", "config")}
	}
	lines := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if line := currentContext.FindString(string(content)); err == nil && line != "" {
			lines[file] = line
		}
	}
	return lines
}

// restoreContexts undoes that Kind points kubectl at its cluster. Whoever works on another cluster in the next window
// must not find the commands there going to this one. A kubeconfig that pointed nowhere keeps Kind's choice.
func (d *driver) restoreContexts(before map[string]string) (restored bool, err error) {
	for file, line := range before {
		content, err := os.ReadFile(file)
		if err != nil {
			return restored, fmt.Errorf("restoring the current context: %w", err)
		}
		now := currentContext.FindString(string(content))
		if now == line || line == `current-context: ""` {
			continue
		}
		content = currentContext.ReplaceAllLiteral(content, []byte(line))
		// Written in place: the file may be a link, and its mode is to stay.
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return restored, fmt.Errorf("restoring the current context: %w", err)
		}
		restored = true
	}
	return restored, nil
}
