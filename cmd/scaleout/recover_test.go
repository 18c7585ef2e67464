package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func stateJSON(resources ...string) string {
	return fmt.Sprintf(`{"version": 3, "deployment": {"resources": [%s]}}`, strings.Join(resources, ","))
}

// pending is a state with an operation that did not complete.
var pending = reply{command: "pulumi stack export",
	out: `{"version": 3, "deployment": {"pending_operations": [{"type": "creating", "resource": {}}]}}`}

// TestImagesOfAnotherRegistry checks that images in the state that a new registry on this machine does not have are
// pushed again.
func TestImagesOfAnotherRegistry(t *testing.T) {
	const urn = "urn:pulumi:dev::scaleout::docker:index/image:Image::app"
	r := newTestRegistry(t)
	for reference, replace := range map[string]string{
		r.push("app"): "", imageOf(r.host+"/app", "1"): " --replace=" + urn, imageOf("ghcr.io/a/app", "1"): "", "": "",
	} {
		image := fmt.Sprintf(`{"urn":%q,"type":"docker:index/image:Image","outputs":{"repoDigest":%q}}`, urn, reference)
		d, host, _ := newTestDriver(t, reply{command: "pulumi up"},
			reply{command: "pulumi stack export --show-secrets --stack dev", out: stateJSON(image)})
		must(openTestStack(t, d).update(t.Context()))
		want := []string{"pulumi up --yes --skip-preview --exec-kind=auto.local" + replace +
			" --refresh --stack dev --non-interactive"}
		if got := host.asked("pulumi up"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", reference, got, want)
		}
	}
}

// TestUpAfterAnInterruption checks that updates adopt existing objects until one has succeeded, and none after that.
func TestUpAfterAnInterruption(t *testing.T) {
	d, host, out := newTestDriver(t, reply{command: "pulumi up", fails: "error: update failed"},
		pending, reply{command: "pulumi refresh"}, reply{command: "docker exec"})
	opened := func() *driver { // by a command that carries settings, as promote does
		ran := host.ran
		if openTestStack(t, d, machineKeys...); d.setting("adoptExisting") != "" {
			t.Error("got existing objects adopted without an interruption")
		}
		host.ran = ran
		return d
	}
	for range 2 { // the objects still exist after an update that fails without an interruption
		_, err := opened().update(t.Context())
		wantError(t, err, "update failed")
		wantParts(t, read(t, d.local("Pulumi.dev.yaml")), `scaleout:adoptExisting: "true"`)
		host.replies[1].out = stateJSON()
	}
	wantParts(t, out, "taking over what it left", "error: update failed")
	wantParts(t, host.asked("docker exec"), "kubectl get namespaces,deployments,") // none is being deleted
	if got := host.asked("pulumi refresh"); len(got) != 1 || !strings.Contains(got[0], "--clear-pending-creates") {
		t.Errorf("got %q, want the operations cleared once", got)
	}
	host.replies[0].fails = ""
	if must(opened().update(t.Context())); d.mark(markActive, d.Stack) != "" {
		t.Errorf("got the mark %q, want the update finished", d.mark(markActive, d.Stack))
	}
	opened() // by which the next command adopts nothing
}

// TestFailureIsNoInterruption checks that an update does not adopt the objects that made the previous one fail, since
// another stack may own them, and that the failure is diagnosed.
func TestFailureIsNoInterruption(t *testing.T) {
	d, host, out := newTestDriver(t, reply{command: "pulumi up", fails: "error: resource already exists"},
		reply{command: "docker exec", out: "web-1 CrashLoopBackOff"})
	_, err := openTestStack(t, d).update(t.Context())
	wantError(t, err, "updating stack dev", "resource already exists")
	if d.mark(markActive, d.Stack) != "" || d.setting("adoptExisting") != "" {
		t.Errorf("got the mark %q, want none and nothing adopted", d.mark(markActive, d.Stack))
	}
	asked := host.asked("docker exec")
	if len(asked) != 3 {
		t.Errorf("got %q, want pods, events and logs", asked)
	}
	wantParts(t, asked, "kubectl get pods ", "kubectl get events ", "kubectl logs ")
	wantParts(t, out, "    web-1 CrashLoopBackOff\n")
}

// TestInterruptionIsNoted checks that the mark of a canceled change stays.
func TestInterruptionIsNoted(t *testing.T) {
	for verb, change := range map[string]func(*driver, context.Context) (string, error){
		"up": (*driver).update, "destroy": (*driver).destroy,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		d, host, _ := newTestDriver(t)
		host.replies = []reply{{command: "pulumi stack ls", out: `[{"name":"dev"}]`},
			{command: "pulumi " + verb, fails: "interrupted", does: func(command) {
				if d.mark(markActive, d.Stack) != verb {
					t.Errorf("%s: got no mark during it", verb)
				}
				cancel()
			}}}
		if _, err := change(openTestStack(t, d), ctx); err == nil || d.mark(markActive, d.Stack) != verb {
			t.Errorf("%s: got %v and the mark %q, want it kept", verb, err, d.mark(markActive, d.Stack))
		}
	}
}

