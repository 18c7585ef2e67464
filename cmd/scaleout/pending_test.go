package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const urnPrefix = "urn:pulumi:dev::scaleout::"

// resourceJSON is a resource in a state; more is other fields of it.
func resourceJSON(kind, name, more string) string {
	return fmt.Sprintf(`{"urn": "%s%s::%s", "type": "%[2]s", "custom": true%[4]s}`, urnPrefix, kind, name, more)
}

// object is a Kubernetes object in a state.
func object(kind, name, more string) string {
	return resourceJSON("kubernetes:"+kind, name, `, "inputs": {"metadata": {"namespace": "scaleout", "name": "`+name+`"}}`+more)
}

func pendingJSON(doing, resource string) string {
	return fmt.Sprintf(`{"type": "%s", "resource": %s}`, doing, resource)
}

func stateJSON(resources, pending []string) string {
	return fmt.Sprintf(`{"version": 3, "deployment": {"resources": [%s], "pending_operations": [%s]}}`,
		strings.Join(resources, ","), strings.Join(pending, ","))
}

const (
	deploymentKind = "apps/v1:Deployment"
	configKind     = "core/v1:ConfigMap"
	containerKind  = "docker:index/container:Container"
)

func TestAdopt(t *testing.T) {
	old := object(deploymentKind, "web", `, "id": "scaleout/web"`)
	deleted := object(deploymentKind, "web", `, "id": "scaleout/old", "pendingReplacement": true`)
	for _, tt := range []struct {
		name               string
		resources, pending []string
		want               string // the IDs afterwards, a star behind those that Pulumi has to look at
		lost               string
	}{
		{"a creation", nil, []string{pendingJSON("creating", object(deploymentKind, "web", ""))}, "scaleout/web*", ""},
		{"an object without a namespace", nil, []string{pendingJSON("creating",
			resourceJSON("kubernetes:core/v1:Namespace", "n", `, "inputs": {"metadata": {"name": "scaleout"}}`))}, "scaleout*", ""},
		{"of what has been adopted or made since", []string{old},
			[]string{pendingJSON("creating", object(deploymentKind, "web", ""))}, "scaleout/web*", ""},
		{"of what was deleted to be replaced", []string{deleted},
			[]string{pendingJSON("creating", object(deploymentKind, "web", ""))}, "scaleout/web*", ""},
		{"of what replaces one that is still there", []string{object(deploymentKind, "web", `, "id": "elsewhere/web"`)},
			[]string{pendingJSON("creating", object(deploymentKind, "web", ""))}, "elsewhere/web", "Deployment scaleout/web"},
		{"an update", []string{old}, []string{pendingJSON("updating", old)}, "scaleout/web*", ""},
		{"a deletion", []string{old}, []string{pendingJSON("deleting", old)}, "scaleout/web*", ""},
		{"a creation under a parent that is gone since", nil,
			[]string{pendingJSON("creating", object(deploymentKind, "web", `, "parent": "a::b"`))}, "", "Deployment scaleout/web"},
		{"an image", nil,
			[]string{pendingJSON("creating", resourceJSON(imageType, "app", `, "inputs": {"imageName": "x"}`))}, "", ""},
		{"a container", nil, []string{pendingJSON("creating", resourceJSON(containerKind, "web", ""))}, "", ""},
		{"a provider", nil, []string{pendingJSON("creating", resourceJSON("pulumi:providers:kubernetes", "k8s", ""))}, "", ""},
		{"what is in AWS", nil, []string{pendingJSON("creating", resourceJSON("aws:ecr/repository:Repository", "app", ""))},
			"", "Repository app"},
		{"a component", nil, []string{pendingJSON("creating", `{"urn": "a::b", "type": "scaleout:index:Redis"}`)}, "", ""},
		{"a name that is encrypted", nil,
			[]string{pendingJSON("creating", resourceJSON("kubernetes:core/v1:Secret", "s", `, "inputs": {"metadata": {"x": "y"}}`))},
			"", "Secret s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, err := parseState(stateJSON(tt.resources, tt.pending))
			if err != nil {
				t.Fatal(err)
			}
			begun, lost, err := st.adopt()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(lost, ", "); got != tt.lost {
				t.Errorf("got %q lost, want %q", got, tt.lost)
			}
			var got []string
			for _, resource := range st.resources {
				var r struct {
					ID                  string
					RefreshBeforeUpdate bool
				}
				if err := json.Unmarshal(resource, &r); err != nil {
					t.Fatal(err)
				}
				if r.RefreshBeforeUpdate {
					r.ID += "*"
				}
				got = append(got, r.ID)
			}
			if strings.Join(got, " ") != tt.want || len(begun) != strings.Count(tt.want, "*") {
				t.Errorf("got %q and %v, want %q", got, begun, tt.want)
			}
		})
	}
}

