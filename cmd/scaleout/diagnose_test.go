package main

import (
	"context"
	"strings"
	"testing"
)

const somePods = `{"items": [
  {"metadata": {"name": "web-old"}, "status": {"containerStatuses": [{"name": "web", "ready": true, "state": {"running": {}}}]}},
  {"metadata": {"name": "web-leaves", "deletionTimestamp": "2026-01-01T00:00:00Z"},
   "status": {"containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]}},
  {"metadata": {"name": "web-crashes"}, "status": {"containerStatuses": [{"name": "web", "ready": false,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    "lastState": {"terminated": {"reason": "Error", "exitCode": 2, "message": "panic: no luck\n\ngoroutine 1 [running]:\n"}}}]}},
  {"metadata": {"name": "web-cannot-pull"}, "status": {"containerStatuses": [{"name": "web", "ready": false,
    "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]}},
  {"metadata": {"name": "web-waits"}, "status": {"containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]}},
  {"metadata": {"name": "web-homeless"}, "status": {"conditions": [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}}
]}`

func TestDiagnoseShowsWhyPodsAreNotReady(t *testing.T) {
	d, host, out := newTestDriver(t,
		reply{command: "pulumi up", fails: "error: the rollout has failed: timed out progressing"},
		reply{command: "docker exec --interactive scaleout-control-plane kubectl --kubeconfig=/etc/kubernetes/admin.conf get pods", out: somePods},
		reply{command: "docker exec --interactive scaleout-control-plane kubectl --kubeconfig=/etc/kubernetes/admin.conf logs",
			out: "redis is not available: no such host\n"},
		reply{command: "docker container inspect", fails: "No such container"})
	if _, err := d.update(context.Background(), openTestStack(t, d)); err == nil {
		t.Fatal("got no error, want that of pulumi up")
	}
	for _, want := range []string{
		"pod web-crashes, container web: CrashLoopBackOff, ended with exit code 2", "panic: no luck",
		"pod web-cannot-pull, container web: ImagePullBackOff: not found",
		"pod web-waits, container web: runs, but is not ready", "redis is not available: no such host",
		"pod web-homeless has no node: 0/3 nodes are available",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", out, want)
		}
	}
	for _, unwanted := range []string{"web-old", "web-leaves"} {
		if strings.Contains(out.String(), unwanted) {
			t.Errorf("got\n%s\nwant nothing of %s", out, unwanted)
		}
	}
	if logs := host.asked("docker exec --interactive scaleout-control-plane kubectl --kubeconfig=/etc/kubernetes/admin.conf logs"); len(logs) != 1 {
		t.Errorf("got %q, want only the log of the pod that runs", logs)
	}
}

func TestDiagnoseIsForKindOnly(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "pulumi up", fails: "error: failed"})
	s := openTestStack(t, d)
	s.file.set(keyTarget, "eks")
	if _, err := d.update(context.Background(), s); err == nil {
		t.Fatal("got no error, want that of pulumi up")
	}
	if asked := host.asked("docker exec"); len(asked) > 0 {
		t.Errorf("asked %q of a cluster that is not on this machine", asked)
	}
}
