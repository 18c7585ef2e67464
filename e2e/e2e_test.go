//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestMain(m *testing.M) {
	versions(os.Stderr)
	os.Exit(m.Run())
}

var answerForm = regexp.MustCompile(`^Hello from container! I have been seen (\d+) times\.\n?$`)

// visit asks the app once, on a connection of its own so that each visit is balanced anew.
func visit(t *testing.T, url string) (count int, servedBy string) {
	t.Helper()
	count, servedBy, err := tryVisit(url)
	if err != nil {
		t.Fatal(err)
	}
	return count, servedBy
}

func tryVisit(url string) (count int, servedBy string, err error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	match := answerForm.FindSubmatch(body)
	if response.StatusCode != http.StatusOK || match == nil {
		return 0, "", fmt.Errorf("got %s: %q", response.Status, body)
	}
	count, err = strconv.Atoi(string(match[1]))
	return count, response.Header.Get("X-Served-By"), err
}

func TestUpIsIdempotent(t *testing.T) {
	requireTarget(t, "kind")
	explainFailure(t, clientset(t), up(t).Namespace)
	if changed := changes(t); len(changed) > 0 {
		t.Errorf("a second preview wants to change %v", changed)
	}
	up(t)
}

func TestCounterIsSharedByAllPods(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	eventually(t, 2*time.Minute, func(ctx context.Context) (bool, string) {
		d, err := client.AppsV1().Deployments(o.Namespace).Get(ctx, o.Deployment, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return d.Status.ReadyReplicas >= 2, fmt.Sprintf("%d pods ready", d.Status.ReadyReplicas)
	})
	const visits = 100
	served := map[string]int{}
	first, pod := visit(t, o.URL)
	served[pod]++
	for i := 1; i < visits; i++ {
		count, pod := visit(t, o.URL)
		served[pod]++
		if count != first+i {
			t.Fatalf("visit %d: got %d, want %d: a count was lost, doubled or kept by one pod", i, count, first+i)
		}
	}
	if len(served) < 2 {
		t.Errorf("%d visits were all served by %v, want at least two pods", visits, served)
	}
	t.Logf("%d visits, counts %d to %d, served by %v", visits, first, first+visits-1, served)
}

// One setting changes the objects that it is about and no others.
func TestChangeOfOneSetting(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	explainFailure(t, clientset(t), o.Namespace)
	for _, test := range []struct {
		key, value string
		want       []string
	}{
		{"scaleout:maxReplicas", "11", []string{
			"kubernetes:autoscaling/v2:HorizontalPodAutoscaler web", "scaleout:index:Autoscaler web",
			"scaleout:index:WebApp web",
		}},
		{"scaleout:logLevel", "warn", []string{"kubernetes:apps/v1:Deployment web", "scaleout:index:WebApp web"}},
		{"scaleout:cpuLimit", "600m", []string{"kubernetes:apps/v1:Deployment web", "scaleout:index:WebApp web"}},
		{"scaleout:loadBalancerDelaySeconds", "6", []string{
			"kubernetes:apps/v1:Deployment web", "scaleout:index:Ingress web", "scaleout:index:WebApp web",
		}},
	} {
		changed := changes(t, "--config-file", stackFileWith(t, test.key, test.value))
		if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, test.want) {
			t.Errorf("%s=%s changes %v, want %v", test.key, test.value, changed, test.want)
		}
		for resource, op := range changed {
			if op != "update" {
				t.Errorf("%s=%s: %s of %s, want an update in place", test.key, test.value, op, resource)
			}
		}
	}
}

