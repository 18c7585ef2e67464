//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUpgrade updates a stack that another version of this program deployed, under load, and writes a comment on it:
// `make upgrade` runs it. The review of the golden files says what should happen, this says what did. So it fails only
// if the update fails, or if the stack does not serve afterwards.
func TestUpgrade(t *testing.T) {
	report := os.Getenv("UPGRADE_REPORT")
	if report == "" {
		t.Skip("make upgrade runs this test in a folder of its own")
	}
	requireTarget(t, "kind")
	address := strings.TrimSpace(string(pulumi(t, "stack", "output", "url", "--stack", stackName())))
	before := objectUIDs(t)
	visitors := crowd{url: address, kept: 40, fresh: 10}.visit(t)
	time.Sleep(3 * time.Second)
	command := exec.Command("make", "up", "STACK="+stackName())
	command.Dir = root
	began := time.Now()
	out, err := command.CombinedOutput()
	took := time.Since(began)
	time.Sleep(3 * time.Second)
	came := visitors.leave()
	if err != nil {
		t.Fatalf("make up: %v\n%s", err, out)
	}
	after := objectUIDs(t)
	var replaced, removed, added []string
	for _, object := range slices.Sorted(maps.Keys(before)) {
		switch uid, there := after[object]; {
		case !there:
			removed = append(removed, object)
		case uid != before[object]:
			replaced = append(replaced, object)
		}
	}
	for _, object := range slices.Sorted(maps.Keys(after)) {
		if before[object] == "" {
			added = append(added, object)
		}
	}
	if _, _, err := tryVisit(address); err != nil {
		t.Errorf("after the upgrade: %v", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- scaleout: upgrade -->\n### Upgrade of a running stack on kind: %d of %d requests lost\n\n",
		came.failed, came.ok+came.failed)
	b.WriteString("| from | to | update | requests | lost | counted twice | longest answer |\n" +
		"| --- | --- | --- | --- | --- | --- | --- |\n")
	fmt.Fprintf(&b, "| %s | %s | %.0f s | %d | %d | %d | %s |\n", os.Getenv("UPGRADE_FROM"), os.Getenv("UPGRADE_TO"),
		took.Seconds(), came.ok+came.failed, came.failed, came.doubled(), milliseconds(came.took(1, any200)))
	for _, reason := range slices.Sorted(maps.Keys(came.failures)) {
		fmt.Fprintf(&b, "\n- lost, %d times: `%s`", came.failures[reason], strings.ReplaceAll(reason, "`", "'"))
	}
	for _, part := range []struct {
		what    string
		objects []string
	}{{"replaced", replaced}, {"removed", removed}, {"added", added}} {
		if len(part.objects) > 0 {
			fmt.Fprintf(&b, "\n- %s: `%s`", part.what, strings.Join(part.objects, "`, `"))
		}
	}
	if len(replaced)+len(removed) == 0 {
		b.WriteString("\n- no object was replaced or removed")
	}
	b.WriteString("\n")
	t.Log("\n" + b.String())
	if err := os.WriteFile(report, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// objectUIDs returns the UIDs of the program's objects in the cluster, by kind, namespace and name.
func objectUIDs(t *testing.T) map[string]string {
	t.Helper()
	uids := map[string]string{}
	out := kubectl(t, "get", "namespaces,deployments,statefulsets,services,ingresses,persistentvolumeclaims,configmaps,"+
		"secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers",
		"--all-namespaces", "--selector", "app.kubernetes.io/part-of=scaleout", "--output",
		`jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}={.metadata.uid}{"\n"}{end}`)
	for line := range strings.SplitSeq(out, "\n") {
		if object, uid, found := strings.Cut(line, "="); found {
			uids[object] = uid
		}
	}
	if len(uids) == 0 {
		t.Fatal("the cluster has no object of this program")
	}
	return uids
}
