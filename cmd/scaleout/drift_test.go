package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// step is an event of the engine about a resource.
func stepEvent(op apitype.OpType, typ string, paths ...string) apitype.StepEventMetadata {
	detailed := map[string]apitype.PropertyDiff{}
	for _, path := range paths {
		detailed[path] = apitype.PropertyDiff{}
	}
	return apitype.StepEventMetadata{Op: op, URN: "urn:pulumi:dev::scaleout::" + typ + "::web", DetailedDiff: detailed}
}

func TestChanges(t *testing.T) {
	d, _, _ := newTestDriver(t)
	got, err := d.changes(func(log chan<- events.EngineEvent) error {
		defer close(log)
		for _, s := range []apitype.StepEventMetadata{
			stepEvent(apitype.OpRefresh, "kubernetes:apps/v1:Deployment"),
			stepEvent(apitype.OpSame, "kubernetes:core/v1:Service"),
			stepEvent(apitype.OpUpdate, "pulumi:pulumi:Stack", "outputs"),
			stepEvent(apitype.OpUpdate, "docker:index/image:Image", "a", "b", "c", "d", "e", "f", "g"),
		} {
			log <- events.EngineEvent{EngineEvent: apitype.EngineEvent{
				ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: s},
			}}
		}
		for _, s := range []apitype.StepEventMetadata{
			stepEvent(apitype.OpUpdate, "kubernetes:apps/v1:Deployment", "spec.replicas"),
			stepEvent(apitype.OpDelete, "kubernetes:core/v1:ConfigMap"),
		} {
			log <- events.EngineEvent{EngineEvent: apitype.EngineEvent{
				ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: s},
			}}
		}
		return nil
	})
	ok(t, err)
	want := `update   docker:index:Image web: a, b, c, d, e and 2 more
update   kubernetes:apps/v1:Deployment web: spec.replicas
delete   kubernetes:core/v1:ConfigMap web`
	if strings.Join(got, "\n") != want {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestDriftOfNoStack(t *testing.T) {
	d, _, _ := newTestDriver(t, reply{command: "docker info", out: "28.0.0 daemon linux/x86_64"})
	wantError(t, d.drift(t.Context()), "the backend has no stack dev; to create it: make up")
	d, _, _ = newRelease(t, "")
	write(t, d.committed("shop"), prodYAML)
	d.Stack = "shop"
	wantError(t, d.deploy(t.Context()), "the backend has no stack shop; to create it: pulumi stack init shop")
}

func TestDeployIsForStacksElsewhere(t *testing.T) {
	d, _, _ := newTestDriver(t, reply{command: "docker info", out: "28.0.0 daemon linux/x86_64"},
		reply{command: "pulumi stack ls", out: `[{"name":"dev"}]`})
	wantError(t, d.deploy(t.Context()), "this stack runs on this machine: use make up")
}

// deploy previews, and then changes, without selecting the stack for the user's next command.
func TestDeploy(t *testing.T) {
	d, host, out := newRelease(t, "")
	ok(t, d.deploy(t.Context()))
	if got := len(host.asked("pulumi preview")) + 10*len(host.asked("pulumi up")); got != 11 ||
		len(host.asked("pulumi stack select")) > 0 {
		t.Errorf("got %q, want a preview and an update", host.asked("pulumi"))
	}
	wantParts(t, out, "stack prod is up to date", "deploy in ")
}

// plan changes nothing, and writes a comment that begins with the marker of tools/comment.sh.
func TestPlan(t *testing.T) {
	d, host, _ := newRelease(t, "")
	d.File = filepath.Join(t.TempDir(), "plan.md")
	ok(t, d.plan(t.Context()))
	wantParts(t, read(t, d.File), "<!-- scaleout: plan prod -->\n### `pulumi preview` of stack prod: no changes\n")
	if len(host.asked("pulumi up")) > 0 {
		t.Errorf("got %q, want no update", host.asked("pulumi"))
	}
}
