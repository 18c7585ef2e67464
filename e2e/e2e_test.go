//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMain(m *testing.M) {
	flag.Parse()
	versions := versions()
	fmt.Fprintln(os.Stderr, versions)
	if err := openBook(versions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	start := time.Now()
	code := m.Run()
	if err := closeBook(start, code == 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// answerForm matches the response of the hit counter and of examples/flask.
var answerForm = regexp.MustCompile(`^Hello from (?:container|Flask)! I have been seen (\d+) times\.\n?$`)

// visit sends one request to the app on a new connection, so that each visit is balanced separately.
func visit(t *testing.T, address string) (count int, servedBy string) {
	t.Helper()
	count, servedBy, err := tryVisit(address)
	if err != nil {
		t.Fatal(err)
	}
	return count, servedBy
}

// tryVisit is like visit, but returns an error. The host may have no DNS record, so it visits this machine.
func tryVisit(address string) (count int, servedBy string, err error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	request.URL.Host = net.JoinHostPort("localhost", request.URL.Port()) // request.Host stays
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
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
	measures(t)
	explainFailure(t, clientset(t), up(t).Namespace)
	changed := changes(t)
	if len(changed) > 0 {
		t.Errorf("a second preview shows changes: %v", changed)
	}
	record(t, "engine", "a preview after `up`", fmt.Sprintf("%d changes", len(changed)))
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

// TestChangeOfOneSetting: one setting changes only the objects that depend on it.
func TestChangeOfOneSetting(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	explainFailure(t, clientset(t), o.Namespace)
	for _, test := range []struct {
		key, value string
		want       []string
	}{
		{"scaleout:maxReplicas", "11", []string{
			"kubernetes:autoscaling/v2:HorizontalPodAutoscaler web",
		}},
		{"scaleout:environment", "{LOG_LEVEL: warn}", []string{"kubernetes:apps/v1:Deployment web"}},
		{"scaleout:cpuLimit", "600m", []string{"kubernetes:apps/v1:Deployment web"}},
		{"scaleout:loadBalancerDelaySeconds", "6", []string{
			"kubernetes:apps/v1:Deployment web",
		}},
	} {
		changed := changes(t, "--config-file", stackFileWith(t, test.key, test.value))
		if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, test.want) {
			t.Errorf("%s=%s changes %v, want %v", test.key, test.value, changed, test.want)
		}
		for resource, op := range changed {
			if op != "update" {
				t.Errorf("%s=%s: %s of %s, want an in-place update", test.key, test.value, op, resource)
			}
		}
	}
}