// newSettleDriver is a driver with a Pulumi that keeps its state: an import replaces it, without the pending operations,
// and so does each refresh, with what it finds.
func newSettleDriver(t *testing.T, state string, refreshed ...string) (*driver, *fakeRunner, *stack) {
	t.Helper()
	d, host, _ := newTestDriver(t)
	host.replies = []reply{
		{command: "pulumi stack export --stack dev", out: state},
		{command: "pulumi stack import --stack dev", does: func(c command) { host.replies[0].out = c.stdin }},
		{command: "pulumi refresh", does: func(command) {
			if len(refreshed) > 0 {
				host.replies[0].out, refreshed = refreshed[0], refreshed[1:]
			}
		}},
		{command: "pulumi destroy"},
	}
	return d, host, openTestStack(t, d)
}

// TestSettle: of two objects under creation one is there, which is not known to work yet.
func TestSettle(t *testing.T) {
	there := object(deploymentKind, "web", `, "id": "scaleout/web", "future": 1`)
	d, host, s := newSettleDriver(t, stateJSON(nil, []string{
		pendingJSON("creating", object(deploymentKind, "web", "")), pendingJSON("creating", object(configKind, "c", "")),
		pendingJSON("creating", resourceJSON(imageType, "app", "")),
	}), stateJSON([]string{there}, nil))
	got, err := d.reopenStack(context.Background(), s)
	if err != nil || !strings.HasSuffix(got, ", adopted 1 object(s), 1 had not been created") {
		t.Errorf("got %q and %v, want one adopted and one not", got, err)
	}
	want := "refresh --yes --skip-preview --stack dev --target " + urnPrefix + "kubernetes:apps/v1:Deployment::web --target " +
		urnPrefix + "kubernetes:core/v1:ConfigMap::c --non-interactive"
	if ran := host.asked("pulumi refresh"); len(ran) != 1 || ran[0] != "pulumi "+want {
		t.Errorf("got %q, want %q", ran, want)
	}
	if says := d.out.(fmt.Stringer).String(); !strings.Contains(says, "stopped while creating Deployment scaleout/web, "+
		"creating ConfigMap scaleout/c, creating Image app;") {
		t.Errorf("got %q, want what was under way in it", says)
	}
	if last := host.replies[0].out; !strings.Contains(last, "initErrors") || !strings.Contains(last, `"future":1`) ||
		!strings.Contains(last, `"version":3`) {
		t.Errorf("got %q, want the object to be applied again, and nothing lost", last)
	}
}

// TestSettleWhatCtrlCGaveUp: Pulumi forgot a creation that was cancelled, but the driver had noted it before.
func TestSettleWhatCtrlCGaveUp(t *testing.T) {
	known := object(configKind, "c", `, "id": "scaleout/c"`)
	there := object(deploymentKind, "web", `, "id": "scaleout/web"`)
	d, host, s := newSettleDriver(t, stateJSON(nil, []string{
		pendingJSON("creating", object(deploymentKind, "web", "")), pendingJSON("creating", object(configKind, "c", "")),
	}), stateJSON([]string{known, there}, nil))
	if err := d.runUnlocked(context.Background(), s, nil, "", "destroy"); err != nil {
		t.Fatal(err)
	}
	host.ran[0].beforeInterrupt()
	host.replies[0].out = stateJSON([]string{known}, nil) // and the Deployment is forgotten
	if did, err := d.settle(context.Background(), s); err != nil || did != "adopted 2 object(s)" {
		t.Errorf("got %q and %v, want both adopted: that the ConfigMap was is not known", did, err)
	}
	ran := len(host.ran)
	if did, err := d.settle(context.Background(), s); err != nil || did != "" || len(host.ran) != ran+1 {
		t.Errorf("got %q and %v, want it settled once", did, err)
	}
}

// TestSettleThatFails: the state has lost its pending operations by then, but they are to be settled all the same.
func TestSettleThatFails(t *testing.T) {
	there := object(deploymentKind, "web", `, "id": "scaleout/web"`)
	d, host, s := newSettleDriver(t, stateJSON(nil, []string{pendingJSON("creating", object(deploymentKind, "web", ""))}),
		stateJSON([]string{there}, nil))
	does := host.replies[2].does
	host.replies[2].does, host.replies[2].fails = nil, "interrupted"
	if _, err := d.settle(context.Background(), s); err == nil {
		t.Fatal("got no error of a refresh that failed")
	}
	d.noteUnderWay(context.Background(), s) // as Ctrl-C does; nothing is pending any more
	host.replies[2].does, host.replies[2].fails = does, ""
	did, err := d.settle(context.Background(), s)
	if err != nil || did != "adopted 1 object(s)" || !strings.Contains(host.replies[0].out, "initErrors") {
		t.Errorf("got %q, %v and %s, want the object adopted and applied again", did, err, host.replies[0].out)
	}
	if d.mark(markUnderWay, d.Stack) != "" {
		t.Error("what is settled is still noted")
	}
}