// TestSharedStateIsNotChanged checks that pending operations, which may be those of another user, are not cleared.
func TestSharedStateIsNotChanged(t *testing.T) {
	d, host, out := newTestDriver(t, pending, reply{command: "docker exec"})
	openTestStack(t, d).ownState = false
	if must(d.recover(t.Context())); len(host.asked("pulumi refresh")) != 0 {
		t.Errorf("got %q, want only the command printed", host.asked("pulumi"))
	}
	wantParts(t, out, "pulumi refresh --clear-pending-creates --stack dev")
}

// TestWaitForDeletions checks that an update waits for objects that still answer while they are being deleted.
func TestWaitForDeletions(t *testing.T) {
	for looks, want := range map[int]string{3: "", 1000: "Namespace scaleout is still being deleted after 5m0s"} {
		synctest.Test(t, func(t *testing.T) {
			d, host, _ := newTestDriver(t)
			host.replies = []reply{{command: "docker exec", out: "Namespace scaleout ", does: func(command) {
				if len(host.ran) == looks {
					host.replies[0].out = ""
				}
			}}}
			err := d.waitForDeletions(t.Context())
			if want != "" {
				wantError(t, err, want)
			} else if err != nil || len(host.ran) < looks {
				t.Errorf("got %v after %d requests, want %d", err, len(host.ran), looks)
			}
		})
	}
}

// TestStaleLock checks that every command that changes something, and no other, removes the lock of a run that was
// killed, before Pulumi would report it.
func TestStaleLock(t *testing.T) {
	here := must(os.Hostname())
	held := func(host string) string { // by a process that exists on every machine: this one
		return fmt.Sprintf(`{"pid":%d,"hostname":%q,"username":"me"}`, os.Getpid(), host)
	}
	gone := fmt.Sprintf(`{"pid":%d,"hostname":%q}`, 1<<22+1, here) // above Linux' largest process ID
	for _, tt := range []struct {
		name    string
		locks   map[string]string // of stack/file
		program string
		shared  bool
		want    bool
	}{
		{"its process is gone", map[string]string{"dev/x": gone}, "", false, true},
		{"its process was not reaped", map[string]string{"dev/x": held(here)}, "Z pulumi <defunct>", false, true},
		{"another process has its number", map[string]string{"dev/x": held(here)}, "S bash", false, true},
		{"its process runs", map[string]string{"dev/x": held(here)}, "S pulumi", false, false},
		{"of another machine", map[string]string{"dev/x": held("elsewhere")}, "", false, false},
		{"and one of another machine", map[string]string{"dev/x": held(here), "dev/y": held("elsewhere")}, "", false, false},
		{"unreadable", map[string]string{"dev/x": "{"}, "", false, false},
		{"of another stack", map[string]string{"qa/x": held(here)}, "", false, false},
		{"the state is elsewhere", map[string]string{"dev/x": held(here)}, "", true, false},
	} {
		for _, exclusive := range []bool{true, false} {
			ps := fmt.Sprintf("ps -o state=,comm= -p %d", os.Getpid())
			d, host, _ := newTestDriver(t, reply{command: ps, out: tt.program + "\n"}, reply{command: "pulumi cancel"},
				reply{command: "pulumi stack ls", out: `[{"name":"dev"}]`})
			for name, content := range tt.locks {
				write(t, d.local("state", ".pulumi/locks/organization/scaleout", name+".json"), content)
			}
			if d.exclusive = exclusive; tt.shared {
				d.lookupEnv = environment(map[string]string{"PULUMI_BACKEND_URL": "s3://state"})
			}
			d.stack = must(d.openStack(d.Stack))
			must(d.connect(t.Context()))
			canceled := slices.Equal(host.asked("pulumi cancel"), []string{"pulumi cancel --yes --stack dev --non-interactive"})
			if want := tt.want && exclusive; canceled != want || !want && len(host.asked("pulumi cancel")) > 0 {
				t.Errorf("%s: got %q\nwant the lock removed: %t", tt.name, host.asked("pulumi"), want)
			}
		}
	}
}

// TestLockOfAnOrphan checks that the lock of a Pulumi that ends only after the stack was opened is removed.
func TestLockOfAnOrphan(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: `[{"name":"dev"}]`},
		reply{command: "pulumi cancel"}, reply{command: "pulumi up"}, reply{command: "docker exec"})
	openTestStack(t, d)
	write(t, d.local("state", ".pulumi/locks/organization/scaleout/dev/x.json"),
		fmt.Sprintf(`{"pid":%d,"hostname":%q}`, 1<<22+1, must(os.Hostname())))
	ok(t, d.setMark(markActive, d.Stack, "up"))
	must(d.update(t.Context()))
	commands := strings.Join(host.asked("pulumi"), "\n")
	if at := strings.Index(commands, "pulumi cancel"); at < 0 || at > strings.Index(commands, "pulumi up") {
		t.Errorf("got %s\nwant the lock removed before the update", commands)
	}
}

// TestLockOfARemovedStack checks that a run that was killed while it removed the stack does not prevent the next one:
// Pulumi cancels nothing for a stack that does not exist.
func TestLockOfARemovedStack(t *testing.T) {
	d, _, _ := newTestDriver(t)
	lock := d.local("state", ".pulumi/locks/organization/scaleout/dev/x.json")
	write(t, lock, fmt.Sprintf(`{"pid":%d,"hostname":%q}`, 1<<22+1, must(os.Hostname())))
	if openTestStack(t, d); isFile(lock) {
		t.Error("got the lock kept")
	}
}
