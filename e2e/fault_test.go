//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// steady returns a crowd far below the capacity of two pods and the target of the autoscaler, so that a loss is due
// to the fault and not to the load.
func steady(o outputs) crowd { return crowd{url: o.URL, kept: 120, fresh: 40} }

// during sends a crowd while happens runs, and compares what the visitors got with what Redis has counted. Each
// successful visit must be counted once; a failed one may have been counted or not.
func during(t *testing.T, o outputs, name string, c crowd, happens func()) tally {
	t.Helper()
	before := hits(t, o.Namespace)
	traffic := c.visit(t)
	time.Sleep(2 * time.Second)
	happens()
	time.Sleep(2 * time.Second)
	came := traffic.leave()
	counted := hits(t, o.Namespace) - before
	if counted < came.ok || counted > came.ok+came.failed+came.repeated {
		t.Errorf("%d visits got a count and %d none, but Redis counted %d", came.ok, came.failed+came.repeated, counted)
	}
	if came.doubled() > 0 {
		t.Errorf("%d visits got a count that another got too", came.doubled())
	}
	record(t, "requests", name, strconv.Itoa(came.kept), strconv.Itoa(came.fresh), strconv.Itoa(came.failed),
		strconv.Itoa(counted), strconv.Itoa(came.doubled()),
		milliseconds(came.took(.99, any200)), milliseconds(came.took(1, any200)))
	return came
}

// onKind brings the stack up to date, and prints pods and events if the test fails.
func onKind(t *testing.T) (outputs, *kubernetes.Clientset) {
	t.Helper()
	requireTarget(t, "kind")
	o := up(t)
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	return o, client
}

// waitReady waits until the app has at least two pods, all of them ready and none terminating.
func waitReady(t *testing.T, client *kubernetes.Clientset, o outputs) {
	t.Helper()
	eventually(t, 3*time.Minute, func(ctx context.Context) (bool, string) {
		d, err := client.AppsV1().Deployments(o.Namespace).Get(ctx, o.Deployment, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		all := len(podNames(t, client, o.Namespace))
		return settled(d) && int(d.Status.AvailableReplicas) == all,
			fmt.Sprintf("%d of %d pods available", d.Status.AvailableReplicas, all)
	})
}

func settled(d *appsv1.Deployment) bool {
	s := d.Status
	return s.ObservedGeneration == d.Generation && s.AvailableReplicas >= 2 &&
		s.UpdatedReplicas == s.Replicas && s.UnavailableReplicas == 0
}

// podNames returns the names of the app's pods.
func podNames(t *testing.T, client *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	var names []string
	for _, pod := range podsOf(t, client, namespace, "app.kubernetes.io/name=webapp") {
		names = append(names, pod.Name)
	}
	return names
}

func podsOf(t *testing.T, client *kubernetes.Clientset, namespace, selector string) []corev1.Pod {
	t.Helper()
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// waitGone waits until none of these pods is left, not even a terminating one.
func waitGone(t *testing.T, client *kubernetes.Clientset, namespace string, old []string) {
	t.Helper()
	eventually(t, 3*time.Minute, func(context.Context) (bool, string) {
		left := 0
		for _, name := range podNames(t, client, namespace) {
			if slices.Contains(old, name) {
				left++
			}
		}
		return left == 0, fmt.Sprintf("%d of %d old pods are left", left, len(old))
	})
}

const imageOnly = "**docker:index/image:Image::app"

// TestRolloutLosesNoVisit: under load every pod is replaced by a rollout, and again by the rollout back.
func TestRolloutLosesNoVisit(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	file := stackFileWith(t, "scaleout:imageBuildArgs", `{"E2E": "next"}`)
	// Built first, because a compiler would disturb the measurement.
	pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file, "--target", imageOnly)
	came := during(t, o, "rolling update to another image, and back", steady(o), func() {
		old := podNames(t, client, o.Namespace)
		pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file)
		waitGone(t, client, o.Namespace, old)
		old = podNames(t, client, o.Namespace)
		up(t)
		waitGone(t, client, o.Namespace, old)
	})
	came.expectNoLoss(t)
}

