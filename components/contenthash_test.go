package components

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree is a folder's content by path.
type tree map[string]string

func (tr tree) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range tr {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func hashOf(t testing.TB, dir string) string {
	t.Helper()
	sum, err := ContentHash(dir)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestContentHash(t *testing.T) {
	base := tree{
		"Dockerfile": "FROM scratch", "main.go": "package main", "sub/a.txt": "a",
		".dockerignore": "*_test.go\nignored\n**/*.tmp\n!keep.tmp\n",
	}
	with := func(changes tree) tree {
		changed := maps.Clone(base)
		maps.Copy(changed, changes)
		return changed
	}
	without := func(name string) tree {
		changed := maps.Clone(base)
		delete(changed, name)
		return changed
	}
	tests := map[string]struct {
		tree tree
		same bool
	}{
		"another folder":              {base, true},
		"ignored file":                {with(tree{"main_test.go": "x"}), true},
		"ignored folder":              {with(tree{"ignored/deep/x": "x"}), true},
		"ignored below":               {with(tree{"sub/x.tmp": "x"}), true},
		"exception of an ignore rule": {with(tree{"keep.tmp": "x"}), false},
		"changed content":             {with(tree{"main.go": "package other"}), false},
		"changed Dockerfile":          {with(tree{"Dockerfile": "FROM alpine"}), false},
		"added file":                  {with(tree{"new.go": ""}), false},
		"removed file":                {without("sub/a.txt"), false},
		"moved bytes":                 {with(tree{"sub/a.txt": "", "sub/b.txt": "a"}), false},
	}
	want := hashOf(t, base.write(t))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hashOf(t, test.tree.write(t)); (got == want) != test.same {
				t.Errorf("got the same hash: %v, want %v", got == want, test.same)
			}
		})
	}
}

func TestContentHashIgnoresWhatACloneChanges(t *testing.T) {
	dir := tree{"Dockerfile": "FROM scratch", "a": "1"}.write(t)
	want := hashOf(t, dir)
	old := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "a"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0o600); err != nil { // another umask
		t.Fatal(err)
	}
	if got := hashOf(t, dir); got != want {
		t.Errorf("got %s, want %s: times or permissions count", got, want)
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := hashOf(t, dir); got == want {
		t.Error("the executable bit does not count, though it ends up in the image")
	}
}

func TestContentHashCountsLinksNotTheirTargets(t *testing.T) {
	dir := tree{"Dockerfile": "FROM scratch"}.write(t)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("missing-1", link); err != nil {
		t.Skip("this file system has no symbolic links:", err)
	}
	first := hashOf(t, dir)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("missing-2", link); err != nil {
		t.Fatal(err)
	}
	if hashOf(t, dir) == first {
		t.Error("another link target gives the same hash")
	}
}

func TestContentHashRefuses(t *testing.T) {
	if _, err := ContentHash(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing folder: got no error")
	}
	if _, err := ContentHash(tree{"main.go": ""}.write(t)); err == nil {
		t.Error("no Dockerfile: got no error")
	}
	if _, err := ContentHash(tree{"Dockerfile": "", ".dockerignore": "[a-\n"}.write(t)); err == nil {
		t.Error("a malformed .dockerignore: got no error")
	}
}

// Two trees have one hash only if they are the same tree.
func FuzzContentHash(f *testing.F) {
	f.Add("a", "1", "b", "2")
	f.Add("a", "1", "a", "1")
	f.Add("a", "", "b", "file \"b\" false 0\n")
	f.Fuzz(func(t *testing.T, name1, content1, name2, content2 string) {
		for _, name := range []string{name1, name2} {
			if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "/\\*\x00") ||
				strings.EqualFold(name, "Dockerfile") || strings.EqualFold(name, ".dockerignore") {
				t.Skip("not a file name for this test")
			}
		}
		first := hashOf(t, tree{"Dockerfile": "", name1: content1}.write(t))
		second := hashOf(t, tree{"Dockerfile": "", name2: content2}.write(t))
		if same := name1 == name2 && content1 == content2; (first == second) != same {
			t.Errorf("%q %q and %q %q: same hash %v, want %v", name1, content1, name2, content2, first == second, same)
		}
	})
}

func BenchmarkContentHash(b *testing.B) {
	files := tree{"Dockerfile": "FROM scratch"}
	for i := range 1000 {
		files[filepath.Join("d", string(rune('a'+i%26)), strings.Repeat("f", i%50+1)+".go")] = strings.Repeat("x", 4096)
	}
	dir := files.write(b)
	for b.Loop() {
		hashOf(b, dir)
	}
}
