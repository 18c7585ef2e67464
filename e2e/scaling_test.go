//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// A pod may use scaledTarget percent of scaledRequest, so little that a load which leaves the machine enough CPU to
	// start pods needs scaledMax of them even if a measurement covers only a third of it. A smaller request with a
	// higher target would leave pods without their share of the CPU while others start.
	scaledRequest = "80m"
	scaledTarget  = "2"
	scaledRest    = 2 // maximum CPU of pods at rest, in percent of scaledRequest
	// scaledMin and scaledMax are those of the dev stack.
	scaledMin = 2
	scaledMax = 10
	// scaledSome is so low that terminating pods leave some CPU to the others.
	scaledSome = 6
	// heavy is a load that needs scaledMax pods, light one that needs scaledMin if they may use all of scaledRequest.
	heavy, light = 200, 100
	// wave is shorter than the stack's scaleDownWindowSeconds of 60.
	wave = 40 * time.Second
)

//go:embed testdata/plain.yaml
var plainManifests string

// TestScaling: the autoscaler scales out on a step of load, does not scale in under an oscillating load, and scales
// in again; the last two without losing a visit. A plain Deployment with a plain HorizontalPodAutoscaler gets the
// same step in the same cluster, and needs at least twice as many decisions, which are 15 s apart. The times also
// depend on the machine, so they are measured but not judged.
func TestScaling(t *testing.T) {
	measures(t)
	requireTarget(t, "kind")
	base := up(t)
	o := beside(t, "scaleout:cpuRequest", scaledRequest, "scaleout:targetCpuUtilization", scaledTarget,
		"scaleout:minReplicas", strconv.Itoa(scaledMin), "scaleout:maxReplicas", strconv.Itoa(scaledMax),
		"scaleout:loadBalancerDelaySeconds", "5")
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	applyPlain(t, base)
	defer kubectl(t, "delete", "namespace", "plain", "--ignore-not-found")
	ours, plain := watched{client, o.Namespace, o.HPA}, watched{client, "plain", "web"}
	ours.until(t, scaledMin)

	visitors := crowd{url: base.URL, host: "beside.localhost"}
	visitors.kept, visitors.fresh = heavy-50, 50
	ours.measuredAgain(t)
	start, fast := time.Now(), step{}
	during(t, o, "scale-out", visitors, func() { fast = recordStep(t, "this stack", ours, start) })
	expectCalm(t, o, ours, base.URL)
	ours.patch(t, "maxReplicas", scaledSome)
	ours.until(t, scaledSome)
	waitReady(t, client, o)
	visitors.kept, visitors.fresh = light-50, 50
	during(t, o, "scale-in by the autoscaler", visitors, func() {
		ours.patch(t, "metrics/0/containerResource/target/averageUtilization", 100)
		took := ours.until(t, scaledMin)
		waitReady(t, client, o)
		record(t, "scaling", "this stack, back", fmt.Sprintf("%d to %d", scaledSome, scaledMin), seconds(took),
			"scaleDownWindowSeconds is 60")
	}).expectNoLoss(t)

	plain.until(t, scaledMin)
	plain.measuredAgain(t)
	start = time.Now()
	traffic := crowd{url: base.URL, host: "plain.localhost", kept: heavy - 50, fresh: 50}.visit(t)
	slow := recordStep(t, "plain Deployment and HPA", plain, start)
	traffic.leave()
	record(t, "scaling", "this stack, of the plain one's time", "",
		fmt.Sprintf("%.0f %%", 100*fast.took.Seconds()/slow.took.Seconds()), "")
	if fast.decisions > 2 || slow.decisions < 2*fast.decisions {
		t.Errorf("this stack needed %d decisions, the plain one %d: want one, or two if the first measurement has a part of "+
			"the step, and at most half as many as the plain one", fast.decisions, slow.decisions)
	}
}

// applyPlain creates the objects of testdata/plain.yaml with the images of the stack.
func applyPlain(t *testing.T, o outputs) {
	t.Helper()
	redis := kubectl(t, "get", "--namespace", o.Namespace, "statefulset/redis",
		"--output=jsonpath={.spec.template.spec.containers[0].image}")
	values := strings.NewReplacer("REDIS_IMAGE", redis, "APP_IMAGE", o.Image,
		"CPU_REQUEST", scaledRequest, "CPU_TARGET", scaledTarget, "MAX_REPLICAS", strconv.Itoa(scaledMax))
	apply(t, values.Replace(plainManifests))
}

// measuredAgain waits until the pods have started and are at rest, and all have new measurements, so that the steps of
// both autoscalers begin alike. The next measurements cover only part of the following load, because a node measures
// before metrics-server queries it.
func (w watched) measuredAgain(t *testing.T) {
	t.Helper()
	eventually(t, 3*time.Minute, func(ctx context.Context) (bool, string) {
		h, err := w.autoscaler(ctx)
		if err != nil {
			return false, err.Error()
		}
		percent, known := utilization(h)
		return known && percent <= scaledRest, w.namespace + " uses CPU " + cpu(h)
	})
	times := func() []string {
		list := kubectl(t, "get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/"+w.namespace+"/pods")
		return measuredAt.FindAllString(list, -1)
	}
	first := times()
	eventually(t, time.Minute, func(context.Context) (bool, string) {
		now := times()
		old := slices.ContainsFunc(now, func(at string) bool { return slices.Contains(first, at) })
		return len(now) > 0 && !old, w.namespace + ": all pods were measured again"
	})
}

