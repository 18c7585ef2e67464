package offline

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dumper is a program that knows `dump` and nothing else: it prints what was recorded for it.
const dumper = `package main

import "os"

func main() {
	if len(os.Args) != 4 || os.Args[1] != "dump" {
		os.Exit(3)
	}
	content, err := os.ReadFile("dump-" + os.Args[3] + ".json")
	if err != nil {
		os.Exit(4)
	}
	os.Stdout.Write(content)
}
`

// sleeper tells that it runs, and then does not end.
const sleeper = `package main

import (
	"os"
	"time"
)

func main() {
	os.WriteFile(os.Getenv("SLEEPER_STARTED"), nil, 0o600)
	time.Sleep(time.Hour)
}
`

// repository makes a Git repository with one commit whose folder infra holds a project with the given program, and
// returns that folder. Temporary files go to a folder that the test looks at in the end: it must be empty.
func repository(t *testing.T, program string) string {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	root := t.TempDir()
	dir := filepath.Join(root, "infra")
	files := map[string]string{
		"go.mod": "module demo\n\ngo 1.26\n", "main.go": program,
		"Pulumi.yaml": projectYAML, "Pulumi.dev.yaml": stackYAML,
	}
	if dump, err := runDemo(t).Dump(); err != nil {
		t.Fatal(err)
	} else {
		files["dump-dev.json"] = string(dump)
	}
	if program == "" {
		files = map[string]string{"README": ""}
	}
	writeFiles(t, dir, files)
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "base"},
	} {
		command := exec.Command("git", args...)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	writeFiles(t, dir, map[string]string{"main.go": program + "// so that the base has to be built\n"})
	t.Cleanup(func() {
		left, err := os.ReadDir(temp)
		if err != nil || len(left) > 0 {
			t.Errorf("temporary files: got %v, %v, want none", left, err)
		}
		trees, err := exec.Command("git", "-C", root, "worktree", "list").Output()
		if err != nil || strings.Count(string(trees), "\n") != 1 {
			t.Errorf("work trees: got %q, %v, want one", trees, err)
		}
	})
	return dir
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiffShowsUncommittedChanges(t *testing.T) {
	dir := repository(t, dumper)
	r, err := diffAgainst(context.Background(), demo, dir, "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.text(); r.changes() != 0 || !strings.HasPrefix(got, "No changes of demo in the working tree against main (") {
		t.Errorf("an unchanged tree: got %s", got)
	}

	writeFiles(t, dir, map[string]string{
		"Pulumi.dev.yaml": strings.Replace(stackYAML, "Hello", "Bye", 1), "Pulumi.new.yaml": stackYAML,
	})
	r, err = diffAgainst(context.Background(), demo, dir, "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := r.text()
	for _, want := range []string{
		"Changes of demo in the working tree against main (",
		"  dev    0      1        0        9\n",
		"  new    10     0        0        0          new stack\n",
		"~ dev: Stack outputs\n@@ ",
		"-title: Hello\n+title: Bye\n",
		"+ new: Deployment demo/web\n@@ ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in\n%s", want, got)
		}
	}
}

// The base's program does not even compile here.
func TestDiffDoesNotBuildUnchangedCode(t *testing.T) {
	const broken = "package main\n"
	dir := repository(t, broken)
	writeFiles(t, dir, map[string]string{
		"main.go": broken, "README.md": "new", "Pulumi.dev.yaml": strings.Replace(stackYAML, "Hello", "Bye", 1),
	})
	writeFiles(t, filepath.Join(dir, "app"), map[string]string{"go.mod": "module app\n", "app.go": "package app\n"})
	t.Chdir(dir)
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	r, err := diffAgainst(context.Background(), demo, ".", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.text(); r.changes() != 1 || !strings.Contains(got, "-title: Hello\n+title: Bye\n") {
		t.Errorf("got %s", got)
	}
	if here, err := os.Getwd(); err != nil || here != before {
		t.Errorf("working directory: got %s, %v, want %s", here, err, before)
	}
}

func TestNoCode(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "app"), map[string]string{"go.mod": "module app\n"})
	for _, test := range []struct {
		name string
		want bool
	}{
		{"Pulumi.yaml", true},
		{"Pulumi.dev.yaml", true},
		{"docs/guide.md", true},
		{"main_test.go", true},
		{"testdata/golden/dev/tree.txt", true},
		{"components/testdata/x.go", true},
		{"app/main.go", true},
		{"app/static/logo.svg", true},
		{"main.go", false},
		{"components/redis.go", false},
		{"components/Pulumi.yaml", false},
		{"components/policy.json", false},
		{"go.mod", false},
		{"gone/go.mod", false},
		{"latestdata/x.go", false},
	} {
		if got := noCode(dir, test.name); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestDiffOfARemovedStack(t *testing.T) {
	dir := repository(t, dumper)
	if err := os.Remove(filepath.Join(dir, "Pulumi.dev.yaml")); err != nil {
		t.Fatal(err)
	}
	r, err := diffAgainst(context.Background(), demo, dir, "HEAD", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.comparisons[0]; c.removed != 10 || c.note != "removed stack" {
		t.Errorf("got %d removed, %q, want 10, a removed stack", c.removed, c.note)
	}
}

func TestDiffErrors(t *testing.T) {
	for _, test := range []struct{ name, program, ref, stack, want string }{
		{"a bad ref", dumper, "no-such-branch", "dev", `there is no commit "no-such-branch"`},
		{"a ref like a flag", dumper, "--all", "dev", `there is no commit "--all"`},
		{"a stack on neither side", dumper, "main", "test", `there is no stack "test"`},
		{"a program that does not compile", "package main\n", "main", "dev", "building the program at main: exit status 1"},
		{"a program without dump", "package main\n\nfunc main() {}\n", "main", "dev", "its program knows no `dump`"},
		{"a program that fails", "package main\n\nfunc main() { panic(1) }\n", "main", "dev",
			"running the program at main for stack dev: exit status 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := repository(t, test.program)
			_, err := diffAgainst(context.Background(), demo, dir, test.ref, []string{test.stack})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestDiffCleansUpWhenInterrupted(t *testing.T) {
	dir := repository(t, sleeper)
	started := filepath.Join(t.TempDir(), "started")
	t.Setenv("SLEEPER_STARTED", started)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := diffAgainst(ctx, demo, dir, "main", []string{"dev"})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v, want that it was interrupted", err)
	}
}

// A project that the base does not have is new with all its stacks.
func TestNewProject(t *testing.T) {
	dir := repository(t, "")
	writeFiles(t, dir, map[string]string{"Pulumi.yaml": projectYAML, "Pulumi.dev.yaml": stackYAML})
	r, err := diffAgainst(context.Background(), demo, dir, "main", []string{"dev"})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.comparisons[0]; c.note != "new stack" || c.added == 0 || c.removed+c.changed+c.unchanged > 0 {
		t.Errorf("got %+v, want all of it new", c)
	}
}
