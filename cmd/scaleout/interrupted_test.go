package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func stateJSON(resources ...string) string {
	return fmt.Sprintf(`{"version": 3, "deployment": {"resources": [%s]}}`, strings.Join(resources, ","))
}

func imageJSON(reference string) string {
	return fmt.Sprintf(`{"urn": "urn:pulumi:dev::scaleout::docker:index/image:Image::app", "type": "docker:index/image:Image",
		"outputs": {"repoDigest": "%s"}}`, reference)
}

const pendingState = `{"deployment": {"resources": [], "pending_operations": [{"type": "creating", "resource": {}}]}}`

// TestImagesOfAnotherRegistry: a registry that was made anew does not have the images that the state takes to be there.
func TestImagesOfAnotherRegistry(t *testing.T) {
	r := newTestRegistry(t)
	for reference, want := range map[string]string{
		r.push(t, "app", "linux/amd64"):  "--refresh",
		imageOf(r.host+"/app", "1"):      "--refresh --replace urn:pulumi:dev::scaleout::docker:index/image:Image::app",
		imageOf("ghcr.io/acme/app", "1"): "--refresh", "": "--refresh",
	} {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack export --stack dev", out: stateJSON(imageJSON(reference))})
		flags, err := d.lookAgain(t.Context(), openTestStack(t, d))
		if got := strings.Join(flags, " "); err != nil || got != want {
			t.Errorf("%s: got %q and %v, want %q", reference, got, err, want)
		}
	}
}

// TestUpAfterAnInterruption: what exists is taken over by the next run, until one has gone well.
func TestUpAfterAnInterruption(t *testing.T) {
	d, host, out := newTestDriver(t, reply{command: "pulumi up"}, reply{command: "pulumi refresh"},
		reply{command: "pulumi stack export", out: pendingState}, reply{command: "docker exec"})
	s := openTestStack(t, d)
	s.existed = true
	host.replies[0].fails = "error: update failed"
	for range 2 { // of an update that fails by itself, the objects are still to be taken over
		if _, err := d.update(t.Context(), s); err == nil {
			t.Fatal("got no error of an update that failed")
		}
		if s.setting(keyAdoptExisting) != "true" || !strings.Contains(read(t, d.local("Pulumi.dev.yaml")), "adoptExisting: true") {
			t.Errorf("got %q, want existing objects taken over", s.setting(keyAdoptExisting))
		}
		s = openTestStack(t, d)
		if s.existed = true; s.has(keyAdoptExisting) {
			t.Error("got objects taken over by any update that follows")
		}
		host.replies[2].out = stateJSON()
	}
	refreshes := host.asked("pulumi refresh")
	if len(refreshes) != 1 || !strings.Contains(refreshes[0], "--clear-pending-creates") || !strings.Contains(refreshes[0], "--config-file") {
		t.Errorf("got %q, want the operations cleared once", refreshes)
	}
	if !strings.Contains(out.String(), "taking over what it left") {
		t.Errorf("got %q, want it said", out)
	}
	host.replies[0].fails = ""
	if _, err := d.update(t.Context(), s); err != nil || d.mark(markUnderWay, d.Stack) != "" {
		t.Errorf("got %v and the mark %q, want the update finished", err, d.mark(markUnderWay, d.Stack))
	}
	if got := read(t, d.local("Pulumi.dev.yaml")); strings.Contains(got, "adoptExisting") {
		t.Errorf("got %s, want plain commands to take over nothing from now on", got)
	}
}

// TestUnclaimed: what another stack has made is refused before a mark says that it may be taken over or removed.
func TestUnclaimed(t *testing.T) {
	const get = "docker exec --interactive scaleout-control-plane kubectl get --ignore-not-found --output name "
	d, _, _ := newTestDriver(t, reply{command: get + "namespace scaleout", out: "namespace/scaleout\n"})
	s := openTestStack(t, d)
	_, err := d.unclaimed(t.Context(), s)
	wantError(t, err, "namespace/scaleout is in cluster scaleout already", "not of stack dev", "scaleout:namespace")
	s.resources = 3
	if _, err := d.unclaimed(t.Context(), s); err != nil {
		t.Errorf("got %v for a stack that has something", err)
	}
	s.resources = 0
	if err := d.setMark(markUnderWay, d.Stack, "up"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.unclaimed(t.Context(), s); err != nil {
		t.Errorf("got %v after an interruption", err)
	}

	d, _, _ = newTestDriver(t, reply{command: get + "namespace scaleout"}, reply{command: get + "namespace traefik", out: "namespace/traefik\n"})
	s = openTestStack(t, d)
	if _, err := d.unclaimed(t.Context(), s); err != nil {
		t.Errorf("got %v without installTraefik", err)
	}
	s.set(keyTraefik, "true")
	_, err = d.unclaimed(t.Context(), s)
	wantError(t, err, "namespace/traefik", "scaleout:installTraefik")

	d, _, s = newDockerDriver(t, 8090, reply{command: "docker ps", out: "scaleout-web-1\n"})
	_, err = d.unclaimed(t.Context(), s)
	wantError(t, err, "scaleout-web-1", "not of stack docker", "scaleout:namespace")
	if got, err := d.nothingLeft(t.Context(), s); err != nil || got != "it made none" {
		t.Errorf("got %q and %v, want the other's containers left", got, err)
	}
}

// TestAnotherDaemon: what is on a daemon that does not answer now must not be taken for gone.
func TestAnotherDaemon(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "docker version", out: "28.0.0"}, reply{command: "docker info", out: "first"})
	for range 2 {
		if _, err := d.dockerAnswers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	host.replies[1].out = "second"
	_, err := d.dockerAnswers(t.Context())
	wantError(t, err, "another Docker daemon", ".local/docker-daemon-dev")
}

