package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// status shows what is there. A part that cannot be seen says so and does not hide the others.
func (d *driver) status(ctx context.Context) error {
	s, err := d.openStack()
	if err != nil {
		return err
	}
	if s.onKind() {
		d.clusterStatus(ctx, s.setting(keyNamespace))
	}
	if s.onDocker() {
		d.containerStatus(ctx, s)
	}
	if _, ok := d.findPulumi(ctx); !ok {
		d.section("stack "+d.Stack, "no Pulumi CLI here yet; `make up` brings it", nil)
		return nil
	}
	exists, err := d.stackExists(ctx, s)
	if err != nil || !exists {
		d.section("stack "+d.Stack, "not created yet", err)
		return nil
	}
	update, err := d.lastUpdate(ctx, s)
	d.section("stack "+d.Stack, update, err)
	o, err := d.outputs(ctx, s, d.Stack)
	if err != nil || o.URL == "" {
		d.section("URL", "none yet", err)
		return nil
	}
	a, err := get(ctx, o.URL)
	d.section("GET "+o.URL, a.String(), err)
	return nil
}

// clusterStatus shows the containers and, if the API server answers, the objects.
func (d *driver) clusterStatus(ctx context.Context, namespace string) {
	nodes, err := d.nodes(ctx)
	if err != nil || len(nodes) == 0 {
		d.section("cluster "+d.Cluster, "none; `make up` makes it", err)
		return
	}
	var containers []string
	for _, n := range nodes {
		containers = append(containers, n.name+" "+n.state)
	}
	d.section("cluster "+d.Cluster, strings.Join(containers, "\n"), nil)
	for _, q := range []struct {
		title string
		args  []string
	}{
		{"nodes", []string{"get", "nodes"}},
		{"pods", []string{"get", "pods", "--namespace", namespace, "--output=wide"}},
		{"autoscaler", []string{"get", "hpa", "--namespace", namespace}},
		{"ingress", []string{"get", "ingress", "--namespace", namespace}},
	} {
		out, err := d.kubectl(ctx, "", q.args...)
		d.section(q.title, out, err)
		if err != nil {
			return // the others would fail for the same reason
		}
	}
}

// section prints one part of the status.
func (d *driver) section(title, text string, err error) {
	if err != nil {
		text = "not to be seen: " + err.Error()
	}
	if text = strings.TrimSpace(text); text == "" {
		text = "none"
	}
	d.steps.printf("==> %s\n    %s\n", title, strings.ReplaceAll(text, "\n", "\n    "))
}

// lastUpdate tells what Pulumi did last and how it ended.
func (d *driver) lastUpdate(ctx context.Context, s *stack) (string, error) {
	u, err := d.history(ctx, s)
	if err != nil || u.Kind == "" {
		return "never updated", err
	}
	changes, err := json.Marshal(u.ResourceChanges) // map keys come sorted
	if err != nil {
		return "", fmt.Errorf("printing the changes: %w", err)
	}
	return fmt.Sprintf("last %s: %s at %s, changes %s", u.Kind, u.Result, u.EndTime, changes), nil
}

// pulumiUpdate is an entry of a stack's history. Kind is update, destroy or another; Result succeeded, failed or
// in-progress.
type pulumiUpdate struct {
	Kind, Result, EndTime string
	ResourceChanges       map[string]int
}

// history returns the last entry of the stack's history; without Kind if there is none.
func (d *driver) history(ctx context.Context, s *stack) (pulumiUpdate, error) {
	out, err := d.runPulumi(ctx, s, "stack", "history", "--json", "--page-size", "1", "--stack", d.Stack)
	var updates []pulumiUpdate
	if err == nil {
		err = json.Unmarshal([]byte(out), &updates)
	}
	if err != nil {
		return pulumiUpdate{}, fmt.Errorf("reading the history of stack %s: %w", d.Stack, err)
	}
	return append(updates, pulumiUpdate{})[0], nil
}
