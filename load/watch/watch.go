// Package watch observes an autoscaler, the Deployment that it scales, and its events.
package watch

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"example.com/scaleout/load/record"
)

// Watcher observes one autoscaler.
type Watcher struct {
	Settings *record.Settings // of the autoscaler when it was last read

	client          kubernetes.Interface
	namespace, name string
	state           record.State
	seen            map[string]int32 // events by name, with their counts
	lost            bool             // whether the last look failed
}

// Start returns a Watcher for an autoscaler, or an error that names what is missing.
func Start(ctx context.Context, client kubernetes.Interface, namespace, name string) (*Watcher, error) {
	w := &Watcher{client: client, namespace: namespace, name: name, seen: map[string]int32{}}
	_, err := w.look(ctx)
	if apierrors.IsNotFound(err) {
		err = fmt.Errorf("%w; if this is not the stack's cluster, set -context", err)
	}
	return w, err
}

// Look returns the current state, and the events of the autoscaler since the last look. If the cluster does not
// respond, it returns the last known state and, at first, an event with the error. It also works after the end of ctx,
// for the last responses. A nil Watcher sees nothing.
func (w *Watcher) Look(ctx context.Context) (record.State, []record.Event) {
	if w == nil {
		return record.State{CPU: record.Unknown}, nil
	}
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	events, err := w.look(ctx)
	if err != nil && !w.lost {
		events = append(events, record.Event{Time: time.Now(), Reason: "ClusterNotSeen", Message: err.Error()})
	}
	w.lost = err != nil
	return w.state, events
}

func (w *Watcher) look(ctx context.Context) (events []record.Event, err error) {
	h, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking for the autoscaler %s/%s: %w", w.namespace, w.name, err)
	}
	d, err := w.client.AppsV1().Deployments(w.namespace).Get(ctx, h.Spec.ScaleTargetRef.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking for the Deployment that %s/%s scales: %w", w.namespace, w.name, err)
	}
	selector := fields.Set{"involvedObject.kind": "HorizontalPodAutoscaler", "involvedObject.name": w.name}.String()
	noted, err := w.client.CoreV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("looking for events of %s/%s: %w", w.namespace, w.name, err)
	}
	w.Settings = settingsOf(h, d)
	w.state = record.State{CPU: record.Unknown}
	w.state.Desired, w.state.Ready = int(h.Status.DesiredReplicas), int(d.Status.ReadyReplicas)
	for _, m := range h.Status.CurrentMetrics {
		of := ptr.Deref(m.ContainerResource, autoscalingv2.ContainerResourceMetricStatus{})
		if m.Resource != nil {
			of.Name, of.Current = m.Resource.Name, m.Resource.Current
		}
		current := of.Current
		if of.Name == corev1.ResourceCPU && current.AverageUtilization != nil && current.AverageValue != nil {
			w.state.CPU, w.state.CPUMilli = int(*current.AverageUtilization), current.AverageValue.MilliValue()
		}
	}
	for _, e := range noted.Items { // a repeated event is the same object with a higher count
		if count, seen := w.seen[e.Name]; !seen || count < e.Count {
			w.seen[e.Name] = e.Count
			events = append(events, record.Event{Time: e.LastTimestamp.Time, Reason: e.Reason, Message: e.Message})
		}
	}
	return events, nil
}

func settingsOf(h *autoscalingv2.HorizontalPodAutoscaler, d *appsv1.Deployment) *record.Settings {
	s := &record.Settings{Min: int(ptr.Deref(h.Spec.MinReplicas, 1)), Max: int(h.Spec.MaxReplicas)}
	container := ""
	for _, m := range h.Spec.Metrics {
		of := ptr.Deref(m.ContainerResource, autoscalingv2.ContainerResourceMetricSource{})
		if m.Resource != nil {
			of.Name, of.Target = m.Resource.Name, m.Resource.Target
		}
		if of.Name == corev1.ResourceCPU {
			s.Target, container = int(ptr.Deref(of.Target.AverageUtilization, 0)), of.Container
		}
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		if container == "" || c.Name == container {
			s.Request += c.Resources.Requests.Cpu().MilliValue()
			s.Limit += c.Resources.Limits.Cpu().MilliValue()
		}
	}
	return s
}
