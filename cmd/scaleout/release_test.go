package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/pulumi/pulumi/sdk/v3"
	"gopkg.in/yaml.v3"
)

// testRegistry is a registry on this machine that counts what is written to it.
type testRegistry struct {
	host   string
	writes atomic.Int32
	status atomic.Int32 // if set, the answer to everything
}

func newTestRegistry(t *testing.T) *testRegistry {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no login of this machine
	r := &testRegistry{}
	content := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if status := int(r.status.Load()); status != 0 {
			w.WriteHeader(status)
			return
		}
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			r.writes.Add(1)
		}
		content.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// push puts an index with an image for each platform into the repository, or just an image, and returns its reference.
func (r *testRegistry) push(t *testing.T, repository string, platforms ...string) string {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	var content remote.Taggable
	for _, p := range platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			t.Fatal(err)
		}
		image, err := random.Image(1000, 2)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
		if image, err = mutate.ConfigFile(image, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
		if content = index; len(platforms) == 1 {
			content = image
		}
	}
	digest, err := content.(interface{ Digest() (v1.Hash, error) }).Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref := r.host + "/" + repository
	tag, err := name.NewTag(ref + ":built")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(tag, content); err != nil {
		t.Fatal(err)
	}
	r.writes.Store(0)
	return ref + "@" + digest.String()
}

// whole checks that everything of an image is in its repository.
func whole(t *testing.T, reference string) {
	t.Helper()
	ref, err := name.NewDigest(reference)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	if !got.MediaType.IsIndex() {
		image, err := got.Image()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(image); err != nil {
			t.Error(err)
		}
		return
	}
	index, err := got.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
}

// outputsAre plays `pulumi stack output`.
func outputsAre(t *testing.T, stack string, images ...string) reply {
	t.Helper()
	o := outputs{}
	for i, image := range images {
		if i == 0 {
			o.Image = image
		}
		o.Images = append(o.Images, deployed{image, "2026-11-29T15:04:05Z"})
	}
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return reply{command: "pulumi stack output --json --stack " + stack + " ", out: string(out)}
}

// newRelease returns a driver for stack prod, whose file has these lines, and for staging.
func newRelease(t *testing.T, config string, replies ...reply) (*driver, *fakeRunner, *bytes.Buffer) {
	t.Helper()
	sets := func(c command) {
		path := filepath.Join(c.dir, stackFileName(c.args[3]))
		f, err := readSettingsFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f.set(keyImage, c.args[5])
		content, err := yaml.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(content))
	}
	d, host, out := newTestDriver(t, append(replies, reply{command: "pulumi version", out: "v" + sdk.Version.String()},
		reply{command: "pulumi config set --stack ", does: sets}, reply{command: "pulumi up --yes --stack "})...)
	d.lookupEnv, d.Stack, d.From = elsewhere, "prod", "staging"
	for _, file := range []string{"Pulumi.staging.yaml", "Pulumi.prod.yaml"} {
		write(t, filepath.Join(d.root, file), "config:\n  scaleout:target: eks\n"+config)
	}
	return d, host, out
}

// changes are the commands that change something.
func changes(host *fakeRunner) []string {
	return append(host.asked("pulumi config"), host.asked("pulumi up")...)
}

func wantDeployed(t *testing.T, host *fakeRunner, stack, image string) {
	t.Helper()
	got, want := changes(host), []string{
		"pulumi config set --stack " + stack + " scaleout:image " + image + " --non-interactive",
		"pulumi up --yes --stack " + stack + " --non-interactive",
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %q, want %q", got, want)
	}
}

func wantOutput(t *testing.T, out *bytes.Buffer, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(out.String(), p) {
			t.Errorf("got %q, want %q in it", out, p)
		}
	}
}

