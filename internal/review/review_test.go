package review

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"example.com/scaleout/internal/cost"
	"example.com/scaleout/internal/rendered"
)

var update = flag.Bool("update", false, "write the comments in testdata instead of comparing them")

var prices = func() *cost.Table {
	prices, err := cost.Embedded()
	if err != nil {
		panic(err)
	}
	return prices
}()

// versions returns the stacks of an archive: files before/<stack>/<file> and after/<stack>/<file>.
func versions(t testing.TB, archive *txtar.Archive) (before, after map[string]*rendered.Stack) {
	t.Helper()
	trees := map[string]map[string]map[string]string{"before": {}, "after": {}}
	for _, file := range archive.Files {
		version, path, _ := strings.Cut(file.Name, "/")
		stack, name := filepath.Split(path)
		stack = strings.TrimSuffix(stack, "/")
		if trees[version][stack] == nil {
			trees[version][stack] = map[string]string{"tree.txt": "Type  Name\n", "outputs.yaml": "{}\n"}
		}
		trees[version][stack][name] = string(file.Data)
	}
	parser := rendered.Parser{}
	before, err := parser.Parse(trees["before"])
	if err != nil {
		t.Fatal(err)
	}
	after, err = parser.Parse(trees["after"])
	if err != nil {
		t.Fatal(err)
	}
	return before, after
}

// The comments on real commits of this repository, whose golden files before and after, with the URNs that they did not
// have yet, are in the archives; and on a made-up change of each kind of danger.
func TestComments(t *testing.T) {
	archives, _ := filepath.Glob("testdata/*/*.txtar") // fails only for a bad pattern
	if len(archives) == 0 {
		t.Fatal("got no archives")
	}
	for _, path := range archives {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			before, after := versions(t, archive)
			got := New(before, after, prices).Comment("a branch", "0123456789", Limit)
			file := strings.TrimSuffix(path, ".txtar") + ".md"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%s (%v): got\n%s\nwant\n%s", file, err, got, want)
			}
		})
	}
}
