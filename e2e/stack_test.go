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

// stackName returns the name of the stack under test.
func stackName() string {
	if name := os.Getenv("STACK"); name != "" {
		return name
	}
	return "dev"
}

// stackFile returns the file name of the stack under test.
func stackFile() string { return "Pulumi." + stackName() + ".yaml" }

// requireTarget skips a test that is for another target.
func requireTarget(t *testing.T, want string) {
	t.Helper()
	got, err := target()
	if err != nil {
		t.Fatalf("reading the target of stack %s: %v\n%s", stackName(), err, got)
	}
	if got != want {
		t.Skipf("stack %s has the target %s; this test is for %s", stackName(), got, want)
	}
}

// target returns the target of the stack under test, or Pulumi's output if that fails.
func target() (string, error) {
	out, err := tryPulumi("config", "get", "target", "--stack", stackName())
	return strings.TrimSpace(string(out)), err
}

// pulumi runs the Pulumi CLI on the project with the backend that `make up` uses, and returns its output.
func pulumi(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := tryPulumi(args...)
	if err != nil {
		t.Fatalf("pulumi %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// tryPulumi is pulumi for commands that may fail. On a failure the output includes standard error.
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

// pulumiCommand returns a command of the Pulumi CLI that has not been started.
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

// pulumiInShell are the arguments of bash to run Pulumi on the PATH of pulumiEnvironment.
var pulumiInShell = []string{"-c", `pulumi "$@" --non-interactive`, "bash"}

// pulumiEnvironment returns this process' environment with the additions of `make env`.
var pulumiEnvironment = sync.OnceValues(func() ([]string, error) {
	command := exec.Command("bash", "-c", `set -e; additions="$(make -s env)"; eval "$additions"; env -0`)
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

// up runs pulumi up and returns the outputs of the stack.
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

// changes returns the operations of a preview by resource, without those that change nothing.
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
		// A refresh that detects drift is followed by a step that repairs it; read is the stack's reference to itself.
		if step.Op != "same" && step.Op != "refresh" && step.Op != "read" {
			parts := strings.Split(step.URN, "::")
			types := strings.Split(parts[2], "$")
			changed[types[len(types)-1]+" "+parts[3]] = step.Op
		}
	}
	return changed
}

// localStackFile returns the absolute path of the stack's settings as `make up` gave them to Pulumi, for commands in
// another folder.
func localStackFile(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, ".local", stackFile()))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// stackFileWith returns the path of a copy of the stack file that `make up` passed to Pulumi, with some settings
// changed: keys and values in turn.
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

// versions returns the versions of Pulumi and its plugins, without which results cannot be compared. A plugin does
// not report that it is a substitute, so SUBSTITUTES names the substitutes.
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