// TestPromoteCopies: the copy has the digest of what was tested, all of its platforms, and is not made twice.
func TestPromoteCopies(t *testing.T) {
	for _, platforms := range [][]string{{"linux/amd64"}, {"linux/arm64/v8", "linux/amd64"}} {
		from, to := newTestRegistry(t), newTestRegistry(t)
		tested := from.push(t, "team/staging", platforms...)
		running := imageOf(to.host+"/live", "1")
		_, digest, _ := strings.Cut(tested, "@")
		want := to.host + "/live@" + digest
		for _, first := range []bool{true, false} {
			d, host, out := newRelease(t, "  scaleout:imageRepository: "+to.host+"/live\n",
				outputsAre(t, "staging", tested), outputsAre(t, "prod", running))
			if err := d.promote(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantDeployed(t, host, "prod", want)
			if got := to.writes.Load() > 0; got != first {
				t.Errorf("%v: got writes %t, want %t", platforms, got, first)
			}
			to.writes.Store(0)
			wantOutput(t, out, "runs    "+running, "will    "+want, "scaleout:image in Pulumi.prod.yaml",
				"commit its line:\n      scaleout:image: "+want, "back: make rollback STACK=prod")
		}
		whole(t, want)
		if from.writes.Load() != 0 {
			t.Error("got writes to the source, want none")
		}
	}
}

// TestPromoteInPlace: without a registry of its own, or with the same, the target uses the image where it is.
func TestPromoteInPlace(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push(t, "team/staging", "linux/amd64")
	for name, config := range map[string]string{
		"the same registry": "  scaleout:imageRepository: " + r.host + "/live\n", "none of its own": "",
	} {
		t.Run(name, func(t *testing.T) {
			d, host, out := newRelease(t, config, outputsAre(t, "staging", tested), outputsAre(t, "prod"))
			if err := d.promote(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantDeployed(t, host, "prod", tested)
			wantOutput(t, out, "nothing is copied", "allowed to pull from "+r.host+"/team/staging", "runs    nothing yet")
			if r.writes.Load() != 0 || strings.Contains(out.String(), "make rollback") {
				t.Errorf("got %d writes and %q, want none, and no way back from the first image", r.writes.Load(), out)
			}
		})
	}
	t.Run("it runs there", func(t *testing.T) {
		d, host, out := newRelease(t, "  scaleout:image: "+tested+"\n",
			outputsAre(t, "staging", tested), outputsAre(t, "prod", tested))
		if err := d.promote(t.Context()); err != nil || len(changes(host)) != 0 {
			t.Errorf("got %v and %q, want nothing done", err, changes(host))
		}
		wantOutput(t, out, "runs it already")
	})
}

// TestPromoteQualified: names with organization and project go to Pulumi as they are, and to files without them.
func TestPromoteQualified(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push(t, "app", "linux/amd64")
	d, host, _ := newRelease(t, "",
		outputsAre(t, "acme/other/dev", tested), outputsAre(t, "acme/scaleout/prod", imageOf("a/app", "1")))
	d.From, d.Stack = "acme/other/dev", "acme/scaleout/prod" // another project's dev is not the one that has a file here
	if err := d.promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, host, "acme/scaleout/prod", tested)
	d.Stack = "acme/other/prod"
	wantError(t, d.promote(t.Context()), "its project is other", "scaleout")
	stack := environment(map[string]string{"STACK": "acme/scaleout/prod"})
	wantError(t, start(t.Context(), subcommands()[0], stack, d.host, d.out), "up takes the plain name")
}

// TestNothingIsTouched: what is wrong shows before the first change of a registry, a file or a stack.
func TestNothingIsTouched(t *testing.T) {
	from, to := newTestRegistry(t), newTestRegistry(t)
	tested, arm := from.push(t, "app", "linux/amd64"), from.push(t, "arm", "linux/arm64", "linux/s390x")
	own := "  scaleout:imageRepository: " + to.host + "/live\n"
	tests := []struct {
		name, config, tested string
		prepare              func(*driver)
		want                 []string
	}{
		{"no FROM", own, tested, func(d *driver) { d.From = "" }, []string{"FROM is missing", "make promote FROM="}},
		{"no name", own, tested, func(d *driver) { d.From = "me@host" }, []string{`FROM="me@host"`}},
		{"from itself", own, tested, func(d *driver) { d.From = "prod" }, []string{"FROM and STACK are both prod"}},
		{"nothing runs in FROM", own, "", nil, []string{"no output `image`", "pulumi up --stack staging"}},
		{"a tag runs in FROM", own, "app:v1", nil, []string{`"app:v1"`, "@sha256:"}},
		{"gone", own, imageOf(from.host+"/app", "1"), nil, []string{"no longer, in its registry", "ecrKeepImages"}},
		{"other platforms", own, arm, nil, []string{"no child with platform linux/amd64", "imagePlatform linux/amd64"}},
		{"another platform", own, from.push(t, "one", "linux/arm64"), nil, []string{"built for linux/arm64", "imagePlatform linux/amd64"}},
		{"ECR before its first update", "  scaleout:ecrRepository: live\n", tested, nil,
			[]string{"ecrRepository live", "run `pulumi up` once"}},
		{"no repository", "  scaleout:imageRepository: A B\n", tested, nil, []string{`imageRepository "A B"`}},
		{"not confirmed", own, tested, typed("n\n"), []string{"not confirmed"}},
		{"no answer", own, tested, typed(""), []string{"not confirmed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var images []string
			if tt.tested != "" {
				images = append(images, tt.tested)
			}
			d, host, out := newRelease(t, tt.config,
				outputsAre(t, "staging", images...), outputsAre(t, "prod", imageOf("a/app", "1")))
			if tt.prepare != nil {
				tt.prepare(d)
			}
			wantError(t, d.promote(t.Context()), tt.want...)
			if len(changes(host)) != 0 || to.writes.Load() != 0 {
				t.Errorf("got %q and %d writes, want nothing touched; it said %q", changes(host), to.writes.Load(), out)
			}
		})
	}
}

// typed is an answer at a terminal.
func typed(text string) func(*driver) {
	return func(d *driver) { d.terminal, d.stdin = true, strings.NewReader(text) }
}

func TestConfirmed(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push(t, "app", "linux/amd64")
	for name, prepare := range map[string]func(*driver){
		"at the terminal": typed("Yes\n"),
		"by YES":          func(d *driver) { d.terminal, d.Yes = true, true },
	} {
		d, host, out := newRelease(t, "", outputsAre(t, "staging", tested), outputsAre(t, "prod"))
		prepare(d)
		if err := d.promote(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantDeployed(t, host, "prod", tested)
		if got := strings.Contains(out.String(), "continue? [y/N]"); got == d.Yes {
			t.Errorf("%s: got %q, want a question only without YES", name, out)
		}
	}
}

// TestRegistryThatRefuses says how to log in.
func TestRegistryThatRefuses(t *testing.T) {
	r := newTestRegistry(t)
	ran := r.push(t, "app", "linux/amd64")
	r.status.Store(http.StatusForbidden)
	running := imageOf("a/app", "1")
	d, host, _ := newRelease(t, "  scaleout:image: "+running+"\n", outputsAre(t, "prod", running, ran))
	wantError(t, d.rollback(t.Context()), "docker login "+r.host, "403")
	if len(changes(host)) != 0 {
		t.Errorf("got %q, want nothing touched", changes(host))
	}
}

func TestPushThatIsRefused(t *testing.T) {
	from := newTestRegistry(t)
	tested := from.push(t, "app", "linux/amd64")
	for status, want := range map[int]string{
		http.StatusNotFound: "the repository has to be there", http.StatusUnauthorized: "docker login",
	} {
		to := newTestRegistry(t)
		to.status.Store(int32(status))
		d, host, _ := newRelease(t, "  scaleout:imageRepository: "+to.host+"/live\n",
			outputsAre(t, "staging", tested), outputsAre(t, "prod"))
		wantError(t, d.promote(t.Context()), want)
		if len(changes(host)) != 0 {
			t.Errorf("%d: got %q, want the stack as it was", status, changes(host))
		}
	}
}

func TestRollback(t *testing.T) {
	r := newTestRegistry(t)
	previous := r.push(t, "app", "linux/amd64")
	running := imageOf(r.host+"/app", "1")
	t.Run("to the previous image", func(t *testing.T) {
		d, host, out := newRelease(t, "", outputsAre(t, "prod", running, previous),
			reply{command: "pulumi stack history", out: `[{"kind":"update","result":"succeeded"}]`})
		if err := d.rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantDeployed(t, host, "prod", previous)
		wantOutput(t, out, "(runs)", "builds no image; back: `pulumi config rm image --stack prod`")
		if r.writes.Load() != 0 || d.mark(markRollback, "prod") != "" {
			t.Errorf("got %d writes and the mark %q, want neither", r.writes.Load(), d.mark(markRollback, "prod"))
		}
	})
	t.Run("of a stack that builds another folder", func(t *testing.T) {
		d, host, out := newRelease(t, "  scaleout:buildContext: shop\n", outputsAre(t, "prod", running, previous),
			reply{command: "pulumi stack history", out: `[{"kind":"refresh"},{"kind":"update","result":"succeeded"}]`},
			reply{command: "pulumi config rm"})
		if err := d.rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"pulumi config set --stack prod " + keyImage + " " + previous, "pulumi config rm --stack prod " + keyBuildContext}
		for i, got := range host.asked("pulumi config") {
			if !strings.HasPrefix(got, want[i]) {
				t.Errorf("got %q, want %q: the program refuses the folder beside an image", got, want[i])
			}
		}
		wantOutput(t, out, "removes "+keyBuildContext+": shop", "config set buildContext 'shop' --stack prod")
	})
	t.Run("to one that has expired", func(t *testing.T) {
		gone := imageOf(r.host+"/app", "2")
		d, host, _ := newRelease(t, "  scaleout:image: "+running+"\n", outputsAre(t, "prod", running, gone))
		wantError(t, d.rollback(t.Context()), "no longer, in its registry")
		if len(changes(host)) != 0 {
			t.Errorf("got %q, want nothing touched", changes(host))
		}
	})
	t.Run("again after an interruption", func(t *testing.T) {
		d, host, out := newRelease(t, "  scaleout:image: "+running+"\n", reply{command: "pulumi up", fails: "killed"},
			outputsAre(t, "prod", running, previous))
		wantError(t, d.rollback(t.Context()), "make rollback STACK=prod", "TO=")
		host.replies = host.replies[1:]
		host.ran = nil
		if err := d.rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantDeployed(t, host, "prod", previous)
		wantOutput(t, out, "an earlier rollback did not end")
	})
}

// TestWayBack: an update that fails has changed the stack file, and says how to return; the rollback then does.
func TestWayBack(t *testing.T) {
	r := newTestRegistry(t)
	tested, running := r.push(t, "app", "linux/amd64"), r.push(t, "app", "linux/amd64")
	d, host, _ := newRelease(t, "", reply{command: "pulumi up", fails: "error: 1 of 3 updates failed"},
		outputsAre(t, "staging", tested), outputsAre(t, "prod", running, imageOf("a/app", "1")))
	wantError(t, d.promote(t.Context()), "updates failed", "to return to "+running+": make rollback STACK=prod")
	host.replies = host.replies[1:]
	host.ran = nil
	if err := d.rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, host, "prod", running)
}

