package watch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

func autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "front"},
			MinReplicas:    ptr.To[int32](2), MaxReplicas: 10,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ContainerResourceMetricSourceType,
				ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
					Name: corev1.ResourceCPU, Container: "web",
					Target: autoscalingv2.MetricTarget{AverageUtilization: ptr.To[int32](50)},
				},
			}},
		},
	}
}

func deployment() *appsv1.Deployment {
	cpu := func(request, limit string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(request)},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(limit)},
		}
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{
		{Name: "web", Resources: cpu("100m", "500m")}, {Name: "sidecar", Resources: cpu("1", "1")},
	}
	return d
}

func event(name, message string, count int32, at time.Time) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "HorizontalPodAutoscaler", Name: "web"},
		Reason:         "SuccessfulRescale", Message: message, Count: count, LastTimestamp: metav1.NewTime(at),
	}
}

// What the autoscaler decides and what the Deployment has is seen as it changes.
func TestFollows(t *testing.T) {
	ctx := t.Context()
	client := fake.NewClientset(autoscaler(), deployment(), event("old", "New size: 4", 1, time.Now().Add(-time.Hour)))
	w, err := Start(ctx, ctx, client, "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Settings{Min: 2, Max: 10, Target: 50, Request: 100, Limit: 500}); w.Settings() != want {
		t.Errorf("settings %+v, want %+v", w.Settings(), want)
	}
	if want := (State{CPU: Unknown}); w.State() != want {
		t.Errorf("before any measurement: %+v, want %+v", w.State(), want)
	}

	h, d := autoscaler(), deployment()
	h.Status.DesiredReplicas, d.Status.ReadyReplicas = 5, 3
	h.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{
		ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{
			Name: corev1.ResourceCPU, Container: "web",
			Current: autoscalingv2.MetricValueStatus{
				AverageUtilization: ptr.To[int32](83), AverageValue: ptr.To(resource.MustParse("83m")),
			},
		},
	}}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.AutoscalingV2().HorizontalPodAutoscalers("shop").Update(ctx, h, metav1.UpdateOptions{}))
	must(client.AppsV1().Deployments("shop").Update(ctx, d, metav1.UpdateOptions{}))
	eventually(t, func() bool { return w.State() == State{Desired: 5, Ready: 3, CPU: 83, CPUMilli: 83} },
		func() any { return w.State() })

	must(client.CoreV1().Events("shop").Create(ctx, event("up", "New size: 5", 1, time.Now()), metav1.CreateOptions{}))
	eventually(t, func() bool { return len(w.Events()) == 1 }, func() any { return w.Events() })
	must(client.CoreV1().Events("shop").Update(ctx, event("up", "New size: 5", 2, time.Now().Add(time.Minute)), metav1.UpdateOptions{}))
	eventually(t, func() bool { return len(w.Events()) == 2 }, func() any { return w.Events() })
	if got := w.Events(); got[0].Message != "New size: 5" || got[1].Time.Sub(got[0].Time) < 50*time.Second {
		t.Errorf("events %v, want the new one twice and not the old one", got)
	}
}

// eventually waits for what the watch's goroutines have to see first.
func eventually(t *testing.T, reached func() bool, now func() any) {
	t.Helper()
	for range 1000 {
		if reached() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not seen within 10 s; it is %+v", now())
}

func TestMissing(t *testing.T) {
	for name, c := range map[string]struct {
		client *fake.Clientset
		want   string
	}{
		"autoscaler": {fake.NewClientset(deployment()), "looking for the autoscaler shop/web"},
		"deployment": {fake.NewClientset(autoscaler()), "looking for the Deployment that shop/web scales"},
	} {
		_, err := Start(t.Context(), t.Context(), c.client, "shop", "web")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "-context") {
			t.Errorf("%s missing: got %v, want %q and the flag to look at", name, err, c.want)
		}
	}
}

// Who may get the objects but not list them hears of it, and Ctrl-C ends the wait.
func TestForbidden(t *testing.T) {
	client := fake.NewClientset(autoscaler(), deployment())
	client.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("events is forbidden")
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := Start(ctx, t.Context(), client, "shop", "web")
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "events is forbidden") {
		t.Errorf("got %v, want what is forbidden", err)
	}
}
