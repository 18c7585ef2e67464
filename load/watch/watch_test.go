package watch

import (
	"errors"
	"slices"
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

	"example.com/scaleout/load/record"
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

// TestLook: changes of the autoscaler and the Deployment are reported as they happen, but no events from before the
// start.
func TestLook(t *testing.T) {
	ctx := t.Context()
	client := fake.NewClientset(autoscaler(), deployment(), event("old", "New size: 4", 1, time.Now().Add(-time.Hour)))
	w, err := Start(ctx, client, "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if want := (record.Settings{Min: 2, Max: 10, Target: 50, Request: 100, Limit: 500}); *w.Settings != want {
		t.Errorf("settings %+v, want %+v", *w.Settings, want)
	}
	look := func(want record.State, messages ...string) {
		t.Helper()
		state, events := w.Look(ctx)
		var got []string
		for _, e := range events {
			got = append(got, e.Message)
		}
		if state != want || !slices.Equal(got, messages) {
			t.Errorf("saw %+v and events %q, want %+v and %q", state, got, want, messages)
		}
	}
	look(record.State{CPU: record.Unknown})

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
	now := record.State{Desired: 5, Ready: 3, CPU: 83, CPUMilli: 83}
	look(now)
	must(client.CoreV1().Events("shop").Create(ctx, event("up", "New size: 5", 1, time.Now()), metav1.CreateOptions{}))
	look(now, "New size: 5")
	look(now)
	must(client.CoreV1().Events("shop").Update(ctx, event("up", "New size: 5", 2, time.Now()), metav1.UpdateOptions{}))
	look(now, "New size: 5")

	// A cluster that does not respond results in one event, and the state stays.
	broken := true
	client.PrependReactor("get", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
		return broken, nil, errors.New("no route to host")
	})
	look(now, "looking for the Deployment that shop/web scales: no route to host")
	look(now)
	broken = false
	look(now)
}

func TestMissing(t *testing.T) {
	for name, c := range map[string]struct {
		client *fake.Clientset
		want   string
	}{
		"autoscaler": {fake.NewClientset(deployment()), "looking for the autoscaler shop/web"},
		"deployment": {fake.NewClientset(autoscaler()), "looking for the Deployment that shop/web scales"},
	} {
		_, err := Start(t.Context(), c.client, "shop", "web")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "-context") {
			t.Errorf("%s missing: got %v, want %q and the flag to set", name, err, c.want)
		}
	}
}

// TestForbidden: a missing permission to list events is reported before any load is sent.
func TestForbidden(t *testing.T) {
	client := fake.NewClientset(autoscaler(), deployment())
	client.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("events is forbidden")
	})
	_, err := Start(t.Context(), client, "shop", "web")
	if err == nil || !strings.Contains(err.Error(), "events is forbidden") {
		t.Errorf("got %v, want the missing permission", err)
	}
}
