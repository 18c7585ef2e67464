// Package goldentest compares what a program deploys with golden files.
package goldentest

import (
	"testing"

	"scaleout/internal/offline"
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
