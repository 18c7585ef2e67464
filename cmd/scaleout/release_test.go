package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	ours "example.com/scaleout/internal/registry"
)

// testRegistry is a registry on this machine that counts what is written to it.
type testRegistry struct {
	host   string
	writes atomic.Int32
}

func newTestRegistry(t *testing.T) *testRegistry {
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no login of this machine
	r := &testRegistry{}
	content := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			r.writes.Add(1)
		}
		content.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// push puts an image with evidence for any platform into the repository, and returns its reference.
func (r *testRegistry) push(repository string) string {
	reference := r.pushBare(repository)
	measured(reference, "e2e", "passed", time.Now())
	r.writes.Store(0)
	return reference
}

// pushBare is push without evidence.
func (r *testRegistry) pushBare(repository string) string {
	image, tag := must(random.Image(1000, 2)), must(name.NewTag(r.host+"/"+repository+":built"))
	if err := remote.Write(tag, image); err != nil {
		panic(err)
	}
	r.writes.Store(0)
	return tag.Repository.Name() + "@" + must(image.Digest()).String()
}

// measured attaches evidence to an image.
func measured(image, kind, result string, at time.Time) {
	must(ours.Attach(context.Background(), image, evidenceType, map[string]string{
		kindAnnotation: kind, resultAnnotation: result, stackAnnotation: "staging",
		createdAnnotation: at.UTC().Format(time.RFC3339),
	}, nil))
}

// imageOf is a reference whose digest begins with these digits.
func imageOf(repository, digits string) string {
	return repository + "@sha256:" + digits + strings.Repeat("0", 64-len(digits))
}

// outputsAre is the reply to `pulumi stack output` of a stack that runs the first of the images.
func outputsAre(stack string, images ...string) reply {
	var o outputs
	for _, image := range images {
		o.Image = images[0]
		o.Images = append(o.Images, deployed{image, "2026-11-29T15:04:05Z"})
	}
	return reply{command: "pulumi stack output --json --stack " + stack, out: string(must(json.Marshal(o)))}
}

// prodYAML are settings elsewhere, with comments.
const prodYAML = "# Reviewed by operations.\nconfig:\n  scaleout:target: eks\n  scaleout:minReplicas: \"3\" # zones\n"

