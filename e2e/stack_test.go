//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const root = ".."

// stackName is the stack under test.
func stackName() string {
	if name := os.Getenv("STACK"); name != "" {
		return name
	}
	return "dev"
}

// stackFile is the name of the file of the stack under test.
func stackFile() string { return "Pulumi." + stackName() + ".yaml" }

// requireTarget skips a test that is about another kind of stack.
func requireTarget(t *testing.T, want string) {
	t.Helper()
	got, err := target()
	if err != nil {
		t.Fatalf("asking for the target of stack %s: %v\n%s", stackName(), err, got)
	}
	if got != want {
		t.Skipf("stack %s has the target %s; this test is about %s", stackName(), got, want)
	}
}

// target is what the stack under test deploys to, or what Pulumi printed if it does not know.
func target() (string, error) {
	out, err := tryPulumi("config", "get", "target", "--stack", stackName())
	return strings.TrimSpace(string(out)), err
}

// pulumi runs the Pulumi CLI on the project with the backend that `make up` uses, and returns what it printed.
func pulumi(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := tryPulumi(args...)
	if err != nil {
		t.Fatalf("pulumi %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// tryPulumi is pulumi for commands that may fail. It returns what was printed to standard error as well if they do.
func tryPulumi(args ...string) ([]byte, error) {
	command, err := pulumiCommand(args...)
	if err != nil {
		return nil, err
	}
	var out, progress bytes.Buffer
	command.Stdout, command.Stderr = &out, &progress
	if err := command.Run(); err != nil {
		return append(out.Bytes(), progress.Bytes()...), err
	}
	return out.Bytes(), nil
}

// pulumiCommand is a command of the Pulumi CLI that has not been started.
func pulumiCommand(args ...string) (*exec.Cmd, error) {
	environment, err := pulumiEnvironment()
	if err != nil {
		return nil, err
	}
	command := exec.Command("bash", append(slices.Clone(pulumiInShell), args...)...)
	command.Dir = root
	command.Env = append(environment, "PULUMI_STACK="+stackName())
	return command, nil
}

// pulumiInShell are the arguments of a shell that runs Pulumi: in pulumiEnvironment it is a function of `make env`.
var pulumiInShell = []string{"-c", `pulumi "$@" --non-interactive`, "bash"}

// pulumiEnvironment is this process' environment and what `make env` adds to it, its function for bash included.
var pulumiEnvironment = sync.OnceValues(func() ([]string, error) {
	command := exec.Command("bash", "-c", `set -e; additions="$(make -s env)"; eval "$additions"; export -f pulumi; env -0`)
	command.Dir, command.Stderr = root, os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("make env: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
})

// outputs are the outputs of the stack that the tests read.
type outputs struct {
	URL, Image, Namespace, Deployment, HPA string
	Network                                string
	Replicas                               int
}

// up brings the stack up to date and returns its outputs.
func up(t *testing.T) outputs {
	t.Helper()
	start := time.Now()
	pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName())
	t.Logf("pulumi up: %.1f s", time.Since(start).Seconds())
	var o outputs
	if err := json.Unmarshal(pulumi(t, "stack", "output", "--json", "--stack", stackName()), &o); err != nil {
		t.Fatalf("reading the outputs: %v", err)
	}
	return o
}

// changes are the operations of a preview, by resource: everything that is not a look at it.
func changes(t *testing.T, args ...string) map[string]string {
	t.Helper()
	var preview struct {
		Steps []struct{ Op, URN string }
	}
	out := pulumi(t, append([]string{"preview", "--json", "--stack", stackName()}, args...)...)
	if err := json.Unmarshal(out, &preview); err != nil {
		t.Fatalf("reading the preview: %v\n%s", err, out)
	}
	if len(preview.Steps) == 0 {
		t.Fatal("the preview has no steps at all, not even unchanged ones")
	}
	changed := map[string]string{}
	for _, step := range preview.Steps {
		// A refresh that finds a change is followed by a step that undoes it; read is the stack's look at its own outputs.
		if step.Op != "same" && step.Op != "refresh" && step.Op != "read" {
			parts := strings.Split(step.URN, "::")
			types := strings.Split(parts[2], "$")
			changed[types[len(types)-1]+" "+parts[3]] = step.Op
		}
	}
	return changed
}

// stackFileWith is a copy of the stack's settings, as `make up` gave them to Pulumi, with other values for some: keys and
// values in turn.
func stackFileWith(t *testing.T, settings ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, ".local", stackFile()))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(settings); i += 2 {
		line := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(settings[i]) + `:.*\n`)
		text = line.ReplaceAllString(text, "")
		text = strings.Replace(text, "config:\n", fmt.Sprintf("config:\n  %s: %s\n", settings[i], settings[i+1]), 1)
	}
	path := filepath.Join(t.TempDir(), stackFile())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// versions is what the tests run on: a result without it cannot be compared with another. A plugin does not say that it
// is a substitute, so SUBSTITUTES does.
func versions() string {
	cli, err := tryPulumi("version")
	if err != nil {
		return fmt.Sprintf("pulumi: %v %s", err, cli)
	}
	parts := []string{"pulumi " + strings.TrimSpace(string(cli))}
	out, err := tryPulumi("plugin", "ls", "--project", "--json")
	var plugins []struct{ Name, Kind, Version string }
	if err == nil {
		err = json.Unmarshal(out, &plugins)
	}
	if err != nil {
		return fmt.Sprintf("%s, plugins: %v %s", parts[0], err, out)
	}
	for _, p := range plugins {
		if p.Kind == "resource" {
			part := "plugin " + p.Name + " " + p.Version
			if slices.Contains(strings.Fields(os.Getenv("SUBSTITUTES")), p.Name) {
				part += " (a substitute)"
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}
