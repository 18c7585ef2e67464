package goldentest

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestCompare(t *testing.T) {
	golden := map[string]string{"tree.txt": "a\n", "web.yaml": "x: 1\n"}
	for _, test := range []struct {
		name, file, content string // the changed file; empty content removes it
		want                []string
	}{
		{"same", "tree.txt", "a\n", nil},
		{"missing", "new.yaml", "y: 2\n", []string{"missing: new.yaml"}},
		{"extra", "web.yaml", "", []string{"extra: web.yaml"}},
		{"stale", "web.yaml", "x: 2\n", []string{
			"stale: web.yaml\ndiff golden now\n--- golden\n+++ now\n@@ -1,1 +1,1 @@\n-x: 1\n+x: 2\n",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "golden")
			if err := write(dir, golden); err != nil {
				t.Fatal(err)
			}
			now := maps.Clone(golden)
			now[test.file] = test.content
			if test.content == "" {
				delete(now, test.file)
			}
			if got := compare(dir, now); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if err := write(dir, now); err != nil {
				t.Fatal(err)
			}
			if got := compare(dir, now); got != nil {
				t.Errorf("after writing: got %q, want nothing", got)
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		got := compare(filepath.Join(t.TempDir(), "none"), golden)
		if want := []string{"missing: tree.txt", "missing: web.yaml"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestWriteReportsWhatItCannotDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(file, "golden"), map[string]string{"a": "b"}); err == nil {
		t.Error("got no error below a file, want one")
	}
}
