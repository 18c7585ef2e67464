// Package goldentest compares what a program deploys with golden files.
package goldentest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/offline"
)

// Check compares files, by name, with those in a folder, or writes them there.
func Check(t testing.TB, dir string, files map[string]string, update bool) {
	t.Helper()
	if update {
		if err := offline.WriteGolden(dir, files); err != nil {
			t.Fatal(err)
		}
		return
	}
	findings, err := offline.CompareGolden(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		t.Errorf("%s: %s", dir, finding)
	}
	if len(findings) > 0 {
		t.Error("if this is what you want: make golden")
	}
}

// Program compares what a program deploys for a stack of the working directory with testdata/golden, or writes it there, and
// wants every value that follows from a secret to be marked as one.
func Program(t testing.TB, program pulumi.RunFunc, stack string, update bool) {
	t.Helper()
	result, err := offline.Run(program, ".", stack)
	if err != nil {
		t.Fatal(err)
	}
	files, err := result.Golden(result.ImageTags()...)
	if err != nil {
		t.Fatal(err)
	}
	Check(t, filepath.Join("testdata", "golden"), files, update)
	if len(result.Exposed) > 0 {
		t.Errorf("these follow from a secret and are not marked as secret: %v", result.Exposed)
	}
}

// Differing are the files that are not the same in base.
func Differing(files, base map[string]string) map[string]string {
	differing := map[string]string{}
	for name, content := range files {
		if base[name] != content {
			differing[name] = content
		}
	}
	return differing
}

// Example runs a program for the stack of testdata/Pulumi.example.yaml, with other settings. No team edits that file, so that
// what tests say of it holds.
func Example(program pulumi.RunFunc, settings ...string) (*offline.Result, error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for from, to := range map[string]string{"Pulumi.yaml": "Pulumi.yaml", "testdata/Pulumi.example.yaml": "Pulumi.example.yaml"} {
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, to), content, 0o600); err != nil {
			return nil, err
		}
	}
	return offline.Run(program, dir, "example", settings...)
}
