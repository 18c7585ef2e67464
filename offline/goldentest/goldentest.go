// Package goldentest compares the resources of a program with golden files.
package goldentest

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/rogpeppe/go-internal/diff"

	"example.com/scaleout/offline"
)

// Check compares files, by name, with those in a folder. With update it replaces the contents of the folder instead.
func Check(t testing.TB, dir string, files map[string]string, update bool) {
	t.Helper()
	if update {
		if err := write(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	findings := compare(dir, files)
	for _, finding := range findings {
		t.Errorf("%s: %s", dir, finding)
	}
	if len(findings) > 0 {
		t.Error("if the change is intended, update the golden files (make golden in the repository of scaleout)")
	}
}

func write(dir string, files map[string]string) error {
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return err
}

// compare returns a finding for each file of a folder that is missing, stale (with a unified diff) or unexpected.
func compare(dir string, files map[string]string) (findings []string) {
	for name, content := range files {
		golden, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			findings = append(findings, "missing: "+name)
		case err != nil:
			findings = append(findings, err.Error())
		case string(golden) != content:
			findings = append(findings, "stale: "+name+"\n"+string(diff.Diff("golden", golden, "now", []byte(content))))
		}
	}
	present, _ := fs.Glob(os.DirFS(dir), "*") // none if there is no folder
	for _, name := range present {
		if _, wanted := files[name]; !wanted {
			findings = append(findings, "extra: "+name)
		}
	}
	slices.Sort(findings)
	return findings
}

// Program compares the resources of a program, for a stack of the working directory, with testdata/golden, or updates
// that. It also requires that every value that depends on a secret is marked as one.
func Program(t testing.TB, program pulumi.RunFunc, stack string, update bool) {
	t.Helper()
	result, err := offline.Run(program, ".", stack)
	if err != nil {
		t.Fatal(err)
	}
	files, err := result.Golden()
	if err != nil {
		t.Fatal(err)
	}
	Check(t, filepath.Join("testdata", "golden"), files, update)
	if len(result.Exposed) > 0 {
		t.Errorf("these values depend on a secret but are not marked as secret: %v", result.Exposed)
	}
}

// Differing returns the files that differ from those in base.
func Differing(files, base map[string]string) map[string]string {
	differing := maps.Clone(files)
	maps.DeleteFunc(differing, func(name, content string) bool { return base[name] == content })
	return differing
}
