package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// stageOf stages a folder in the working directory.
func stageOf(t *testing.T, dir, dockerfile string) string {
	t.Helper()
	want, err := ContentHash(dir, dockerfile)
	must(t, err)
	staged, err := stage(dir, dockerfile, want[:tagLength], want)
	must(t, err)
	return staged
}

// digestOf hashes what the Docker provider compares: name, mode and content of all files that its patterns include
// (4.11.2, provider/provider.go: hashContext).
func digestOf(t *testing.T, dir, dockerfile string) string {
	t.Helper()
	ignore, err := os.Open(filepath.Join(dir, dockerfile+ignoreSuffix))
	must(t, err)
	defer ignore.Close()
	patterns, err := ignorefile.ReadAll(ignore)
	must(t, err)
	sum := sha256.New()
	must(t, fsutil.Walk(context.Background(), dir, &fsutil.FilterOpt{ExcludePatterns: patterns},
		func(name string, info fs.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			content, err := os.ReadFile(filepath.Join(dir, name))
			fmt.Fprintf(sum, "%q %s %q\n", name, info.Mode(), content)
			return err
		}))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// Two clones of one commit have different permissions, and the older of the provider's two walkers ignores some
// exceptions.
func TestProviderSeesOneImageInEveryClone(t *testing.T) {
	tests := map[string]struct{ ignore, dockerfile string }{
		"no ignore file":     {"", "Dockerfile"},
		"wildcards":          {"*\n!**/*.go\n", "Dockerfile"},
		"a Dockerfile below": {"build\n", "build/Dockerfile"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			digests := map[string]bool{}
			for _, modes := range [][3]fs.FileMode{{0o644, 0o755, 0o755}, {0o664, 0o775, 0o775}, {0o600, 0o700, 0o700}} {
				dir := files{test.dockerfile: "", "sub/main.go": "", "sub/run.go": "", ".dockerignore": test.ignore}.write(t)
				must(t, os.Chmod(filepath.Join(dir, "sub/main.go"), modes[0]))
				must(t, os.Chmod(filepath.Join(dir, "sub/run.go"), modes[1]))
				must(t, os.Chmod(filepath.Join(dir, "sub"), modes[2]))
				t.Chdir(t.TempDir())
				staged := stageOf(t, dir, test.dockerfile)
				digests[digestOf(t, staged, test.dockerfile)] = true
				for name, want := range map[string]fs.FileMode{"sub": 0o755, "sub/main.go": 0o644, "sub/run.go": 0o755} {
					info, err := os.Stat(filepath.Join(staged, name))
					must(t, err)
					if info.Mode().Perm() != want {
						t.Errorf("%s: got mode %o for the builder, want %o", name, info.Mode().Perm(), want)
					}
				}
			}
			if len(digests) != 1 {
				t.Errorf("got %d digests of one content, want 1", len(digests))
			}
		})
	}
}

// Changes made after the hash was computed are not built under the old tag.
func TestStagedTreeDoesNotFollowTheFolder(t *testing.T) {
	dir := files{"Dockerfile": "", "main.go": "1", "empty/": "", "left-out": "", ".dockerignore": "left-out"}.write(t)
	must(t, os.Symlink("main.go", filepath.Join(dir, "link")))
	t.Chdir(t.TempDir())
	want := hashOf(t, dir)
	staged := stageOf(t, dir, "")
	files{"main.go": "2", "new.go": ""}.writeTo(t, dir)
	if got := hashOf(t, staged); got != want {
		t.Error("the staged content differs from the hashed content")
	}
	if target, err := os.Readlink(filepath.Join(staged, "link")); err != nil || target != "main.go" {
		t.Errorf("got a link to %q, %v, want one to main.go", target, err)
	}
	if _, err := os.Stat(filepath.Join(staged, "left-out")); err == nil {
		t.Error("a file that .dockerignore excludes is staged")
	}
	if stageOf(t, dir, "") == staged {
		t.Error("changed content is staged in the same folder")
	}
}

func TestStageRefuses(t *testing.T) {
	dir := files{"Dockerfile": "", "main.go": "1"}.write(t)
	t.Chdir(t.TempDir())
	before := hashOf(t, dir)
	files{"main.go": "2"}.writeTo(t, dir)
	if _, err := stage(dir, "", "tag", before); err == nil || !strings.Contains(err.Error(), "changed while") {
		t.Errorf("a change after the hash: got error %v, want one about the change", err)
	}
	must(t, os.Symlink("/missing", filepath.Join(dir, "link")))
	_, err := stage(dir, "", "tag", hashOf(t, dir))
	if err == nil || !strings.Contains(err.Error(), "the link link leads") {
		t.Errorf("a link to nothing: got error %v, want one that names it", err)
	}
	left, err := filepath.Glob(stagingFolder + "/[^.]*")
	must(t, err)
	if len(left) != 0 {
		t.Errorf("got leftover files %q, want none", left)
	}
}

func TestStageIsUsedAgain(t *testing.T) {
	dir := files{"Dockerfile": "", "main.go": "1"}.write(t)
	t.Chdir(t.TempDir())
	staged := stageOf(t, dir, "")
	first, err := os.Stat(filepath.Join(staged, "main.go"))
	must(t, err)
	stageOf(t, dir, "")
	second, err := os.Stat(filepath.Join(staged, "main.go"))
	must(t, err)
	if !os.SameFile(first, second) {
		t.Error("an existing staged tree was copied again")
	}
	files{"main.go": "2"}.writeTo(t, staged)
	stageOf(t, dir, "")
	if hashOf(t, staged) != hashOf(t, dir) {
		t.Error("a modified staged folder is built")
	}
}

func TestStageRemovesWhatNothingUses(t *testing.T) {
	dir := files{"Dockerfile": "1"}.write(t)
	t.Chdir(t.TempDir())
	staged := stageOf(t, dir, "")
	long := time.Now().Add(-2 * stageAge)
	must(t, os.Chtimes(staged, long, long))
	stageOf(t, dir, "") // counts as a use
	files{"Dockerfile": "2"}.writeTo(t, dir)
	second := stageOf(t, dir, "")
	if _, err := os.Stat(staged); err != nil {
		t.Errorf("a tree that was just used is deleted: %v", err)
	}
	must(t, os.Chtimes(staged, long, long))
	files{"Dockerfile": "3"}.writeTo(t, dir)
	stageOf(t, dir, "")
	if _, err := os.Stat(staged); err == nil {
		t.Error("a tree that was unused for two days still exists")
	}
	if _, err := os.Stat(second); err != nil {
		t.Errorf("a tree that was used today is deleted: %v", err)
	}
}

// The context may be the program's folder, or a parent of it.
func TestStageIsNoPartOfTheContext(t *testing.T) {
	t.Chdir(files{"Dockerfile": "", "main.go": "1", "infra/": ""}.write(t))
	want := hashOf(t, ".")
	if staged := stageOf(t, ".", ""); hashOf(t, staged) != want || hashOf(t, ".") != want {
		t.Error("the staged tree is part of the next hash")
	}
	t.Chdir("infra")
	if staged := stageOf(t, "..", ""); hashOf(t, staged) != want || hashOf(t, "..") != want {
		t.Error("from a folder inside: the staged tree is part of the next hash")
	}
}
