//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPromoteAndRollBack: the image of the stack under test is deployed to a second stack, which runs another one,
// and the second stack is rolled back. Neither builds anything or loses a visit.
func TestPromoteAndRollBack(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	first := up(t)
	second := beside(t, "scaleout:imageBuildArgs", `{"E2E": "another"}`, "scaleout:minReplicas", "2")
	if first.Image == second.Image {
		t.Fatalf("both stacks run %s, so a promotion would change nothing", first.Image)
	}
	client := clientset(t)
	explainFailure(t, client, second.Namespace)
	// The first promotion is refused for what nobody measured, and changes nothing; the result is then attached.
	promotion := []string{"FROM=" + stackName(), "YES=1", "PROOF=endtoend"}
	refused := makeBeside(t, "promote")
	refused.Args = append(refused.Args, promotion...)
	refused.Args[len(refused.Args)-1] = "PROOF=unmeasured"
	attach(t, "endtoend")
	if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no unmeasured") {
		t.Errorf("a promotion without the evidence that PROOF names: got %v\n%s", err, out)
	}
	for _, release := range []struct {
		name, target, want string
		variables          []string
	}{
		{"`make promote`", "promote", first.Image, promotion},
		{"`make rollback`", "rollback", second.Image, []string{"YES=1"}},
	} {
		waitReady(t, client, second)
		took := time.Duration(0)
		visitors := crowd{url: first.URL, host: besideName + ".localhost", kept: 40, fresh: 10}
		came := during(t, second, release.name, visitors, func() {
			start := time.Now()
			out := runBeside(t, release.target, release.variables...)
			took = time.Since(start)
			d, err := client.AppsV1().Deployments(second.Namespace).Get(t.Context(), second.Deployment, metav1.GetOptions{})
			if err != nil || !settled(d) {
				t.Errorf("%s ended before the rollout: %+v, %v", release.name, d.Status, err)
			}
			if !strings.Contains(out, "new     "+release.want) {
				t.Errorf("%s does not show what it changes:\n%s", release.name, out)
			}
		})
		came.expectNoLoss(t)
		running := kubectl(t, "get", "deployment", second.Deployment, "--namespace", second.Namespace,
			"--output", "jsonpath={.spec.template.spec.containers[0].image}")
		if running != release.want || besideOutputs(t).Image != release.want {
			t.Errorf("after %s %s is running, and the output is %s; want %s",
				release.name, running, besideOutputs(t).Image, release.want)
		}
		record(t, "releases", release.name, seconds(took), "the image of the digest, nothing built")
	}
}

// attach attaches a result to the image of the stack under test, as CI does after its tests.
func attach(t *testing.T, kind string) {
	t.Helper()
	command := exec.Command("make", "evidence", "STACK="+stackName(), "KIND="+kind, "RESULT=passed")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make evidence: %v\n%s", err, out)
	}
}
