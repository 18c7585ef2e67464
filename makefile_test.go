package main

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
)

// hostile is a value that the shell or make would run, expand, split or take for an option if a recipe pasted it.
const hostile = `-x;touch PWNED;$(touch PWNED)` + "`touch PWNED`" + `'"&|>PWNED $$HOME $(shell touch PWNED) *`

// recorder is what every program that a recipe runs is replaced by. It appends its name and arguments, a line each, to
// the file RECORD, and for `go build -o FILE` creates FILE as another recorder.
const recorder = `#!/bin/sh
{ echo "== ${0##*/}"; for argument; do printf '%s\n' "$argument"; done; } >>"$RECORD"
[ "${0##*/} $1" = "go version" ] && echo "go version go1.26.7 linux/amd64"
[ "${0##*/} $1" = "driver env" ] && echo true
if [ "${0##*/}" = go ] && [ "$1" = build ]; then
	while [ "$1" != -o ]; do shift; done
	cp "$RECORDER" "$2"
fi
exit 0
`

// TestRecipesDoNotRunTheirInput runs the recipe of every target with a hostile value for each variable that a user or a
// CI job passes, once by the environment and once on the command line. Names of branches, for one, are chosen by
// whoever opens a pull request.
func TestRecipesDoNotRunTheirInput(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	inputs := regexp.MustCompile(`(?ms)^INPUTS := (.*?[^\\])$`).FindSubmatch(makefile)
	var targets []string
	for _, rule := range regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `).FindAllSubmatch(makefile, -1) {
		targets = append(targets, string(rule[1]))
	}
	if inputs == nil || len(targets) < 25 {
		t.Fatalf("found the inputs %q and %d targets", inputs, len(targets))
	}
	// The arguments that have to arrive as they are. Other inputs are split at blanks, or are read by a program.
	arrives := map[string]string{"preview": "STACK", "preview-cluster": "STACK", "render": "OUT", "e2e": "RUN",
		"fuzz": "FUZZTIME", "contract": "IMAGE", "review": "BASE"}
	drives := strings.Fields("up down env-up env-down env-expire deploy plan drift promote evidence sbom sign rollback " +
		"status logs env load dashboards")
	dir := recipeFolder(t, string(makefile))
	variables := append(strings.Fields(strings.ReplaceAll(string(inputs[1]), "\\", "")), "OUT")
	for _, target := range targets {
		for _, onCommandLine := range []bool{false, true} {
			got := runRecipe(t, dir, target, variables, onCommandLine)
			if variable := arrives[target]; variable != "" && !slices.Contains(got, hostile) {
				t.Errorf("make %s: %s does not arrive as it is:\n%s", target, variable, strings.Join(got, "\n"))
			}
			if slices.Contains(drives, target) && !slices.Contains(got, "== driver") {
				t.Errorf("make %s does not run the driver:\n%s", target, strings.Join(got, "\n"))
			}
			if _, err := os.Stat(filepath.Join(dir, "PWNED")); err == nil {
				t.Fatalf("make %s runs its input (on the command line: %t)", target, onCommandLine)
			}
		}
	}
}

// TestDiff runs the script of `make diff` in real repositories. It shows the changes of the working tree, whatever the
// index and the user's settings are, and changes neither.
func TestDiff(t *testing.T) {
	componenttest.Command(t, "git")
	script, err := filepath.Abs("tools/diff.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, golden := t.TempDir(), filepath.Join("testdata", "golden", "dev")
	run := func(in, base string, command ...string) string {
		c := exec.Command(command[0], command[1:]...)
		c.Dir, c.Env = in, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "BASE=" + base,
			"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
		out, err := c.CombinedOutput()
		if err != nil {
			return "error: " + string(out)
		}
		return string(out)
	}
	git := func(in string, args ...string) string {
		out := run(in, "", append([]string{"git"}, args...)...)
		if strings.HasPrefix(out, "error: ") {
			t.Fatalf("git %v: %s", args, out)
		}
		return out
	}
	change := func(in, name, content string) {
		path := filepath.Join(in, golden, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	readIndex := func(in string) string {
		return readFile(t, strings.TrimSpace(git(in, "rev-parse", "--path-format=absolute", "--git-path", "index")))
	}
	project := filepath.Join(dir, "a folder")
	git(dir, "init", "--quiet", project)
	git(project, "commit", "--quiet", "--allow-empty", "--message", "empty")
	change(project, "hpa.yaml", "maxReplicas: 20\n")
	git(project, "add", ".")
	git(project, "commit", "--quiet", "--message", "fix: two words")
	git(project, "config", "diff.external", "false")
	git(project, "config", "core.hooksPath", filepath.Join(project, "hooks"))
	clone, beside := filepath.Join(dir, "clone"), filepath.Join(dir, "beside")
	git(dir, "clone", "--quiet", "--depth", "1", "file://"+project, clone)
	git(project, "worktree", "add", "--quiet", "--detach", beside)
	changes := []string{"-maxReplicas: 20", "+maxReplicas: 30", "+new: true"}
	for _, tt := range []struct {
		name, in, base string
		want           []string
	}{
		{"a commit", project, "HEAD", changes},
		{"a search in the messages", project, ":/fix: two", changes},
		{"a shallow clone", clone, "HEAD", changes},
		{"a commit that it lacks", clone, "HEAD~1",
			[]string{"error: ", "BASE=HEAD~1 is not a commit", "git fetch --unshallow"}},
		{"another worktree", beside, "HEAD", changes},
		{"no golden files", project, "HEAD~1", []string{"HEAD~1 has no golden files", "+maxReplicas: 30"}},
		{"no revision", project, "--help", []string{"error: ", "BASE=--help is not a commit", "git fetch origin"}},
	} {
		change(tt.in, "hpa.yaml", "maxReplicas: 30\n")
		change(tt.in, "new.yaml", "new: true\n")
		status, index := git(tt.in, "status", "--porcelain"), readIndex(tt.in)
		got := run(tt.in, tt.base, "sh", script)
		for _, part := range tt.want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %q, want %q in it", tt.name, got, part)
			}
		}
		if readIndex(tt.in) != index {
			t.Errorf("%s: it changed the index", tt.name)
		}
		if now := git(tt.in, "status", "--porcelain"); now != status {
			t.Errorf("%s: the status was %q and is %q", tt.name, status, now)
		}
	}
	// A commit whose hook runs it contains what was staged.
	hook := "#!/bin/sh\nBASE=HEAD sh '" + script + "' >hook.log\n"
	hooks := filepath.Join(project, "hooks")
	err = errors.Join(os.Mkdir(hooks, 0o700), os.WriteFile(filepath.Join(hooks, "pre-commit"), []byte(hook), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	git(project, "add", filepath.Join(golden, "new.yaml"))
	git(project, "commit", "--quiet", "--message", "new")
	got := strings.TrimSpace(git(project, "show", "--name-only", "--format="))
	if got != filepath.Join(golden, "new.yaml") {
		t.Errorf("the commit with the hook has %q", got)
	}
	if log := readFile(t, filepath.Join(project, "hook.log")); !strings.Contains(log, changes[1]) {
		t.Errorf("the hook showed %q", log)
	}
}

// recipeFolder returns a folder with the Makefile, its scripts, and a recorder for each program.
func recipeFolder(t *testing.T, makefile string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"Makefile": makefile, "go.mod": "go 1.26.7\n"}
	scripts, err := filepath.Glob("tools/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("got no scripts: %v", err)
	}
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		files[script] = string(content)
	}
	for _, program := range strings.Fields("go git docker pulumi kubectl redis-server nginx cc chromium strace") {
		files["path/"+program] = recorder
	}
	for _, folder := range []string{"app", "balancer", "e2e", "load", "monitoring", "tools/kubeconform", "bin"} {
		files[folder+"/.keep"] = ""
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o700); err != nil { //nolint:gosec // some of them are programs
			t.Fatal(err)
		}
	}
	return dir
}

// runRecipe returns the lines that the recorders wrote. A recipe may fail, since recorders do nothing.
func runRecipe(t *testing.T, dir, target string, variables []string, onCommandLine bool) []string {
	t.Helper()
	record := filepath.Join(dir, "record")
	_ = os.Remove(record)
	command := exec.Command("make", target)
	command.Dir = dir
	command.Env = []string{
		"PATH=" + filepath.Join(dir, "path") + ":/usr/bin:/bin", "RECORD=" + record, "HOME=" + dir,
		"RECORDER=" + filepath.Join(dir, "path", "go"),
	}
	for _, variable := range variables {
		if onCommandLine {
			command.Args = append(command.Args, variable+"="+hostile)
		} else {
			command.Env = append(command.Env, variable+"="+hostile)
		}
	}
	if !onCommandLine { // these are variables of make and Go on the command line
		command.Env = append(command.Env, "GOFLAGS="+hostile, "PROGRAM="+hostile, "CLUSTER_PROGRAM="+hostile)
	}
	_ = command.Run()
	content, err := os.ReadFile(record)
	if err != nil && !slices.Contains([]string{"help", "clean", "release"}, target) {
		t.Fatalf("make %s ran no program: %v", target, err)
	}
	return strings.Split(string(content), "\n")
}

// TestComment runs tools/comment.sh with a recorder in place of gh, which knows one comment or none.
func TestComment(t *testing.T) {
	for _, tt := range []struct {
		name, content, found string
		want                 []string // arguments of the calls, or the message
	}{
		{"first", "<!-- scaleout: review -->\ntext\n", "",
			[]string{"POST\nrepos/o/r/issues/7/comments\n", "body=@", "comment: written"}},
		{"again", "<!-- scaleout: review -->\ntext\n", "42\n43",
			[]string{"PATCH\nrepos/o/r/issues/comments/42\n", "body=@", "comment: updated"}},
		{"not ours", "text\n", "", []string{"does not begin with a line like"}},
	} {
		dir := t.TempDir()
		gh := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>'" + dir + "/calls'\n" +
			"case \"$*\" in *--paginate*) echo '" + tt.found + "' ;; esac\n"
		err := errors.Join(os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o700), //nolint:gosec // a program
			os.WriteFile(filepath.Join(dir, "comment.md"), []byte(tt.content), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command("sh", "tools/comment.sh", filepath.Join(dir, "comment.md"))
		command.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "GITHUB_REPOSITORY=o/r", "NUMBER=7"}
		out, err := command.CombinedOutput()
		calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
		for _, want := range tt.want {
			if got := string(calls) + string(out); !strings.Contains(got, want) {
				t.Errorf("%s (%v): got %s, want %q in it", tt.name, err, got, want)
			}
		}
		if refused := len(calls) == 0; refused != (err != nil) {
			t.Errorf("%s: got %v after %d calls", tt.name, err, len(calls))
		}
	}
}