func TestNothingToSettle(t *testing.T) {
	for state, noted := range map[string]string{
		`{"version": 3, "deployment": null}`:                  "[" + pendingJSON("creating", object(configKind, "c", "")) + "]",
		stateJSON([]string{object(configKind, "c", "")}, nil): "",
	} {
		d, host, s := newSettleDriver(t, state)
		if err := d.setMark(markUnderWay, d.Stack, noted); err != nil {
			t.Fatal(err)
		}
		if did, err := d.settle(context.Background(), s); did != "" || err != nil || len(host.ran) != 1 {
			t.Errorf("got %q, %v and %q, want one look at the state", did, err, host.asked(""))
		}
	}
}

// TestSettleWaitsForDeletions: what still answers but is on its way out must not be taken for there.
func TestSettleWaitsForDeletions(t *testing.T) {
	old := object(deploymentKind, "web", `, "id": "scaleout/web"`)
	leaves := object(deploymentKind, "web", `, "id": "scaleout/web", "outputs": {"metadata": {"deletionTimestamp": "now"}}`)
	d, host, s := newSettleDriver(t, stateJSON([]string{old}, []string{pendingJSON("deleting", old)}),
		stateJSON([]string{leaves}, nil), stateJSON(nil, nil))
	if _, err := d.settle(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if got := len(host.asked("pulumi refresh")); got != 2 || strings.Contains(host.replies[0].out, "initErrors") {
		t.Errorf("got %d refreshes and %q, want a second after the object has gone", got, host.replies[0].out)
	}
}

// TestSettleLeavesARunningUpdateAlone: its operations are pending too.
func TestSettleLeavesARunningUpdateAlone(t *testing.T) {
	d, host, s := newSettleDriver(t, stateJSON(nil, []string{
		pendingJSON("creating", resourceJSON(containerKind, "web-1", `, "inputs": {"name": "scaleout-web-1"}`)),
	}))
	host.replies[1].fails = "error: the stack is currently locked by 2 lock(s)"
	_, err := d.reopenStack(context.Background(), s)
	wantError(t, err, "another update is running")
	if got := host.asked("docker"); len(got) > 0 {
		t.Errorf("got %q, want nothing removed", got)
	}
}

// TestDestroyTakesWhatWasUnderWay: destroy looks at it and deletes it, so nothing has to be asked before.
func TestDestroyTakesWhatWasUnderWay(t *testing.T) {
	d, host, s := newSettleDriver(t, stateJSON(nil, []string{pendingJSON("creating", object(configKind, "c", ""))}))
	if _, err := d.destroy(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if state := host.replies[0].out; !strings.Contains(state, `"id":"scaleout/c"`) || !strings.Contains(state, "refreshBeforeUpdate") {
		t.Errorf("got %q, want the object in the state", state)
	}
	if len(host.asked("pulumi refresh")) != 0 || len(host.asked("pulumi destroy")) != 1 {
		t.Errorf("got %q, want a destroy", host.asked(""))
	}
}

// TestRemoveUnfinished: only what is pending, of this stack and not in its state goes.
func TestRemoveUnfinished(t *testing.T) {
	container := func(name, more string) string {
		return resourceJSON(containerKind, name, `, "inputs": {"name": "scaleout-`+name+`"}`+more)
	}
	state := stateJSON([]string{container("nginx", `, "id": "1"`), container("redis", `, "id": "2", "pendingReplacement": true`)},
		[]string{
			pendingJSON("creating", container("web-1", "")), pendingJSON("creating", container("nginx", "")),
			pendingJSON("creating", container("redis", "")), pendingJSON("updating", container("web-2", "")),
			pendingJSON("creating", resourceJSON("docker:index/volume:Volume", "redis", `, "inputs": {"name": "hits"}`)),
		})
	d, host, s := newDockerDriver(t, 8090,
		reply{command: "docker container ls --filter label=scaleout.network=scaleout --filter name=^/?scaleout-web-1$ --format {{.Names}} --all",
			out: "scaleout-web-1\n"},
		reply{command: "docker container ls --filter label=scaleout.network=scaleout --filter name=^/?scaleout-redis$"},
		reply{command: "docker volume ls --filter label=scaleout.network=scaleout --filter name=^/?hits$ --format {{.Name}}", out: "hits\n"},
		reply{command: "docker container rm"}, reply{command: "docker volume rm"})
	st, err := parseState(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.removeUnfinished(context.Background(), s, st); err != nil {
		t.Fatal(err)
	}
	removed := append(host.asked("docker container rm"), host.asked("docker volume rm")...)
	if want := "docker container rm --force --volumes scaleout-web-1; docker volume rm hits"; strings.Join(removed, "; ") != want {
		t.Errorf("got %q, want %q", removed, want)
	}
}