// newRelease returns a driver for stacks prod and staging, whose files have these lines. Their state is in a bucket.
func newRelease(t *testing.T, config string, replies ...reply) (*driver, *fakeRunner, *bytes.Buffer) {
	d, host, out := newTestDriver(t, append(replies, reply{command: "pulumi preview"}, reply{command: "pulumi up"},
		reply{command: "pulumi stack ls", out: `[{"name":"prod"}]`})...)
	d.lookupEnv = environment(map[string]string{"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "x"})
	d.Stack, d.From = "prod", "staging"
	write(t, d.committed("staging"), prodYAML+config)
	write(t, d.committed("prod"), prodYAML+config)
	return d, host, out
}

// wantDeployed checks that the image is set in the committed file, which keeps its comments, and then deployed, with a
// preview, and without selecting the stack for the user's next command.
func wantDeployed(t *testing.T, d *driver, image string) {
	t.Helper()
	wantParts(t, read(t, d.committed(d.Stack)), prodYAML, "\n  scaleout:image: "+image+"\n")
	host := d.host.(*fakeRunner)
	want := []string{"pulumi up --yes --skip-preview --exec-kind=auto.local --stack " + d.Stack + " --non-interactive"}
	if got := host.asked("pulumi up"); !slices.Equal(got, want) || len(host.asked("pulumi preview")) != 1 ||
		len(host.asked("pulumi stack select")) > 0 {
		t.Errorf("got %q, want a preview and %q", host.asked("pulumi"), want)
	}
}

// wantUntouched checks that neither the file nor the stack were changed.
func wantUntouched(t *testing.T, d *driver, config string) {
	t.Helper()
	if file := read(t, d.committed(d.Stack)); file != prodYAML+config {
		t.Errorf("got the file %s, want it unchanged", file)
	}
	if got := d.host.(*fakeRunner).asked("pulumi up"); len(got) > 0 {
		t.Errorf("got %q, want no update", got)
	}
}

// TestPromoteCopies checks that the copy has the digest of what was tested.
func TestPromoteCopies(t *testing.T) {
	from, to := newTestRegistry(t), newTestRegistry(t)
	tested, running := from.push("team/staging"), imageOf(to.host+"/live", "1")
	_, digest, _ := strings.Cut(tested, "@")
	want := to.host + "/live@" + digest
	d, _, out := newRelease(t, "  scaleout:imageRepository: "+to.host+"/live\n",
		outputsAre("staging", tested), outputsAre("prod", running))
	ok(t, d.promote(t.Context()))
	wantDeployed(t, d, want)
	wantParts(t, out, "current "+running, "new     "+want, "scaleout:image in Pulumi.prod.yaml",
		"commit the change of Pulumi.prod.yaml:\n      scaleout:image: "+want, "to undo: make rollback STACK=prod")
	must(remote.Head(must(name.NewDigest(want))))
	if from.writes.Load() != 0 {
		t.Error("got writes to the source, want none")
	}
}

// TestPromoteInPlace checks that a target without a registry of its own, or with the same, uses the image where it is.
func TestPromoteInPlace(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push("team/staging")
	for name, tt := range map[string]struct {
		config  string
		prepare func(*driver)
	}{
		"the same registry": {"  scaleout:imageRepository: " + r.host + "/live\n", func(*driver) {}},
		"none of its own":   {"", func(*driver) {}}, "confirmed at the terminal": {"", typed("Yes\n")},
		"confirmed by YES": {"", func(d *driver) { d.terminal, d.Yes = true, true }},
	} {
		t.Run(name, func(t *testing.T) {
			d, _, out := newRelease(t, tt.config, outputsAre("staging", tested), outputsAre("prod"))
			tt.prepare(d)
			ok(t, d.promote(t.Context()))
			wantDeployed(t, d, tested)
			wantParts(t, out, "nothing is copied", "allowed to pull from "+r.host+"/team/staging", "current nothing yet")
			if r.writes.Load() != 0 || strings.Contains(out.String(), "make rollback") {
				t.Errorf("got %d writes and %q, want none, and no way back from the first image", r.writes.Load(), out)
			}
			if asked := strings.Contains(out.String(), "continue? [y/N]"); asked != (d.terminal && !d.Yes) {
				t.Errorf("got a question %t", asked)
			}
		})
	}
	config := "  scaleout:image: " + tested + "\n"
	d, _, out := newRelease(t, config, outputsAre("staging", tested), outputsAre("prod", tested))
	ok(t, d.promote(t.Context()))
	wantUntouched(t, d, config)
	wantParts(t, out, "runs it already")
}

// TestPromoteQualified checks that Pulumi gets names with organization and project, and that files have none.
func TestPromoteQualified(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push("app")
	d, _, _ := newRelease(t, "",
		outputsAre("acme/other/dev", tested), outputsAre("acme/scaleout/prod", imageOf("a/app", "1")))
	d.From, d.Stack = "acme/other/dev", "acme/scaleout/prod" // another project's dev is not the one that has a file here
	ok(t, d.promote(t.Context()))
	wantDeployed(t, d, tested)
	d.Stack = "acme/other/prod"
	wantError(t, d.promote(t.Context()), `STACK="acme/other/prod"`, "the project here is scaleout")
}

// TestNothingIsTouched checks that errors are found before the first change of a registry, a file or a stack.
func TestNothingIsTouched(t *testing.T) {
	from, to := newTestRegistry(t), newTestRegistry(t)
	tested := from.push("app")
	own := "  scaleout:imageRepository: " + to.host + "/live\n"
	tests := []struct {
		name, config, tested string
		prepare              func(*driver)
		want                 []string
	}{
		{"no FROM", own, tested, func(d *driver) { d.From = "" }, []string{"FROM is missing", "make promote FROM="}},
		{"no name", own, tested, func(d *driver) { d.From = "me@host" }, []string{`FROM="me@host"`}},
		{"from itself", own, tested, func(d *driver) { d.From = "prod" }, []string{"FROM and STACK are both prod"}},
		{"FROM has a wrong file", own, tested, func(d *driver) { write(t, d.committed("staging"), "config: [") },
			[]string{"stack staging", "Pulumi.staging.yaml"}},
		{"nothing runs in FROM", own, "", nil, []string{"no output `image`", "pulumi up --stack staging"}},
		{"a tag runs in FROM", own, "app:v1", nil, []string{`"app:v1"`, "@sha256:"}},
		{"gone", own, imageOf(from.host+"/app", "1"), nil, []string{"no longer, in its registry", "ecrKeepImages"}},
		{"no platform", own + "  scaleout:imagePlatform: a/b/c/d\n", tested, nil, []string{`imagePlatform "a/b/c/d"`}},
		{"ECR before its first update", "  scaleout:ecrRepository: live\n", tested, nil,
			[]string{"ecrRepository live", "run `pulumi up` once"}},
		{"no repository", "  scaleout:imageRepository: A B\n", tested, nil, []string{`imageRepository "A B"`}},
		{"not confirmed", own, tested, typed("n\n"), []string{"not confirmed"}},
		{"no answer", own, tested, typed(""), []string{"not confirmed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newRelease(t, tt.config, outputsAre("staging", tt.tested), outputsAre("prod", imageOf("a/app", "1")))
			if tt.prepare != nil {
				tt.prepare(d)
			}
			wantError(t, d.promote(t.Context()), tt.want...)
			wantUntouched(t, d, tt.config)
			if to.writes.Load() != 0 {
				t.Errorf("got %d writes, want none", to.writes.Load())
			}
		})
	}
}

// typed is an answer at a terminal.
func typed(text string) func(*driver) {
	return func(d *driver) { d.terminal, d.stdin = true, strings.NewReader(text) }
}

// TestInterruptedQuestion checks that Ctrl-C ends the question although nobody has typed a line.
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

// TestCopyThatFails checks that the stack file and the stack are changed only after the copy.
func TestCopyThatFails(t *testing.T) {
	tested := newTestRegistry(t).push("app")
	config := fmt.Sprintf("  scaleout:imageRepository: 127.0.0.1:%d/live\n", freePort())
	d, _, _ := newRelease(t, config, outputsAre("staging", tested), outputsAre("prod"))
	wantError(t, d.promote(t.Context()), "looking for image 127.0.0.1")
	wantUntouched(t, d, config)
}

func TestRollback(t *testing.T) {
	r := newTestRegistry(t)
	previous, running := r.push("app"), imageOf(r.host+"/app", "1")
	const history = "pulumi stack history --json --page-size 20 --page 1 --stack prod"
	t.Run("to the previous image", func(t *testing.T) {
		d, _, out := newRelease(t, "", outputsAre("prod", running, previous),
			reply{command: history, out: `[{"kind":"update","result":"succeeded"}]`})
		ok(t, d.rollback(t.Context()))
		wantDeployed(t, d, previous)
		wantParts(t, out, "(runs)", "builds no image; to build again, undo this change of Pulumi.prod.yaml")
		if r.writes.Load() != 0 || d.mark(markRollback, "prod") != "" {
			t.Errorf("got %d writes and the mark %q, want neither", r.writes.Load(), d.mark(markRollback, "prod"))
		}
	})
	t.Run("of a stack that builds another folder", func(t *testing.T) {
		d, _, out := newRelease(t, "  scaleout:buildContext: shop\n", outputsAre("prod", running, previous),
			reply{command: history, out: `[{"kind":"refresh"},{"kind":"update","result":"succeeded"}]`})
		ok(t, d.rollback(t.Context()))
		wantDeployed(t, d, previous)
		if file := read(t, d.committed("prod")); strings.Contains(file, "buildContext") {
			t.Errorf("got %s, want no folder: the program refuses it beside an image", file)
		}
		wantParts(t, out, "removes scaleout:buildContext: shop", "to build again, undo this change")
	})
	t.Run("to one that has expired", func(t *testing.T) {
		config := "  scaleout:image: " + running + "\n"
		d, _, _ := newRelease(t, config, outputsAre("prod", running, imageOf(r.host+"/app", "2")))
		wantError(t, d.rollback(t.Context()), "no longer, in its registry")
		wantUntouched(t, d, config)
	})
	t.Run("to one that did not run", func(t *testing.T) {
		d, _, _ := newRelease(t, "", outputsAre("prod", running, previous))
		d.To = "3"
		wantError(t, d.rollback(t.Context()), `stack prod: TO="3" selects 0 images`, "that ran there are\n 1  ", "\n 2  ")
		wantUntouched(t, d, "")
	})
	t.Run("again after an interruption", func(t *testing.T) {
		d, host, out := newRelease(t, "  scaleout:image: "+running+"\n", reply{command: "pulumi up", fails: "killed"},
			outputsAre("prod", running, previous))
		wantError(t, d.rollback(t.Context()), "make rollback STACK=prod", "TO=")
		host.replies[0].fails, host.ran = "", nil
		ok(t, d.rollback(t.Context()))
		wantDeployed(t, d, previous)
		wantParts(t, out, "continuing an earlier rollback")
	})
}

// TestWayBack checks that a promotion that fails names the command that returns, and that this rollback does so.
func TestWayBack(t *testing.T) {
	r := newTestRegistry(t)
	tested, running := r.push("app"), r.push("app")
	d, host, _ := newRelease(t, "", reply{command: "pulumi up", fails: "error: 1 of 3 updates failed"},
		outputsAre("staging", tested), outputsAre("prod", running, imageOf("a/app", "1")))
	wantError(t, d.promote(t.Context()), "updates failed", "make rollback STACK=prod")
	host.replies[0].fails, host.ran = "", nil
	ok(t, d.rollback(t.Context()))
	wantDeployed(t, d, running)
}

// TestReleaseOnThisMachine checks that a stack on kind is updated as by `up`, with state and settings in .local.
func TestReleaseOnThisMachine(t *testing.T) {
	r := newTestRegistry(t)
	tested := r.push("app")
	d, host, _ := newRelease(t, "", outputsAre("staging", tested), outputsAre("dev"),
		reply{command: "docker info", out: "28.0.0 daemon linux/x86_64"})
	d.Stack, d.lookupEnv = "dev", environment(nil)
	// The repository of the stack is in the registry of this machine, which is the one of this test.
	write(t, d.committed("dev"), strings.ReplaceAll(devYAML, "localhost:5001", r.host))
	ok(t, d.promote(t.Context()))
	wantParts(t, host.asked("pulumi up"), "--refresh")
	wantParts(t, read(t, d.committed("dev")), "scaleout:image: "+tested, "# where the ingress")
	wantParts(t, read(t, d.local("Pulumi.dev.yaml")), "scaleout:image: "+tested)
	for _, c := range host.ran {
		_, set := envOf(c)["PULUMI_BACKEND_URL"]
		if own := strings.Contains(line(c), "--stack dev "); strings.Contains(line(c), "--stack") && set != own {
			t.Errorf("%s: got %q, want .local only for the stack of this machine", line(c), c.env)
		}
	}
}

func TestRepository(t *testing.T) {
	const account = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/"
	for _, tt := range []struct{ name, config, running, ran, want string }{
		{"none", "", account + "x", "", ""},
		{"any registry", "  scaleout:imageRepository: ghcr.io/acme/app\n", account + "x", "", "ghcr.io/acme/app"},
		{"ECR, it runs", "  scaleout:ecrRepository: team/live\n", account + "team/live", "", account + "team/live"},
		{"ECR, it ran", "  scaleout:ecrRepository: live\n", "ghcr.io/acme/app", account + "live", account + "live"},
		{"ECR, others of the account ran", "  scaleout:ecrRepository: live\n", account + "staging", "", account + "live"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newRelease(t, tt.config)
			r := &release{driver: openTestStack(t, d),
				now: outputs{Image: imageOf(tt.running, "1"), Images: []deployed{{Image: imageOf(tt.ran, "2")}}}}
			if got, err := r.repository(); err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	newest, previous, oldest := imageOf("a/app", "1234567a"), imageOf("a/app", "1234567b"), imageOf("b/app", "1234567b")
	o := outputs{Image: previous, Images: []deployed{
		{newest, "2026-11-29T15:04:05Z"}, {previous, "2026-11-28T15:04:05Z"}, {oldest, "2026-11-27T15:04:05Z"},
		{previous, "2026-11-26T15:04:05Z"},
	}}
	for _, tt := range []struct{ name, to, want, wantErr string }{
		{"number", "1", newest, ""},
		{"number of one that ran twice", "4", previous, ""},
		{"beginning of a digest", "1234567a", newest, ""},
		{"with its algorithm", "sha256:1234567a0", newest, ""},
		{"whole digest", strings.SplitN(newest, ":", 2)[1], newest, ""},
		{"reference", oldest, oldest, ""},
		{"beginning of several", "1234567", "", "selects 3 images"},
		{"the same digest in two repositories", "1234567b", "", "selects 2 images"},
		{"no such number", "5", "", "selects 0 images"},
		{"zero", "0", "", "selects 0 images"},
		{"too short", "abcdef", "", "at least the first 7 digits"},
		{"no digest", "sha256:xyz", "", "at least the first 7 digits"},
		{"a tag", "a/app:v1", "", "at least the first 7 digits"},
		{"unknown reference", imageOf("a/app", "5"), "", "selects 0 images"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := o.choose(tt.to)
			if tt.wantErr != "" {
				wantError(t, err, tt.wantErr, `"`+tt.to+`"`, "at least the first 7 digits")
			} else if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
	wantParts(t, o.listed(), " 1  2026-11-29T15:04:05Z  1234567a0000  a/app\n",
		" 2  2026-11-28T15:04:05Z  1234567b0000  a/app  (runs)\n", " 3  2026-11-27T15:04:05Z  1234567b0000  b/app\n")
	if got := strings.Count(o.listed(), "(runs)"); got != 1 {
		t.Errorf("got %d images that run in %q, want 1", got, o.listed())
	}
}

// TestGoal checks which image a rollback deploys: that depends on whether the update that it reverts succeeded.
func TestGoal(t *testing.T) {
	newest, previous, oldest := imageOf("a/app", "3"), imageOf("a/app", "2"), imageOf("a/app", "1")
	broken := imageOf("a/app", "4")
	three := []deployed{{newest, ""}, {previous, ""}, {oldest, ""}}
	const succeeded, failed = `[{"kind":"update","result":"succeeded"}]`, `[{"kind":"update","result":"failed"}]`
	for _, tt := range []struct {
		name, configured, unfinished, to, history string
		images                                    []deployed
		want                                      string
	}{
		{"the newest runs", newest, "", "", "", three, previous},
		{"its update failed", broken, "", "", "", three, newest},
		{"its update failed, and it ran once", oldest, "", "", "", three, newest},
		{"a rollback to it was interrupted", oldest, oldest, "", "", three, oldest},
		{"another one was configured since", newest, oldest, "", "", three, previous},
		{"TO", newest, "", "3", "", three, oldest},
		{"TO in place of an interrupted one", previous, previous, "3", "", three, oldest},
		{"built by the stack", "", "", "", succeeded, three, previous},
		{"built by the stack, never updated", "", "", "", "[]", three, previous},
		{"built by the stack, and that failed", "", "", "", failed, three, newest},
		{"destroyed since", "", "", "", `[{"kind":"destroy","result":"failed"}]`, three, previous},
		{"nothing before", newest, "", "", "", three[:1], ""},
		{"nothing at all", "", "", "", succeeded, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const history = "pulumi stack history --json --page-size 20 --page 1 --stack dev"
			d, _, _ := newTestDriver(t, reply{command: history, out: tt.history})
			r := &release{driver: openTestStack(t, d), now: outputs{Images: tt.images}}
			if d.To = tt.to; len(tt.images) > 0 {
				r.now.Image = tt.images[0].Image
			}
			if tt.configured != "" {
				r.set("image", tt.configured)
			}
			ok(t, d.setMark(markRollback, d.Stack, tt.unfinished))
			got, err := r.goal(t.Context())
			if tt.want == "" {
				wantError(t, err, "no image to go back to")
			} else if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}
