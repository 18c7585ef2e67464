//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// elsewhere is a Redis outside the stack, in a namespace without network policies.
const elsewhere = `apiVersion: v1
kind: Pod
metadata: {name: redis, namespace: NAMESPACE, labels: {app: redis}}
spec:
  containers: [{name: redis, image: IMAGE, args: [--requirepass, "PASSWORD"]}]
---
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: NAMESPACE}
spec: {selector: {app: redis}, ports: [{port: 6379}]}
`

// TestRedisSwitches: a stack gets another password, is switched to an external Redis, and back to its own. The Secret
// with the password survives each switch, because pods that start later need it. The test of internal/engine, which
// has a substitute for AWS, covers the kinds of Redis that AWS has.
func TestRedisSwitches(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	base := up(t)
	const namespace, password = "e2e-redis", "the-next-password-of-the-test"
	image := kubectl(t, "get", "--namespace", base.Namespace, "statefulset/redis",
		"--output=jsonpath={.spec.template.spec.containers[0].image}")
	kubectl(t, "create", "namespace", namespace)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace, "--ignore-not-found") })
	apply(t, strings.NewReplacer("NAMESPACE", namespace, "IMAGE", image, "PASSWORD", password).Replace(elsewhere))
	kubectl(t, "wait", "--namespace", namespace, "--for=condition=Ready", "pod/redis", "--timeout=120s")

	o := beside(t, "scaleout:minReplicas", "2")
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	for _, change := range []struct {
		name     string
		settings []string
		password string
		// outage means that Redis itself restarts, so visits get a 503 meanwhile.
		outage bool
	}{
		{name: "another password", password: password, outage: true},
		{name: "to a Redis elsewhere, with that password", settings: []string{
			"scaleout:redisHost", "redis." + namespace + ".svc.cluster.local",
		}},
		{name: "back to the Redis of the stack", settings: []string{"scaleout:redisHost", `""`}},
	} {
		waitReady(t, client, o)
		old := podNames(t, client, o.Namespace)
		traffic := crowd{url: base.URL, host: besideName + ".localhost", kept: 40, fresh: 10}.visit(t)
		time.Sleep(2 * time.Second)
		changeBeside(t, change.settings...)
		if change.password != "" {
			setPassword(t, change.password)
		}
		start := time.Now()
		runBeside(t, "up")
		took := time.Since(start)
		waitGone(t, client, o.Namespace, old)
		came := traffic.leave()
		if came.ok == 0 || came.failed > 0 && !change.outage {
			t.Errorf("%s: %d visits were answered, %d were not", change.name, came.ok, came.failed)
		}
		record(t, "switches", change.name, seconds(took), fmt.Sprintf("%d of %d", came.failed, len(came.answers)),
			seconds(replaced(t, client, o)))
		if _, _, err := tryVisit(o.URL); err != nil {
			t.Errorf("%s: %v", change.name, err)
		}
	}
}

// replaced deletes a pod of the app and returns the time until all are ready again.
func replaced(t *testing.T, client *kubernetes.Clientset, o outputs) time.Duration {
	t.Helper()
	waitReady(t, client, o)
	victim := podNames(t, client, o.Namespace)[:1]
	start := time.Now()
	if err := client.CoreV1().Pods(o.Namespace).Delete(t.Context(), victim[0], metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitGone(t, client, o.Namespace, victim)
	waitReady(t, client, o)
	return time.Since(start)
}

// setPassword sets the Redis password of the second stack through standard input, as a user does.
func setPassword(t *testing.T, password string) {
	t.Helper()
	command, err := pulumiCommand("config", "set", "--secret", "redisPassword", "--stack", besideName)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdin = strings.NewReader(password)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("setting the password: %v\n%s", err, out)
	}
}
