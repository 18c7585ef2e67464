package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reply is what a fake program answers. It fits every command line that begins with command.
type reply struct {
	command string
	out     string
	fails   string        // if set, the program fails and prints this
	does    func(command) // a side effect, such as a file that it writes
}

// fakeRunner answers commands from a list and keeps what was asked. A command it does not know fails the test.
type fakeRunner struct {
	t       *testing.T
	replies []reply
	ran     []command
}

func line(c command) string { return strings.Join(append([]string{c.name}, c.args...), " ") }

func (f *fakeRunner) Run(_ context.Context, c command) (string, error) {
	f.t.Helper()
	f.ran = append(f.ran, c)
	for _, r := range f.replies {
		if !strings.HasPrefix(line(c), r.command) {
			continue
		}
		if r.does != nil {
			r.does(c)
		}
		if r.fails != "" {
			return "", &commandError{command: line(c), cause: errors.New("exit status 1"), output: r.fails}
		}
		return r.out, nil
	}
	if strings.HasSuffix(c.name, "pulumi") && c.args[0] == "version" {
		return "", &exec.Error{Name: c.name, Err: exec.ErrNotFound}
	}
	f.t.Errorf("unexpected command: %s", line(c))
	return "", errors.New("unexpected command")
}

// asked returns the command lines that begin with prefix.
func (f *fakeRunner) asked(prefix string) []string {
	var found []string
	for _, c := range f.ran {
		if strings.HasPrefix(line(c), prefix) {
			found = append(found, line(c))
		}
	}
	return found
}

const projectYAML = `name: scaleout
runtime: go
config:
  target:
    type: string
  namespace:
    type: string
    default: scaleout
  imagePlatform:
    type: string
    default: linux/amd64
    description: "Operating system: and architecture."
  redisHost:
    type: string
    default: ""
  readyPath:
    type: string
    default: /readyz
`

const devYAML = `# A local cluster. ` + "`make up`" + ` creates it.
config:
  pulumi:disable-default-providers: [kubernetes] # nothing follows the current context
  scaleout:target: kind
  scaleout:kubeContext: kind-scaleout
  scaleout:imageRepository: localhost:5001/scaleout

  scaleout:publicPort: 8080   # where the ingress listens
  scaleout:maxReplicas: "10"
`

// newTestDriver returns a driver in a project of its own with the default settings.
func newTestDriver(t *testing.T, replies ...reply) (*driver, *fakeRunner, *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "Pulumi.yaml"), projectYAML)
	write(t, filepath.Join(root, "Pulumi.dev.yaml"), devYAML)
	write(t, filepath.Join(root, localDir, "state", "meta.yaml"), "")
	s, err := parseSettings(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": root, "PATH": "/bin"}
	host, out := &fakeRunner{t: t, replies: replies}, new(bytes.Buffer)
	d := &driver{settings: s, root: root, host: host, out: out, pulumi: "pulumi",
		lookupEnv: environment(env)}
	return d, host, out
}

// environment is os.LookupEnv of another environment.
func environment(of map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, set := of[name]
		return value, set
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// set gives a setting of a test another value.
func (s *stack) set(key, value string) { s.file.set(key, value) }

// wantError checks that an error has all the parts that make its line useful.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got error %q, want %q in it", err, p)
		}
	}
}
