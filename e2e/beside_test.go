//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// besideName is the name of a second stack with its own namespace and host in the cluster of the stack under test.
const besideName = "beside"

// beside runs `make up` for the second stack and returns its outputs. Its ingress controller and metrics are those of
// the stack under test, which must be up. It is removed when the test ends. settings override the committed stack
// file: keys and values in turn.
func beside(t *testing.T, settings ...string) outputs {
	t.Helper()
	writeBeside(t, settings...)
	runBeside(t, "up")
	return besideOutputs(t)
}

// changeBeside changes settings of the second stack, effective with the next `make up`: keys and values in turn.
func changeBeside(t *testing.T, settings ...string) {
	t.Helper()
	text, err := os.ReadFile(besideFile)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(settings); i += 2 {
		changed = withSetting(changed, settings[i], settings[i+1])
	}
	if err := os.WriteFile(besideFile, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runBeside runs a make target for the second stack, which must succeed, and returns its output.
func runBeside(t *testing.T, target string, variables ...string) string {
	t.Helper()
	command := makeBeside(t, target)
	command.Args = append(command.Args, variables...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("make %s STACK=%s: %v\n%s", target, besideName, err, out)
	}
	return string(out)
}

// writeBeside writes the second stack's file, and removes file and stack when the test ends.
func writeBeside(t *testing.T, settings ...string) {
	t.Helper()
	removeBeside(t) // left over from a killed run
	committed, err := exec.Command("git", "-C", root, "show", "HEAD:Pulumi.dev.yaml").Output()
	if err != nil {
		t.Fatalf("reading Pulumi.dev.yaml in git: %v", err)
	}
	values := map[string]string{
		"scaleout:namespace": besideName, "scaleout:host": besideName + ".localhost",
		"scaleout:minReplicas": "1", "scaleout:loadBalancerDelaySeconds": "1", // fast to create and to destroy
		"scaleout:installTraefik": "false", "scaleout:ingressNamespace": "traefik", "scaleout:installMetricsServer": "false",
	}
	for _, key := range []string{"kubeContext", "publicPort", "imageRepository"} {
		values["scaleout:"+key] = strings.TrimSpace(string(pulumi(t, "config", "get", key, "--stack", stackName())))
	}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = settings[i+1]
	}
	text := string(committed)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		text = withSetting(text, key, values[key])
	}
	t.Cleanup(func() { removeBeside(t) })
	if err := os.WriteFile(besideFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var besideFile = filepath.Join(root, "Pulumi."+besideName+".yaml")

// withSetting sets a key of a stack file.
func withSetting(text, key, value string) string {
	var lines []string
	for _, line := range strings.SplitAfter(text, "\n") {
		if !strings.HasPrefix(line, "  "+key+":") {
			lines = append(lines, line)
		}
	}
	return strings.Replace(strings.Join(lines, ""), "config:\n", fmt.Sprintf("config:\n  %s: %s\n", key, value), 1)
}

// makeBeside returns a make command for the second stack.
func makeBeside(t *testing.T, target string) *exec.Cmd {
	t.Helper()
	cluster := strings.TrimSuffix(controlPlane(t), "-control-plane")
	command := exec.Command("make", target, "STACK="+besideName, "CLUSTER="+cluster)
	command.Dir = root
	return command
}

func besideOutputs(t *testing.T) outputs {
	t.Helper()
	var o outputs
	if err := json.Unmarshal(pulumi(t, "stack", "output", "--json", "--stack", besideName), &o); err != nil {
		t.Fatalf("reading the outputs: %v", err)
	}
	return o
}

// removeBeside removes the second stack and its file, in whatever state they are after a test.
func removeBeside(t *testing.T) {
	t.Helper()
	if _, err := tryPulumi("stack", "--stack", besideName); err == nil {
		_, _ = tryPulumi("cancel", "--yes", "--stack", besideName) // of a killed run; there may be none
		if _, err := os.Stat(besideFile); err == nil {
			if out, err := tryPulumi("destroy", "--yes", "--skip-preview", "--stack", besideName); err != nil {
				t.Errorf("destroying stack %s: %v\n%s", besideName, err, out)
			}
		} // otherwise another run has removed part of it
		if out, err := tryPulumi("stack", "rm", besideName, "--yes", "--force", "--preserve-config"); err != nil {
			t.Errorf("removing stack %s: %v\n%s", besideName, err, out)
		}
	}
	kubectl(t, "delete", "namespace", besideName, "--ignore-not-found") // after a failed test, not all is in the state
	if err := os.Remove(besideFile); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}

// leftOfBeside returns what a destroy of the second stack has left in the cluster.
func leftOfBeside(t *testing.T) []string {
	t.Helper()
	namespace := kubectl(t, "get", "namespace", besideName, "--ignore-not-found", "--output", "name")
	return append(strings.Fields(namespace), volumesOf(t, besideName)...)
}

// identities returns the stack's objects in a namespace, each with a version that changes when it is updated or
// replaced. For Deployments and autoscalers that is the revision, because the autoscaler changes the number of pods
// and its own status.
func identities(t *testing.T, namespace string) string {
	t.Helper()
	get := func(kinds, version string) string {
		return kubectl(t, "get", kinds, "--namespace", namespace, "--selector", "app.kubernetes.io/part-of=scaleout",
			"--no-headers", "--output", "custom-columns=:kind,:metadata.name,:metadata.uid,:"+version)
	}
	const unscaled = "statefulset,service,ingress,pvc,secret,configmap,networkpolicy,serviceaccount"
	return get(unscaled, "metadata.resourceVersion") + "\n" +
		get("deployment,hpa", `metadata.annotations.deployment\.kubernetes\.io/revision`)
}

// TestTwoStacks: two stacks in one cluster are independent. Visits, changes and a destroy of one do not affect the
// other.
func TestTwoStacks(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	first := up(t)
	second := beside(t)
	countsApart(t, first, second)
	changesApart(t, first)
	destroysSecond(t, first)
}

// countsApart visits both stacks and checks the counts of both.
func countsApart(t *testing.T, first, second outputs) {
	t.Helper()
	const visits = 20
	before := [2]int{hits(t, first.Namespace), hits(t, second.Namespace)}
	for range visits {
		if _, _, err := tryVisit(second.URL); err != nil {
			t.Fatal(err)
		}
	}
	visit(t, first.URL)
	moved := [2]int{hits(t, first.Namespace) - before[0], hits(t, second.Namespace) - before[1]}
	if moved != [2]int{1, visits} {
		t.Errorf("after 1 visit to %s and %d to %s their counts moved by %v", stackName(), visits, besideName, moved)
	}
	record(t, "beside", fmt.Sprintf("1 visit to one, %d to the other, each under its own host", visits),
		fmt.Sprintf("their counts moved by %d and %d", moved[0], moved[1]))
}

// changesApart changes the second stack and previews the first one.
func changesApart(t *testing.T, first outputs) {
	t.Helper()
	was := identities(t, first.Namespace)
	pulumi(t, "up", "--yes", "--skip-preview", "--stack", besideName, "--config", "scaleout:maxReplicas=5")
	bound := kubectl(t, "get", "hpa", "--namespace", besideName, "--output", "jsonpath={.items[*].spec.maxReplicas}")
	if bound != "5" {
		t.Errorf("the change of %s did not take effect: its autoscaler has maxReplicas %s", besideName, bound)
	}
	changed := changes(t)
	if now := identities(t, first.Namespace); len(changed) > 0 || now != was {
		t.Errorf("after a change of %s a preview of %s shows changes: %v, and its objects went from\n%s\nto\n%s",
			besideName, stackName(), changed, was, now)
	}
	record(t, "beside", "`maxReplicas` of one changed", fmt.Sprintf("a preview of the other has %d changes", len(changed)))
}

// destroysSecond destroys the second stack while visitors use the first one.
func destroysSecond(t *testing.T, first outputs) {
	t.Helper()
	was := identities(t, first.Namespace)
	visitors := crowd{url: first.URL, kept: 50, fresh: 10}.visit(t)
	start := time.Now()
	out, err := makeBeside(t, "down").CombinedOutput()
	took := time.Since(start)
	came := visitors.leave()
	if err != nil || !strings.Contains(string(out), "another stack has namespace/"+first.Namespace) {
		t.Errorf("make down STACK=%s: got %v, want the cluster left to %s\n%s", besideName, err, stackName(), out)
	}
	if came.failed > 0 || came.ok == 0 {
		t.Errorf("%d of %d visits to %s failed while %s was destroyed",
			came.failed, came.ok+came.failed, stackName(), besideName)
	}
	if now := identities(t, first.Namespace); now != was {
		t.Errorf("%s had\n%s\nand after the destroy of %s\n%s", stackName(), was, besideName, now)
	}
	left := leftOfBeside(t)
	if len(left) > 0 {
		t.Errorf("destroy left %s", strings.Join(left, ", "))
	}
	record(t, "beside", "`make down` of one, "+seconds(took), fmt.Sprintf(
		"%d of its objects left; the other failed %d of %d visits", len(left), came.failed, came.ok+came.failed))
}