// The same for real: every pod is replaced while the app answers, and not a single visit is lost or counted twice.
func TestRolloutLosesNoVisit(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	file := stackFileWith(t, "scaleout:logLevel", "warn")
	old := podNames(t, client, o.Namespace)

	rolledOut := make(chan error, 1)
	go func() {
		out, err := tryPulumi("up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file)
		if err != nil {
			err = fmt.Errorf("pulumi up: %w\n%s", err, out)
		}
		rolledOut <- err
	}()
	first, _, err := tryVisit(o.URL)
	visits, done := 1, false
	for ; err == nil && (!done || !gone(t, client, o.Namespace, old)); visits++ {
		var count int
		if count, _, err = tryVisit(o.URL); err == nil && count != first+visits {
			err = fmt.Errorf("got %d, want %d: a count was lost or doubled", count, first+visits)
		}
		select {
		case upErr := <-rolledOut:
			done = true
			if upErr != nil {
				t.Error(upErr)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err != nil {
		t.Errorf("visit %d: %v", visits, err)
	}
	if !done { // the next update would find the stack locked
		if upErr := <-rolledOut; upErr != nil {
			t.Error(upErr)
		}
	}
	up(t)
	t.Logf("%d visits while %d pods were replaced", visits, len(old))
}

// podNames are the app's pods.
func podNames(t *testing.T, client *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=webapp",
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pod := range pods.Items {
		names = append(names, pod.Name)
	}
	return names
}

// gone tells whether none of the old pods is left, not even one that is still draining.
func gone(t *testing.T, client *kubernetes.Clientset, namespace string, old []string) bool {
	t.Helper()
	return !slices.ContainsFunc(podNames(t, client, namespace), func(name string) bool {
		return slices.Contains(old, name)
	})
}

// The autoscaler follows the load up and, once that ends, down to the minimum again.
func TestScaling(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	hpa := func(ctx context.Context) (*autoscalingv2.HorizontalPodAutoscaler, string) {
		h, err := client.AutoscalingV2().HorizontalPodAutoscalers(o.Namespace).Get(ctx, o.HPA, metav1.GetOptions{})
		if err != nil {
			return nil, err.Error()
		}
		return h, fmt.Sprintf("%d pods, %d wanted, CPU %s", h.Status.CurrentReplicas, h.Status.DesiredReplicas, cpu(h))
	}
	atMinimum := func(ctx context.Context) (bool, string) {
		h, state := hpa(ctx)
		return h != nil && h.Status.CurrentReplicas == *h.Spec.MinReplicas &&
			h.Status.DesiredReplicas == *h.Spec.MinReplicas, state
	}
	eventually(t, 4*time.Minute, atMinimum)
	old := podNames(t, client, o.Namespace)

	stop := attack(t, o.URL, loadRate)
	start := time.Now()
	eventually(t, 4*time.Minute, func(ctx context.Context) (bool, string) {
		_, state := hpa(ctx)
		_, pod, err := tryVisit(o.URL)
		return err == nil && !slices.Contains(old, pod), state
	})
	t.Logf("a new pod serves after %.0f s of load", time.Since(start).Seconds())
	expectNoFailure(t, stop)

	start = time.Now()
	stop = attack(t, o.URL, quietRate)
	eventually(t, 6*time.Minute, atMinimum)
	t.Logf("back at the minimum %.0f s after the load", time.Since(start).Seconds())
	expectNoFailure(t, stop)
}

func expectNoFailure(t *testing.T, stop func() (sent, failed uint64)) {
	t.Helper()
	sent, failed := stop()
	if failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed", failed, sent)
	}
	t.Logf("%d requests, %d failed", sent, failed)
}

func cpu(h *autoscalingv2.HorizontalPodAutoscaler) string {
	for _, m := range h.Status.CurrentMetrics {
		if m.ContainerResource != nil && m.ContainerResource.Current.AverageUtilization != nil {
			return strconv.Itoa(int(*m.ContainerResource.Current.AverageUtilization)) + " %"
		}
	}
	return "unknown"
}

// Destroy goes last, since Go runs tests in the order of the source, and takes everything with it.
func TestDestroyLeavesNothing(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	if before := managed(t); len(before) < 20 {
		t.Fatalf("only %d objects carry the label of this program, so their absence would prove nothing: %v", len(before), before)
	}
	start := time.Now()
	pulumi(t, "destroy", "--yes", "--skip-preview", "--stack", stackName())
	t.Logf("pulumi destroy: %.1f s", time.Since(start).Seconds())
	if left := append(managed(t), volumesOf(t, o.Namespace)...); len(left) > 0 {
		t.Errorf("destroy left %s", strings.Join(left, ", "))
	}
}
