//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadReport: `make load` sends its requests to the stack, follows its autoscaler, and writes a report.
func TestLoadReport(t *testing.T) {
	requireTarget(t, "kind")
	dir := t.TempDir()
	command := exec.Command("make", "load", "STACK="+stackName(), "LOAD=-points 0s:20,15s:40 -out "+dir)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("make load: %v\n%s", err, out)
	}
	for _, want := range []string{"sent/s", "0:15", "report: " + filepath.Join(dir, "report.html")} {
		if !strings.Contains(string(out), want) {
			t.Errorf("make load printed no %q:\n%s", want, out)
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var run struct {
		Autoscaler *struct{ Min, Max, Target int }
		Samples    []struct{ Ready int }
		Total      struct{ Sent, OK int }
	}
	if err := json.Unmarshal(content, &run); err != nil {
		t.Fatal(err)
	}
	if run.Total.Sent < 440 || run.Total.OK != run.Total.Sent {
		t.Errorf("%d of %d requests were answered, want all of the 450", run.Total.OK, run.Total.Sent)
	}
	if run.Autoscaler == nil {
		t.Fatal("the run has no autoscaler, want the stack's")
	}
	for _, s := range run.Samples {
		if s.Ready < run.Autoscaler.Min {
			t.Errorf("%d pods were seen, want at least %d", s.Ready, run.Autoscaler.Min)
			break
		}
	}
	for _, file := range []string{"report.html", "light.svg", "dark.svg", "light.png", "run.csv"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() < 500 {
			t.Errorf("%s: %v", file, err)
		}
	}
}