var measuredAt = regexp.MustCompile(`"timestamp":"[^"]*"`)

// step is the time and the number of decisions until all pods that a load needs were ready.
type step struct {
	took      time.Duration
	decisions int
}

// recordStep waits until all pods that the load needs are ready, and records the step.
func recordStep(t *testing.T, name string, w watched, start time.Time) step {
	t.Helper()
	w.until(t, scaledMax)
	took := time.Since(start)
	path := w.path(t)
	record(t, "scaling", name, fmt.Sprintf("%d to %d", scaledMin, scaledMax), seconds(took), strings.Join(path, ", "))
	return step{took, len(path)}
}

// watched is an autoscaler and its Deployment, which has the same name.
type watched struct {
	client          *kubernetes.Clientset
	namespace, name string
}

func (w watched) autoscaler(ctx context.Context) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return w.client.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
}

// until waits until the given number of pods is desired and ready, and returns the time that took.
func (w watched) until(t *testing.T, pods int32) time.Duration {
	t.Helper()
	start := time.Now()
	eventually(t, 5*time.Minute, func(ctx context.Context) (bool, string) {
		h, err := w.autoscaler(ctx)
		if err != nil {
			return false, err.Error()
		}
		d, err := w.client.AppsV1().Deployments(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return h.Status.DesiredReplicas == pods && d.Status.ReadyReplicas == pods,
			fmt.Sprintf("%s: %d of %d pods ready, %d desired, CPU %s", w.namespace,
				d.Status.ReadyReplicas, d.Status.Replicas, h.Status.DesiredReplicas, cpu(h))
	})
	return time.Since(start)
}

// patch changes a field of the autoscaler's spec. On so small a machine, a load that scaledMin pods can serve would
// be negligible next to one that needs scaledMax, so the test changes the target rather than the load.
func (w watched) patch(t *testing.T, field string, value int) {
	t.Helper()
	kubectl(t, "patch", "hpa", w.name, "--namespace", w.namespace, "--type=json", "--patch",
		fmt.Sprintf(`[{"op": "replace", "path": "/spec/%s", "value": %d}]`, field, value))
}

// path returns the decisions of the autoscaler since it had scaledMin pods, from its events.
func (w watched) path(t *testing.T) (sizes []string) {
	t.Helper()
	events, err := w.client.CoreV1().Events(w.namespace).List(t.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.kind=HorizontalPodAutoscaler,reason=SuccessfulRescale",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		size, _, _ := strings.Cut(strings.TrimPrefix(e.Message, "New size: "), ";")
		if size != strconv.Itoa(scaledMin) {
			sizes = append(sizes, size+" pods")
		}
	}
	return sizes
}

// expectCalm sends three waves of load and checks that no pod is removed between them, because the next wave would
// need it again.
func expectCalm(t *testing.T, o outputs, w watched, url string) {
	t.Helper()
	pace := vegeta.SinePacer{
		Period: wave,
		Mean:   vegeta.Rate{Freq: heavy / 2, Per: time.Second},
		Amp:    vegeta.Rate{Freq: heavy * 9 / 20, Per: time.Second},
	}
	visitors := crowd{url: url, host: "beside.localhost", pace: pace}
	changes, last := 0, int32(-1)
	during(t, o, fmt.Sprintf("load that swings between %d and %d a second", heavy/20, heavy*19/20), visitors, func() {
		for end := time.Now().Add(3 * wave); time.Now().Before(end); time.Sleep(time.Second) {
			h, err := w.autoscaler(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if h.Status.DesiredReplicas < last {
				t.Errorf("%d pods were desired after %d, in waves shorter than the window", h.Status.DesiredReplicas, last)
			}
			if last >= 0 && h.Status.DesiredReplicas != last {
				changes++
			}
			last = h.Status.DesiredReplicas
		}
	}).expectNoLoss(t)
	record(t, "scaling", "this stack, in three waves of 40 s", fmt.Sprint(last), "120 s",
		fmt.Sprintf("%d changes of the number of pods", changes))
}

// cpu returns the utilization as text.
func cpu(h *autoscalingv2.HorizontalPodAutoscaler) string {
	if percent, known := utilization(h); known {
		return fmt.Sprintf("%d %%", percent)
	}
	return "unknown"
}

// utilization returns the CPU of the pods in percent of their requests, as last measured by the autoscaler.
func utilization(h *autoscalingv2.HorizontalPodAutoscaler) (percent int, known bool) {
	for _, m := range h.Status.CurrentMetrics {
		var current autoscalingv2.MetricValueStatus
		switch {
		case m.ContainerResource != nil:
			current = m.ContainerResource.Current
		case m.Resource != nil:
			current = m.Resource.Current
		}
		if current.AverageUtilization != nil {
			return int(*current.AverageUtilization), true
		}
	}
	return 0, false
}
