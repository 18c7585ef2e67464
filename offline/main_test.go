package offline

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	dir := project(t, map[string]string{"dev": stackYAML, "prod": stackYAML})
	out := filepath.Join(t.TempDir(), "out")
	full := t.TempDir()
	writeFiles(t, full, map[string]string{"mine": ""})
	for _, test := range []struct {
		name, args             string
		want                   int
		wantStdout, wantStderr string
	}{
		{"nothing", "", 0, "preview -stack STACK", ""},
		{"help", "-h", 0, "Without arguments the program must be run by the Pulumi engine", ""},
		{"help of a command", "render -h", 0, "-out", ""},
		{"no such command", "plan", 2, "", `unknown command "plan"`},
		{"no such flag", "preview -stak dev", 2, "", "flag provided but not defined: -stak"},
		{"a stray argument", "preview -stack dev prod", 2, "", `unexpected argument "prod"`},
		{"no output folder", "render -stack dev", 2, "", "-out is required"},
		{"no such folder", "preview -stack dev -C " + filepath.Join(dir, "none"), 1, "", "changing the working directory"},
		{"no such stack", "preview -stack test -C " + dir, 1, "", `the stacks are dev, prod`},
		{"no stack", "preview", 2, "", "-stack is required; the stacks are dev, prod"},
		{"preview", "preview -stack dev -C " + dir, 0, "pulumi:pulumi:Stack", ""},
		{"render", "render -stack dev -out " + out, 0, "6 files in " + out, ""},
		{"render to a full folder", "render -stack dev -out " + full, 1, "", "mine was not written by `render`"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(dir)
			var stdout, stderr bytes.Buffer
			if got := Main(demo, strings.Fields(test.args), &stdout, &stderr); got != test.want {
				t.Errorf("exit code: got %d, want %d", got, test.want)
			}
			if got := stdout.String(); !strings.Contains(got, test.wantStdout) || (test.wantStdout == "" && got != "") {
				t.Errorf("stdout: got %q, want it to contain %q", got, test.wantStdout)
			}
			if got := stderr.String(); !strings.Contains(got, test.wantStderr) || (test.wantStderr == "" && got != "") {
				t.Errorf("stderr: got %q, want it to contain %q", got, test.wantStderr)
			}
		})
	}
}

func TestAFailedWriteIsAnError(t *testing.T) {
	t.Chdir(project(t, map[string]string{"dev": stackYAML}))
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if got := Main(demo, []string{"preview", "-stack", "dev"}, closed, &stderr); got != 1 {
		t.Errorf("exit code: got %d, want 1", got)
	}
}
