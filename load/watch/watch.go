// Package watch follows an autoscaler, the Deployment that it scales, and what it decides.
package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	"k8s.io/client-go/tools/cache"
)

// Unknown is the CPU of pods that have not been measured.
const Unknown = -1

// Settings of an autoscaler are those that a run is compared by.
type Settings struct {
	Min int `json:"min"`
	Max int `json:"max"`
	// Target is the CPU that a pod shall use, in percent of its request.
	Target int `json:"target"`
	// Request is the CPU that each pod has reserved, and Limit what it may use, in thousandths of a core; 0 without one.
	Request int64 `json:"request"`
	Limit   int64 `json:"limit"`
}

// State is what is known at a moment.
type State struct {
	// Desired is how many pods the autoscaler wants, Ready how many serve.
	Desired int `json:"desired"`
	Ready   int `json:"ready"`
	// CPU is what the autoscaler last measured, in percent of a pod's request: Unknown if it could not. CPUMilli is the
	// same in thousandths of a core for each pod.
	CPU      int   `json:"cpu"`
	CPUMilli int64 `json:"cpuMilli"`
}

// Event is something that the autoscaler did.
type Event struct {
	Time    time.Time `json:"time"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
}

// Watcher follows one autoscaler.
type Watcher struct {
	namespace, name string
	autoscalers     autoscalinglisters.HorizontalPodAutoscalerLister
	deployments     appslisters.DeploymentLister
	settings        Settings
	target          string

	mutex  sync.Mutex
	events []Event
	seen   map[string]int32
}

// Start follows an autoscaler until running ends. It returns once all of it has been seen, or says what is missing; ctx
// ends only that wait.
func Start(ctx, running context.Context, client kubernetes.Interface, namespace, name string) (*Watcher, error) {
	h, err := client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking for the autoscaler %s/%s: %w", namespace, name, hint(err))
	}
	d, err := client.AppsV1().Deployments(namespace).Get(ctx, h.Spec.ScaleTargetRef.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking for the Deployment that %s/%s scales: %w", namespace, name, hint(err))
	}
	w := &Watcher{namespace: namespace, name: name, target: d.Name, settings: settingsOf(h, d), seen: map[string]int32{}}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return w, w.follow(ctx, running, client)
}

// startLimit ends the wait for the first look at all objects: without the permission to list them it would go on for ever.
const startLimit = 30 * time.Second

// hint adds what to do about an object that is not there.
func hint(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w; is this the stack's cluster? See -context", err)
	}
	return err
}

// follow keeps copies of the objects, which the API server updates as they change.
func (w *Watcher) follow(ctx, running context.Context, client kubernetes.Interface) error {
	objects := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(w.namespace))
	w.autoscalers = objects.Autoscaling().V2().HorizontalPodAutoscalers().Lister()
	w.deployments = objects.Apps().V1().Deployments().Lister()
	scaler := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(w.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.Set{"involvedObject.kind": "HorizontalPodAutoscaler", "involvedObject.name": w.name}.String()
		}))
	began := time.Now().Truncate(time.Second) // the time of an event has no fraction
	events := scaler.Core().V1().Events().Informer()
	_, err := events.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.note(o, began) },
		UpdateFunc: func(_, o any) { w.note(o, began) },
	})
	if err != nil {
		return err
	}
	for _, informer := range []cache.SharedIndexInformer{
		events, objects.Autoscaling().V2().HorizontalPodAutoscalers().Informer(), objects.Apps().V1().Deployments().Informer(),
	} {
		if err := informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) { w.lost(err) }); err != nil {
			return err
		}
	}
	for _, factory := range []informers.SharedInformerFactory{objects, scaler} {
		factory.Start(running.Done())
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("following %v in %s: %w%s", kind, w.namespace, ctx.Err(), w.lastLoss())
			}
		}
	}
	return nil
}

// lost notes that the cluster does not answer. What was seen before it stays, so this has to be seen too.
func (w *Watcher) lost(err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if n := len(w.events); n > 0 && w.events[n-1].Reason == lossReason && w.events[n-1].Message == err.Error() {
		return // it tries again every few seconds
	}
	w.events = append(w.events, Event{time.Now(), lossReason, err.Error()})
}

// lossReason is the reason of events that are not the autoscaler's.
const lossReason = "ClusterNotSeen"

func (w *Watcher) lastLoss() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if n := len(w.events); n > 0 {
		return ": " + w.events[n-1].Message
	}
	return ""
}

// note keeps an event of the autoscaler. One that comes again is the same object with a higher count.
func (w *Watcher) note(object any, began time.Time) {
	e, ok := object.(*corev1.Event)
	if !ok || e.LastTimestamp.Time.Before(began) || e.InvolvedObject.Name != w.name {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.seen[e.Name] >= e.Count && e.Count > 0 {
		return
	}
	w.seen[e.Name] = e.Count
	w.events = append(w.events, Event{e.LastTimestamp.Time, e.Reason, e.Message})
}

// Settings are those when the watch began.
func (w *Watcher) Settings() Settings { return w.settings }

// Events are what the autoscaler has done since the watch began.
func (w *Watcher) Events() []Event {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return append([]Event(nil), w.events...)
}

// State is what is known now. What has been deleted since is 0.
func (w *Watcher) State() State {
	s := State{CPU: Unknown}
	if d, err := w.deployments.Deployments(w.namespace).Get(w.target); err == nil {
		s.Ready = int(d.Status.ReadyReplicas)
	}
	if h, err := w.autoscalers.HorizontalPodAutoscalers(w.namespace).Get(w.name); err == nil {
		s.Desired = int(h.Status.DesiredReplicas)
		s.CPU, s.CPUMilli = measured(h)
	}
	return s
}

// measured is the CPU that the autoscaler last saw.
func measured(h *autoscalingv2.HorizontalPodAutoscaler) (percent int, milli int64) {
	for _, m := range h.Status.CurrentMetrics {
		var current autoscalingv2.MetricValueStatus
		switch {
		case m.ContainerResource != nil && m.ContainerResource.Name == corev1.ResourceCPU:
			current = m.ContainerResource.Current
		case m.Resource != nil && m.Resource.Name == corev1.ResourceCPU:
			current = m.Resource.Current
		}
		if current.AverageUtilization != nil && current.AverageValue != nil {
			return int(*current.AverageUtilization), current.AverageValue.MilliValue()
		}
	}
	return Unknown, 0
}

func settingsOf(h *autoscalingv2.HorizontalPodAutoscaler, d *appsv1.Deployment) Settings {
	s := Settings{Min: 1, Max: int(h.Spec.MaxReplicas)}
	if h.Spec.MinReplicas != nil {
		s.Min = int(*h.Spec.MinReplicas)
	}
	container := ""
	for _, m := range h.Spec.Metrics {
		var target autoscalingv2.MetricTarget
		switch {
		case m.ContainerResource != nil && m.ContainerResource.Name == corev1.ResourceCPU:
			target, container = m.ContainerResource.Target, m.ContainerResource.Container
		case m.Resource != nil && m.Resource.Name == corev1.ResourceCPU:
			target = m.Resource.Target
		}
		if target.AverageUtilization != nil {
			s.Target = int(*target.AverageUtilization)
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
