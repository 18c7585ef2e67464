package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	kind "sigs.k8s.io/kind/pkg/cluster"
)

// reply is the answer of a fake program to every command line that begins with command.
type reply struct {
	command string
	out     string
	fails   string        // if set, the program fails and prints this
	does    func(command) // a side effect, such as a file that it writes
}

// fakeRunner replies to commands from a list, and then from defaults, and records them. Any other fails the test.
type fakeRunner struct {
	t       *testing.T
	replies []reply
	ran     []command
}

// defaults are the replies to commands whose result most tests ignore.
var defaults = []reply{
	{command: "kind "}, {command: "docker context inspect", out: "unix:///var/run/docker.sock"},
	{command: "pulumi stack export", out: "{}"},
	{command: "pulumi stack ls --json", out: "[]"},
	{command: "pulumi stack output --json", out: "{}"}, {command: "pulumi stack history --json", out: "[]"},
}

func line(c command) string { return strings.Join(append([]string{c.name}, c.args...), " ") }

func (f *fakeRunner) Run(_ context.Context, c command) (string, error) {
	f.ran = append(f.ran, c)
	for _, r := range append(slices.Clip(f.replies), defaults...) {
		if !strings.HasPrefix(line(c), r.command) {
			continue
		}
		if r.does != nil {
			r.does(c)
		}
		if c.live != nil {
			_, _ = io.WriteString(c.live, r.out+r.fails)
		}
		if r.fails != "" {
			return "", fmt.Errorf("`%s`: exit status 255: %s", line(c), r.fails)
		}
		if at := slices.Index(c.args, "--event-log"); at >= 0 {
			sendSummary(f.t, strings.TrimPrefix(c.args[at+1], "tcp://"))
		}
		return strings.TrimSpace(r.out), nil
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

// fakePulumi is the Pulumi CLI of the automation API, which the fakeRunner runs.
type fakePulumi struct{ auto.PulumiCommand }

func (fakePulumi) Version() semver.Version { return sdk.Version }

// sendSummary sends the event without which the automation API reports that a preview failed.
func sendSummary(t *testing.T, address string) {
	conn := must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer func() { _ = conn.Close() }()
	stream := must(pulumirpc.NewEventsClient(conn).StreamEvents(t.Context()))
	ok(t, stream.Send(&pulumirpc.EventRequest{Event: `{"summaryEvent":{}}`}))
	_, err := stream.CloseAndRecv()
	ok(t, err)
}

// envOf returns the environment variables that a command adds.
func envOf(c command) map[string]string {
	env := map[string]string{}
	for _, v := range c.env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}

// fakeClusters is the fakeRunner as kind's library: its calls are commands of a program "kind".
type fakeClusters struct{ *fakeRunner }

func (f fakeClusters) call(args ...string) error {
	_, err := f.Run(f.t.Context(), command{name: "kind", args: args})
	return err
}

// Create applies the options, which are functions of a type that is internal to kind, by reflection.
func (f fakeClusters) Create(name string, options ...kind.CreateOption) error {
	into := reflect.New(reflect.TypeOf(options[0]).In(0).Elem())
	for _, o := range options {
		reflect.ValueOf(o).Call([]reflect.Value{into})
	}
	field := func(name string) string { return into.Elem().FieldByName(name).String() }
	return f.call("create", name, field("NodeImage"), field("KubeconfigPath"))
}

func (f fakeClusters) Delete(name, kubeconfig string) error {
	return f.call("delete", name, kubeconfig)
}

func (f fakeClusters) ExportKubeConfig(name, kubeconfig string, internal bool) error {
	return f.call("export", name, kubeconfig, fmt.Sprint(internal))
}

const projectYAML = `name: scaleout
runtime: go
config:
  target: {type: string}
  namespace: {type: string, default: scaleout}
  imagePlatform: {type: string, default: linux/amd64, description: "Operating system: and architecture."}
  redisHost: {type: string, default: ""}
  readyPath: {type: string, default: /readyz}
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
	host, out := &fakeRunner{t: t, replies: replies}, new(bytes.Buffer)
	d := &driver{settings: must(parseSettings("up", environment(nil))), root: t.TempDir(), host: host,
		kind: fakeClusters{host}, cli: pulumiCLI{fakePulumi{}, host}, out: out, lookupEnv: environment(nil), exclusive: true}
	write(t, filepath.Join(d.root, "Pulumi.yaml"), projectYAML)
	write(t, d.committed("dev"), devYAML)
	write(t, d.local("state", "meta.yaml"), "")
	return d, host, out
}

// openTestStack opens the driver's stack and connects it to Pulumi, which is not recorded. It returns the driver.
func openTestStack(t *testing.T, d *driver, carried ...string) *driver {
	d.stack = must(d.openStack(d.Stack, carried...))
	must(d.connect(t.Context()))
	d.host.(*fakeRunner).ran = nil
	return d
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
	ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
	ok(t, os.WriteFile(path, []byte(content), 0o600))
}

// writeProgram writes a shell script.
func writeProgram(t *testing.T, path, script string) {
	write(t, path, "#!/bin/sh\n"+script+"\n")
	ok(t, os.Chmod(path, 0o700))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	ok(t, err)
	return string(content)
}

// must returns the value of a call that does not fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// ok ends the test on an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantParts checks that a text has all these parts.
func wantParts(t *testing.T, text any, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if got := fmt.Sprint(text); !strings.Contains(got, p) {
			t.Errorf("got %s\nwant %q in it", got, p)
		}
	}
}

// wantError checks that an error has all the parts that make its text useful.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	wantParts(t, err, parts...)
}