// TestReleaseOnThisMachine: a stack on kind gets its update as `up` does it, from the state in .local, and no cluster.
func TestReleaseOnThisMachine(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push(t, "app", "linux/amd64")
	d, host, _ := newRelease(t, "", outputsAre(t, "staging", tested), outputsAre(t, "dev"),
		reply{command: "pulumi stack export", out: `{"deployment": null}`})
	d.Stack, d.lookupEnv = "dev", environment(nil)
	// Its own repository is in the registry of this machine; that one is this test's.
	write(t, filepath.Join(d.root, "Pulumi.dev.yaml"), strings.ReplaceAll(devYAML, "localhost:5001", r.host))
	if err := d.promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(host.asked("pulumi up"), ""); !strings.Contains(got, "--skip-preview") {
		t.Errorf("got %q, want the update of `up`", got)
	}
	for _, c := range host.ran {
		env, own := strings.Join(c.env, "\n"), strings.Contains(line(c), "--stack dev")
		if strings.Contains(env, "PULUMI_BACKEND_URL=") != own && strings.Contains(line(c), "--stack") {
			t.Errorf("%s: got %q, want .local only for the stack of this machine", line(c), env)
		}
	}
}

// TestReleaseOnDocker: `up --refresh` would replace a container that stands still, and the count would go with it.
func TestReleaseOnDocker(t *testing.T) {
	d, host, s := newDockerDriver(t, 8090,
		reply{command: "docker ps", out: "scaleout-redis\n"}, reply{command: "docker start"}, reply{command: "pulumi config set"},
		reply{command: "pulumi stack export", out: `{"deployment": null}`}, reply{command: "pulumi up"})
	s.existed = true
	if err := d.deploy(t.Context(), &release{stack: s, to: "a"}); err != nil {
		t.Fatal(err)
	}
	commands := strings.Join(host.asked(""), "\n")
	start, up := strings.Index(commands, "docker start scaleout-redis"), strings.Index(commands, "pulumi up")
	if start < 0 || up < start || !strings.Contains(commands[up:], "--refresh") {
		t.Errorf("got %q, want the container started before the refresh", commands)
	}
}

