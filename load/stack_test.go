package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake returns a stack whose Pulumi commands return the given texts, or an error if there is none for a command.
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
	const answer = `{"url": "http://a", "hpa": "web", "namespace": "shop", "nextCommands": ["x"]}`
	o, err := fake(map[string]string{command: answer}).outputs(t.Context())
	if err != nil || o.URL != "http://a" || o.HPA != "web" || o.Namespace != "shop" {
		t.Errorf("got %+v, %v", o, err)
	}
	for answer, want := range map[string]string{
		"{}": "it is not up; run `make up STACK=dev`", "no": "reading the outputs of stack dev",
	} {
		_, err := fake(map[string]string{command: answer}).outputs(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", answer, err, want)
		}
	}
	_, err = fake(nil).outputs(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such command: "+command) {
		t.Errorf("got %v", err)
	}
}

// TestCluster: the stack's own context is used, or the given one, and never the current one.
func TestCluster(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	t.Setenv("KUBECONFIG", kubeconfig)
	const content = `{"current-context": "b",
"clusters": [{"name": "a", "cluster": {"server": "https://a"}}, {"name": "b", "cluster": {"server": "https://b"}}],
"contexts": [{"name": "a", "context": {"cluster": "a"}}, {"name": "b", "context": {"cluster": "b"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	onKind := map[string]string{"config get target --stack dev": "kind\n", "config get kubeContext --stack dev": "a\n"}
	// kubeContext has its default.
	onEKS := map[string]string{"config get target --stack dev": "eks\n", "config get kubeContext --stack dev": "a\n"}
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
	_, _, err := fake(onEKS).cluster(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "is on eks") || !strings.Contains(err.Error(), "-context NAME") {
		t.Errorf("got %v, want the flag to set", err)
	}
	_, _, err = fake(nil).cluster(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "no such command: config get target --stack dev") {
		t.Errorf("got %v", err)
	}
	_, _, err = fake(nil).cluster(t.Context(), "c")
	if err == nil || !strings.Contains(err.Error(), `"c"`) || !strings.Contains(err.Error(), "-context") {
		t.Errorf("got %v", err)
	}
}

// TestPulumi: the error of a failed command contains the command and its output.
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
	_, err := pulumi(t.Context(), "one")
	if err == nil || !strings.Contains(err.Error(), "pulumi one: ") || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}