// TestFailureIsNoInterruption: the objects that are there already after it are another stack's.
func TestFailureIsNoInterruption(t *testing.T) {
	d, _, _ := newTestDriver(t, reply{command: "pulumi up", fails: "resource already exists"},
		reply{command: "docker exec"})
	_, err := d.update(t.Context(), openTestStack(t, d))
	wantError(t, explainPulumi(d.Stack, err), "scaleout:namespace")
	if got := d.mark(markUnderWay, d.Stack); got != "" {
		t.Errorf("got the mark %q, want none", got)
	}
}

// TestInterruptionIsNoted: by Ctrl-C, and by a signal to Pulumi alone.
func TestInterruptionIsNoted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d, _, _ := newTestDriver(t, reply{command: "pulumi up", fails: "interrupted", does: func(command) { cancel() }})
	if err := d.change(ctx, openTestStack(t, d), "up"); err == nil || d.mark(markUnderWay, d.Stack) != "up" {
		t.Errorf("got %v and the mark %q, want it noted", err, d.mark(markUnderWay, d.Stack))
	}
	if err := d.clearMark(markUnderWay, d.Stack); err != nil {
		t.Fatal(err)
	}
	d.host, d.pulumi = new(execRunner), "sh"
	s := openTestStack(t, d)
	if err := d.change(t.Context(), s, "-c", "kill -9 $$"); err == nil || d.mark(markUnderWay, d.Stack) == "" {
		t.Errorf("got %v, want it noted", err)
	}
}

// TestSharedStateIsNotChanged: the operations in it may be those of somebody else's run.
func TestSharedStateIsNotChanged(t *testing.T) {
	d, host, out := newTestDriver(t, reply{command: "pulumi stack export", out: pendingState}, reply{command: "docker exec"})
	s := openTestStack(t, d)
	s.backend.local = false
	if _, err := d.lookAgain(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if len(host.asked("pulumi refresh")) != 0 || !strings.Contains(out.String(), "pulumi refresh --yes --skip-preview --clear-pending-creates --stack dev") {
		t.Errorf("got %q and %q, want only the command named", host.asked("pulumi"), out)
	}
}

// TestRemoveUnknown: only what has the label of this stack and is not in its state goes.
func TestRemoveUnknown(t *testing.T) {
	d, host, s := newDockerDriver(t, 8090,
		reply{command: "pulumi stack export", out: stateJSON(`{"id": "known"}`)},
		reply{command: "docker container ls --all --quiet --no-trunc --filter label=scaleout.network=scaleout", out: "known\nleft\n"},
		reply{command: "docker network ls --quiet --no-trunc --filter label=scaleout.network=scaleout", out: "network\n"},
		reply{command: "docker container rm"}, reply{command: "docker network rm"})
	if _, err := d.lookAgain(t.Context(), s); err != nil || len(host.asked("docker")) != 0 {
		t.Errorf("got %v and %q, want nothing looked for without an interruption", err, host.asked("docker"))
	}
	if err := d.setMark(markUnderWay, d.Stack, "up"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.lookAgain(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	removed := append(host.asked("docker container rm"), host.asked("docker network rm")...)
	if want := "docker container rm --force --volumes left; docker network rm network"; strings.Join(removed, "; ") != want {
		t.Errorf("got %q, want %q", removed, want)
	}
}

// TestWaitForDeletions: what still answers but is on its way out must not be taken for there.
func TestWaitForDeletions(t *testing.T) {
	d, host, _ := newTestDriver(t)
	host.replies = []reply{{command: "docker exec", out: "Namespace scaleout ", does: func(command) {
		if len(host.ran) > 1 {
			host.replies[0].out = ""
		}
	}}}
	if err := d.waitForDeletions(t.Context()); err != nil || len(host.ran) < 2 {
		t.Errorf("got %v after %d looks, want it waited for", err, len(host.ran))
	}
}