// TestInterruptedQuestion: Ctrl-C ends it, although nobody has typed a line.
func TestInterruptedQuestion(t *testing.T) {
	d, _, _ := newTestDriver(t)
	silent, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	d.terminal, d.stdin = true, silent
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.confirm(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it interrupted", err)
	}
}

func TestRepository(t *testing.T) {
	const account = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/"
	tests := []struct{ name, config, running, ran, want string }{
		{"none", "", account + "x", "", ""},
		{"any registry", "  scaleout:imageRepository: ghcr.io/acme/app\n", account + "x", "", "ghcr.io/acme/app"},
		{"ECR, it runs", "  scaleout:ecrRepository: team/live\n", account + "team/live", "", account + "team/live"},
		{"ECR, it ran", "  scaleout:ecrRepository: live\n", "ghcr.io/acme/app", account + "live", account + "live"},
		{"ECR, others of the account ran", "  scaleout:ecrRepository: live\n", account + "staging", "", account + "live"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newRelease(t, tt.config)
			s, err := d.openStack("prod")
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.repository(outputs{Image: imageOf(tt.running, "1"), Images: []deployed{{Image: imageOf(tt.ran, "2")}}})
			if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestBackendOfARelease: a stack elsewhere is looked for where pulumi is logged in, if the environment says nothing.
func TestBackendOfARelease(t *testing.T) {
	d, _, _ := newRelease(t, "")
	for stack, want := range map[string]string{"prod": "", "dev": "PULUMI_BACKEND_URL=file://" + d.local("state")} {
		d.lookupEnv = environment(nil)
		s, err := d.openStack(stack)
		if env := strings.Join(s.backend.env, "\n"); err != nil || !strings.Contains(env, want) ||
			strings.Contains(env, "PULUMI_BACKEND_URL") != (want != "") {
			t.Errorf("%s: got %q and %v, want %q in it", stack, env, err, want)
		}
	}
	_, err := d.openStack("qa")
	wantError(t, err, "stack qa")
}
