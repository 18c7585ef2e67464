//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// requireTarget skips a test that is about another kind of stack.
func requireTarget(t *testing.T, want string) {
	t.Helper()
	if target := strings.TrimSpace(string(pulumi(t, "config", "get", "target", "--stack", stackName()))); target != want {
		t.Skipf("stack %s has the target %s; this test is about %s", stackName(), target, want)
	}
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

func tryPulumi(args ...string) ([]byte, error) {
	script := `eval "$(make -s env)" && exec pulumi "$@" --non-interactive`
	command := exec.Command("bash", append([]string{"-c", script, "bash"}, args...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "PULUMI_STACK="+stackName())
	var out, progress bytes.Buffer
	command.Stdout, command.Stderr = &out, &progress
	err := command.Run()
	if err != nil {
		return append(out.Bytes(), progress.Bytes()...), err
	}
	return out.Bytes(), nil
}

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
		if step.Op != "same" && step.Op != "refresh" { // a refresh that finds a change is followed by a step that undoes it
			parts := strings.Split(step.URN, "::")
			types := strings.Split(parts[2], "$")
			changed[types[len(types)-1]+" "+parts[3]] = step.Op
		}
	}
	return changed
}

// stackFileWith is a copy of the stack's file with other values for some settings: keys and values in turn.
func stackFileWith(t *testing.T, settings ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Pulumi."+stackName()+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(settings); i += 2 {
		line := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(settings[i]) + `:.*\n`)
		text = line.ReplaceAllString(text, "")
		text = strings.Replace(text, "config:\n", fmt.Sprintf("config:\n  %s: %s\n", settings[i], settings[i+1]), 1)
	}
	path := filepath.Join(t.TempDir(), "Pulumi."+stackName()+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// versions prints what the tests run on: a result without it cannot be compared with another.
func versions(w io.Writer) {
	for _, args := range [][]string{{"version"}, {"plugin", "ls", "--project"}} {
		out, err := tryPulumi(args...)
		if err != nil {
			out = append(out, err.Error()...)
		}
		fmt.Fprintf(w, "pulumi %s:\n%s\n", strings.Join(args, " "), bytes.TrimSpace(out))
	}
}