// TestFailedRolloutLosesNoVisit: with an image that crashes at once, and with one that has a wrong Redis address,
// `up` fails with the reason, the old pods keep serving, and the next correct `up` needs no manual step.
func TestFailedRolloutLosesNoVisit(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	for _, test := range []struct {
		name   string
		edits  edits
		reason string
	}{{
		"rolling update to an image that crashes",
		crashing,
		"this image is broken",
	}, {
		"rolling update to a wrong Redis address",
		wrongRedis,
		"redis is not available",
	}} {
		waitReady(t, client, o)
		dir := variant(t, test.edits, edits{
			stackFile(): {"scaleout:rolloutTimeoutSeconds: 120", "scaleout:rolloutTimeoutSeconds: 30"},
		})
		pulumi(t, "up", "--yes", "--skip-preview", "--cwd", dir, "--config-file", localStackFile(t),
			"--stack", stackName(), "--target", imageOnly)
		desired := watchReplicas(t, client, o, desiredReplicas)
		old := podNames(t, client, o.Namespace)
		came := during(t, o, test.name, steady(o), func() {
			start := time.Now()
			out, err := makeUp(t, dir)
			failedAfter := time.Since(start)
			if err == nil {
				t.Errorf("%s: make up succeeded", test.name)
			}
			if !strings.Contains(out, test.reason) {
				t.Errorf("%s: the message does not contain %q:\n%s", test.name, test.reason, out)
			}
			expectKept(t, client, o, old, desired())
			start = time.Now()
			up(t)
			record(t, "failures", test.name, seconds(failedAfter), "`"+reasonLine(out, test.reason)+"`",
				seconds(time.Since(start)))
		})
		came.expectNoLoss(t)
	}
}

// TestScaleOutDuringStuckRollout: the rollout of a version that crashes at once is stuck when load makes the
// autoscaler add pods. The old version gets most of them, because Kubernetes distributes them in proportion to the
// pods of each version, and serves all visits; make up fails and names the command for the rollback.
func TestScaleOutDuringStuckRollout(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	base := up(t)
	o := beside(t,
		"scaleout:cpuRequest", "20m", "scaleout:targetCpuUtilization", "10", // so low that all pods fit on one node
		"scaleout:minReplicas", strconv.Itoa(scaledMin), "scaleout:maxReplicas", strconv.Itoa(scaledSome),
		"scaleout:loadBalancerDelaySeconds", "5", "scaleout:rolloutTimeoutSeconds", "90")
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	autoscaler := watched{client, o.Namespace, o.HPA}
	autoscaler.until(t, scaledMin)
	old := podNames(t, client, o.Namespace)
	changeBeside(t, "scaleout:environment", "{LOG_LEVEL: deafening}")
	stuck := startRun(t, "up")
	stuck.waitFor(t, point{"with a pod of the new version", func(ctx context.Context) bool {
		return slices.ContainsFunc(podNames(t, client, o.Namespace), func(name string) bool {
			return !slices.Contains(old, name)
		})
	}})
	visitors := crowd{url: base.URL, host: besideName + ".localhost", kept: light - 50, fresh: 50}
	traffic := visitors.visit(t)
	err := stuck.wait(t)
	ready, waiting := 0, 0
	for _, pod := range podsOf(t, client, o.Namespace, "app.kubernetes.io/name=webapp") {
		broken := slices.ContainsFunc(pod.Spec.Containers[0].Env, func(v corev1.EnvVar) bool {
			return v.Value == "deafening"
		})
		switch isReady := podReady(pod); {
		case broken && isReady:
			t.Errorf("%s is of the broken version, but ready", pod.Name)
		case broken:
			waiting++
		case isReady:
			ready++
		}
	}
	came := traffic.leave()
	came.expectNoLoss(t)
	want := []string{"LOG_LEVEL", "make rollback STACK=" + besideName}
	if message := stuck.output.String(); err == nil || !containsEach(message, want) {
		t.Errorf("make up of the broken version: got %v, want the reason and the rollback command:\n%s", err, message)
	}
	if ready <= scaledMin {
		t.Errorf("%d pods of the old version are ready, want more than the %d before the load", ready, scaledMin)
	}
	h, err := autoscaler.autoscaler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record(t, "stuck", fmt.Sprintf("a wrong setting, %d visits a second", light),
		fmt.Sprintf("%d, then %d", scaledMin, h.Status.DesiredReplicas), strconv.Itoa(ready), strconv.Itoa(waiting),
		fmt.Sprintf("%d of %d", came.failed, len(came.answers)))
	changeBeside(t, "scaleout:environment", "{}")
	runBeside(t, "up")
}

func podReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// makeUp runs `make up` in a copy of the project, with the state and the passwords of the original.
func makeUp(t *testing.T, dir string) (output string, err error) {
	t.Helper()
	environment, err := pulumiEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(root, ".local", stackFile()))
	if err != nil {
		t.Fatal(err)
	}
	addFile(t, dir, ".local/"+stackFile(), string(settings)) // for the values that Pulumi has encrypted there
	cluster := strings.TrimSuffix(controlPlane(t), "-control-plane")
	command := exec.Command("make", "up", "STACK="+stackName(), "CLUSTER="+cluster)
	command.Dir, command.Env = dir, environment
	out, err := command.CombinedOutput()
	return string(out), err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// expectKept checks that the old pods still exist, except those that the autoscaler has removed: least is the lowest
// number of pods that was desired since the old ones were listed.
func expectKept(t *testing.T, client *kubernetes.Clientset, o outputs, old []string, least int) {
	t.Helper()
	now := podNames(t, client, o.Namespace)
	gone := slices.DeleteFunc(slices.Clone(old), func(name string) bool { return slices.Contains(now, name) })
	if len(old)-len(gone) < min(len(old), least) {
		t.Errorf("at least %d pods were desired at any time, and of %v these are gone: %v", least, old, gone)
	}
}

// reasonLine returns the line of a message that contains a text, shortened around the text.
func reasonLine(message, text string) string {
	for _, line := range strings.Split(message, "\n") {
		if at := strings.Index(line, text); at >= 0 {
			from := 0
			if at > 60 {
				from = at // a line of JSON, whose beginning does not matter
			}
			return strings.TrimSpace(line[from:min(len(line), from+160)])
		}
	}
	return ""
}

func TestDeletedPodLosesNoVisit(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	came := during(t, o, "a pod is deleted", steady(o), func() { replaced(t, client, o) })
	came.expectNoLoss(t)
}

// TestNodeDrainLosesNoVisit: a node is drained as kubectl does it. At the same time the app's pods on all other nodes
// are evicted, as in a second drain; the disruption budget must let them be evicted one after the other.
func TestNodeDrainLosesNoVisit(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	node := nodeToDrain(t, client, o)
	all, refused, fewest := len(podNames(t, client, o.Namespace)), 0, 0
	came := during(t, o, "a node is drained", steady(o), func() {
		kubectl(t, "cordon", node)
		defer kubectl(t, "uncordon", node)
		least := watchReplicas(t, client, o, readyReplicas)
		refused = evict(t, client, victims(t, client, o, node))
		waitReady(t, client, o)
		fewest = least()
	})
	came.expectNoLoss(t)
	if refused == 0 || fewest < 1 {
		t.Errorf("the disruption budget refused %d evictions, and at least %d pods were ready at a time", refused, fewest)
	}
	record(t, "budget", "evictions that the disruption budget put off", strconv.Itoa(refused))
	record(t, "budget", "pods that were ready at any time", fmt.Sprintf("at least %d of %d", fewest, all))
}

