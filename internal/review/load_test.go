package review

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
)

// TestLoad compares a working tree with commits of a real repository, and changes neither the tree nor the index.
func TestLoad(t *testing.T) {
	componenttest.Command(t, "git")
	dir := t.TempDir()
	project, clone := filepath.Join(dir, "a project"), filepath.Join(dir, "clone")
	for name, value := range map[string]string{
		"HOME": dir, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(name, value)
	}
	git := func(in string, args ...string) string {
		command := exec.Command("git", args...)
		command.Dir = in
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	write := func(in string, files map[string]string) {
		for name, content := range files {
			path := filepath.Join(in, name)
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	object := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: " + value +
			"\n# urn: urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::a\n"
	}
	commit := func(message string) {
		git(project, "add", ".")
		git(project, "commit", "--quiet", "--allow-empty", "--message", message)
	}
	git(dir, "init", "--quiet", "--initial-branch=main", project)
	commit("empty")
	old := map[string]string{
		"Pulumi.dev.yaml": "", "testdata/golden/dev/tree.txt": "tree\n", "testdata/golden/dev/outputs.yaml": "{}\n",
		"testdata/golden/dev/configmap-a.yaml":     "apiVersion: v1\nkind: ConfigMap\n",
		"testdata/golden/variant/configmap-a.yaml": "apiVersion: v1\n",
	}
	write(project, old)
	commit("old: without URNs")
	write(project, map[string]string{
		"testdata/golden/dev/configmap-a.yaml": object("before"), "cluster/Pulumi.dev.yaml": "",
		"cluster/testdata/golden/dev/tree.txt": "tree\n", "cluster/testdata/golden/dev/outputs.yaml": "{}\n",
		"cluster/testdata/golden/dev/configmap-a.yaml": object("before"),
	})
	commit("new: two words")
	git(project, "checkout", "--quiet", "-b", "branch")
	git(project, "checkout", "--quiet", "main")
	write(project, map[string]string{"cluster/testdata/golden/dev/configmap-a.yaml": object("by somebody else")})
	commit("main goes on")
	git(dir, "clone", "--quiet", "--depth", "1", "--branch", "branch", "file://"+project, clone)
	git(project, "checkout", "--quiet", "branch")
	changed := []string{"`dev` | | | | 1 | |", "`data.key`: `before` → `after`", "Unchanged: `cluster/dev`"}
	for _, test := range []struct {
		name, in, base, head string
		want                 []string
	}{
		{"a branch that went on", project, "main", "", changed},
		{"a search in the messages", project, ":/new: two", "", changed},
		{"from a subfolder", filepath.Join(project, "cluster"), "HEAD", "", changed},
		{"a shallow clone", clone, "HEAD", "", changed},
		{"a commit that it lacks", clone, "HEAD~1", "",
			[]string{"error: BASE=HEAD~1 is not a commit", "git fetch --unshallow origin"}},
		{"no revision", project, "--help", "", []string{"error: BASE=--help is not a commit", "git fetch origin"}},
		{"no golden files", project, "HEAD~2", "", []string{"error: BASE=HEAD~2 (", "has no golden files", "make golden"}},
		{"an older format", project, "HEAD~1", "",
			[]string{"error: BASE=HEAD~1 (", "configmap-a.yaml has no `# urn:` line", "later commit"}},
		{"another commit", project, "branch", "main",
			[]string{"`cluster/dev` | | | | 1 | |", "`before` → `by somebody else`", "Unchanged: `dev`"}},
		{"another commit that it lacks", project, "branch", "gone", []string{"error: HEAD=gone is not a commit"}},
		{"no repository", dir, "HEAD", "", []string{"error: git rev-parse"}},
	} {
		if test.in != dir {
			top := strings.TrimSuffix(test.in, "/cluster")
			write(top, map[string]string{"testdata/golden/dev/configmap-a.yaml": object("after")})
			_ = os.Symlink("/etc/passwd", filepath.Join(top, "testdata/golden/dev/linked.yaml"))
		}
		status := ""
		if test.in != dir {
			status = git(test.in, "status", "--porcelain")
		}
		before, after, _, err := Load(test.in, test.base, test.head)
		got := New(before, after, prices).Comment("head", "base", 0)
		if err != nil {
			got = "error: " + err.Error()
		}
		for _, part := range test.want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %s, want %q in it", test.name, got, part)
			}
		}
		if test.in != dir && git(test.in, "status", "--porcelain") != status {
			t.Errorf("%s: it changed the working tree or the index", test.name)
		}
	}
	write(project, map[string]string{"testdata/golden/dev/configmap-a.yaml": "<<<<<<< HEAD\n"})
	if _, _, _, err := Load(project, "HEAD", ""); err == nil || !strings.Contains(err.Error(), "this working tree: ") {
		t.Errorf("a conflict: got %v", err)
	}
}
