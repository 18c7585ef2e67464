package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func stackFileOf(t *testing.T, content string) *stackFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	write(t, path, content)
	f, err := readStackFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *stackFile) String() string { return strings.Join(f.lines, "") }

func TestStackFileGet(t *testing.T) {
	f := stackFileOf(t, devYAML+"  \"scaleout:host\": 'a # b' # comment\n  scaleout:empty: # nothing\n")
	for key, want := range map[string]string{
		"scaleout:target": "kind", "scaleout:imageRepository": "localhost:5001/scaleout", "scaleout:publicPort": "8080",
		"scaleout:maxReplicas": "10", "scaleout:host": "a # b", "scaleout:empty": "", "scaleout:missing": "",
	} {
		if got := f.get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// TestCleanBringsBackTheFile is what `down` promises: git sees no change, to the last space.
func TestCleanBringsBackTheFile(t *testing.T) {
	for name, content := range map[string]string{
		"with comments and empty lines": devYAML,
		"without a newline at the end":  strings.TrimSuffix(devYAML, "\n"),
		"comment before the first key":  "# a\n\n# b\nconfig:\n  # c\n  scaleout:target: kind # d\n",
		"quoted keys and odd spacing": "config:\n  \"scaleout:publicPort\":   '1'   # x \n    \n" +
			"  scaleout:kubeContext:  a\n",
		"keys without values": "config:\n  scaleout:publicPort:\n  scaleout:target: kind\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := stackFileOf(t, content)
			f.set("scaleout:publicPort", "9090")
			f.set("scaleout:publicPort", "9091") // a second run with another port
			f.set("scaleout:kubeContext", "kind-other")
			f.set("scaleout:added", "x")
			f.setPassword("v1:abc:def==")
			f.setSalt("v1:salt=:v1:more")
			if f.get("scaleout:publicPort") != "9091" || f.get(saltKey) != "v1:salt=:v1:more" ||
				!f.marked("scaleout:redisPassword") {
				t.Errorf("got %s\nwant the new values", f)
			}
			touched := f.clean()
			if got := f.String(); got != content {
				t.Errorf("got %q, want %q", got, content)
			}
			for _, key := range []string{"scaleout:publicPort", "scaleout:redisPassword", saltKey} {
				if !slices.Contains(touched, key) {
					t.Errorf("got touched keys %q, want %s among them", touched, key)
				}
			}
		})
	}
}

func TestSettingTheOldValueRemovesTheMark(t *testing.T) {
	f := stackFileOf(t, devYAML)
	f.set("scaleout:publicPort", "9090")
	f.set("scaleout:publicPort", "8080")
	if got := f.String(); got != devYAML {
		t.Errorf("got %q, want %q", got, devYAML)
	}
}

func TestCleanLeavesWhatTheUserWrote(t *testing.T) {
	const user = "encryptionsalt: v1:mine\nconfig:\n  scaleout:redisPassword:\n    secure: v1:mine\n" +
		"  scaleout:publicPort: 8081 # mine\n"
	f := stackFileOf(t, user)
	f.set("scaleout:kubeContext", "kind-x")
	f.clean()
	if got := f.String(); got != user {
		t.Errorf("got %q, want %q", got, user)
	}
}

// TestCleanAfterPulumiRewroteTheFile: `pulumi config set` lays a file out anew but keeps the comments.
func TestCleanAfterPulumiRewroteTheFile(t *testing.T) {
	f := stackFileOf(t, "encryptionsalt: v1:s # set by make up\n"+
		"config:\n  scaleout:redisPassword:\n    secure: v1:p # set by make up\n"+
		"  scaleout:target: kind\n  scaleout:publicPort: \"9090\" # set by make up, was: 8080 # where it listens\n")
	f.clean()
	want := "config:\n  scaleout:target: kind\n  scaleout:publicPort: 8080 # where it listens\n"
	if got := f.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzCleanUndoesSet(f *testing.F) {
	f.Add(devYAML, "9090")
	f.Add("config:\n\tscaleout:publicPort: 'x' # y\n", "1")
	f.Fuzz(func(t *testing.T, content, value string) {
		if value == "" || strings.ContainsAny(value, "\r\n#'\" \t:{}") || strings.Contains(content, mark) ||
			strings.Contains(content, "\r") {
			t.Skip("not what a stack file or a port looks like")
		}
		file := &stackFile{lines: strings.SplitAfter(content, "\n")}
		if file.has(saltKey) || !file.has("config") || !strings.HasSuffix(content, "\n") {
			t.Skip("`up` adds the salt only where none is, to a file with settings")
		}
		file.setSalt("v1:" + value)
		file.setPassword(value)
		file.clean()
		if got := file.String(); got != content {
			t.Errorf("got %q, want %q", got, content)
		}
	})
}
