package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake answers a command of Pulumi with a text, or with an error if there is none for it.
func fake(answers map[string]string) pulumiStack {
	return pulumiStack{name: "dev", run: func(_ context.Context, args ...string) ([]byte, error) {
		answer, known := answers[strings.Join(args, " ")]
		if !known {
			return nil, errors.New("no such command: " + strings.Join(args, " "))
		}
		return []byte(answer), nil
	}}
}

func TestOutputs(t *testing.T) {
	const command = "stack output --json --stack dev"
	o, err := fake(map[string]string{command: `{"url": "http://a", "hpa": "web", "namespace": "shop", "nextCommands": ["x"]}`}).outputs(t.Context())
	if err != nil || o.URL != "http://a" || o.HPA != "web" || o.Namespace != "shop" {
		t.Errorf("got %+v, %v", o, err)
	}
	for answer, want := range map[string]string{"{}": "it is not up; run `make up STACK=dev`", "no": "reading the outputs of stack dev"} {
		if _, err := fake(map[string]string{command: answer}).outputs(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", answer, err, want)
		}
	}
	if _, err := fake(nil).outputs(t.Context()); err == nil || !strings.Contains(err.Error(), "asking for the outputs of stack dev") {
		t.Errorf("got %v", err)
	}
}

// The stack's own context is taken, or the given one, and never the current one.
func TestCluster(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	t.Setenv("KUBECONFIG", kubeconfig)
	const content = `{"current-context": "b", "clusters": [{"name": "a", "cluster": {"server": "https://a"}}, {"name": "b", "cluster": {"server": "https://b"}}],
"contexts": [{"name": "a", "context": {"cluster": "a"}}, {"name": "b", "context": {"cluster": "b"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	onKind := map[string]string{"config get target --stack dev": "kind\n", "config get kubeContext --stack dev": "a\n"}
	onEKS := map[string]string{"config get target --stack dev": "eks\n", "config get kubeContext --stack dev": "a\n"} // the default
	for _, c := range []struct {
		answers           map[string]string
		given, name, host string
	}{
		{onKind, "", "a", "https://a"},
		{onKind, "b", "b", "https://b"},
		{onEKS, "b", "b", "https://b"},
	} {
		config, name, err := fake(c.answers).cluster(t.Context(), c.given)
		if err != nil {
			t.Fatal(err)
		}
		if name != c.name || config.Host != c.host {
			t.Errorf("got %s at %s, want %s at %s", name, config.Host, c.name, c.host)
		}
	}
	if _, _, err := fake(onEKS).cluster(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "is on eks") || !strings.Contains(err.Error(), "-context NAME") {
		t.Errorf("got %v, want what to give", err)
	}
	if _, _, err := fake(nil).cluster(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "setting target of stack dev") {
		t.Errorf("got %v", err)
	}
	if _, _, err := fake(nil).cluster(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), `"c"`) || !strings.Contains(err.Error(), "-context") {
		t.Errorf("got %v", err)
	}
}

// A command that fails says what it printed.
func TestPulumi(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	script := "#!/bin/sh\n[ $# = 3 ] && echo \"$1 $2 $3\" && exit\necho broken >&2\nexit 3\n"
	if err := os.WriteFile(filepath.Join(folder, "pulumi"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := pulumi(t.Context(), "one", "two"); err != nil || string(out) != "one two --non-interactive\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := pulumi(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}