// nodeToDrain returns a node with pods of the app, but without Redis, whose volume is on its node, so that a drain
// would stop it.
func nodeToDrain(t *testing.T, client *kubernetes.Clientset, o outputs) string {
	t.Helper()
	if countNodes() < 2 {
		t.Skip("a drain needs more than one node: make up WORKERS=2")
	}
	redis := podsOf(t, client, o.Namespace, "app.kubernetes.io/name=redis")[0].Spec.NodeName
	away := func() string {
		for _, pod := range podsOf(t, client, o.Namespace, "app.kubernetes.io/name=webapp") {
			if pod.Spec.NodeName != redis {
				return pod.Spec.NodeName
			}
		}
		return ""
	}
	if node := away(); node != "" {
		return node
	}
	kubectl(t, "cordon", redis) // so that a new pod is scheduled elsewhere
	defer kubectl(t, "uncordon", redis)
	kubectl(t, "delete", "pod", "--namespace", o.Namespace, podNames(t, client, o.Namespace)[0])
	waitReady(t, client, o)
	return away()
}

// victims returns the pods of a node, without those of DaemonSets, and the app's pods on other nodes.
func victims(t *testing.T, client *kubernetes.Clientset, o outputs, node string) []corev1.Pod {
	t.Helper()
	var found []corev1.Pod
	for _, pod := range podsOf(t, client, metav1.NamespaceAll, "") {
		owner := metav1.GetControllerOf(&pod)
		ofNode := pod.Spec.NodeName == node && owner != nil && owner.Kind != "DaemonSet"
		ofApp := pod.Namespace == o.Namespace && pod.Labels["app.kubernetes.io/name"] == "webapp"
		if ofNode || ofApp {
			found = append(found, pod)
		}
	}
	return found
}

// evict requests the eviction of all pods at once and retries the refused ones, as kubectl does. It returns the
// number of evictions that a disruption budget refused.
func evict(t *testing.T, client *kubernetes.Clientset, pods []corev1.Pod) (refused int) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); len(pods) > 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pods cannot be evicted, the first is %s", len(pods), pods[0].Name)
		}
		pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
			err := client.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(),
				&policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}})
			if apierrors.IsTooManyRequests(err) {
				refused++
				return false
			}
			if err != nil && !apierrors.IsNotFound(err) {
				t.Errorf("evicting %s: %v", pod.Name, err)
			}
			return true
		})
	}
	return refused
}

func desiredReplicas(d *appsv1.Deployment) int32 { return *d.Spec.Replicas }
func readyReplicas(d *appsv1.Deployment) int32   { return d.Status.ReadyReplicas }

// watchReplicas watches a number of the app's Deployment with watchLeast.
func watchReplicas(
	t *testing.T, client *kubernetes.Clientset, o outputs, replicas func(*appsv1.Deployment) int32,
) (least func() int) {
	t.Helper()
	return watchLeast(t, 100*time.Millisecond, func() (int, error) {
		d, err := client.AppsV1().Deployments(o.Namespace).Get(t.Context(), o.Deployment, metav1.GetOptions{})
		if err != nil {
			return 0, err
		}
		return int(replicas(d)), nil
	})
}

// TestIngressControllerRestart: the ingress controller is replaced. New connections reach the new pods. Requests in
// flight on a connection that an old pod closes are lost, and Go's client retries them, so the number of retries is
// recorded too.
func TestIngressControllerRestart(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	const traefik = "traefik"
	came := during(t, o, "the ingress controller is replaced", steady(o), func() {
		kubectl(t, "rollout", "restart", "--namespace", traefik, "deployment/"+traefik)
		kubectl(t, "rollout", "status", "--namespace", traefik, "deployment/"+traefik, "--timeout=120s")
		eventually(t, 2*time.Minute, func(context.Context) (bool, string) {
			pods := podsOf(t, client, traefik, "app.kubernetes.io/name=traefik")
			leaving := 0
			for _, pod := range pods {
				if pod.DeletionTimestamp != nil {
					leaving++
				}
			}
			return leaving == 0, fmt.Sprintf("%d ingress controllers are terminating", leaving)
		})
	})
	record(t, "ingress", "visits that were lost", fmt.Sprintf("%d of %d", came.failed, len(came.answers)))
	record(t, "ingress", "visits that the client sent twice", strconv.Itoa(came.repeated))
}
