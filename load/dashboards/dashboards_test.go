package main

import (
	"io"
	"net"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"example.com/scaleout/load/stack"
)

func TestTargets(t *testing.T) {
	o := options{stack: "dev", grafanaPort: 3000, prometheusPort: 9090}
	both, err := o.targets(&stack.Outputs{Grafana: "grafana", Prometheus: "prometheus"})
	if err != nil || len(both) != 2 || both[0].port != 3000 || both[1].service != "prometheus" {
		t.Errorf("got %v, %v", both, err)
	}
	if one, err := o.targets(&stack.Outputs{Prometheus: "prometheus"}); err != nil || len(one) != 1 {
		t.Errorf("got %v, %v", one, err)
	}
	if _, err := o.targets(&stack.Outputs{}); err == nil || !strings.Contains(err.Error(), "pulumi config set --stack dev installPrometheus true") {
		t.Errorf("got %v, want what to do", err)
	}
}

// A pod that is ready and stays is found; what is found instead is named.
func TestFind(t *testing.T) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "grafana"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "grafana"}, Ports: []corev1.ServicePort{{Port: 3000}}},
	}
	pod := func(name, app string, ready corev1.ConditionStatus, leaving bool) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": app}},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
		if leaving {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{}, []string{"kept/for-the-test"}
		}
		return p
	}
	others := []*corev1.Pod{
		pod("other", "web", corev1.ConditionTrue, false), pod("starting", "grafana", corev1.ConditionFalse, false),
		pod("leaving", "grafana", corev1.ConditionTrue, true),
	}
	client := fake.NewClientset(service, others[0], others[1], others[2])
	f := forwarder{client: client, namespace: "shop", out: io.Discard}
	if _, _, err := f.find(t.Context(), "grafana"); err == nil || !strings.Contains(err.Error(), "none of the 2 pods of the Service shop/grafana is ready") {
		t.Errorf("got %v", err)
	}
	if err := client.Tracker().Add(pod("ready", "grafana", corev1.ConditionTrue, false)); err != nil {
		t.Fatal(err)
	}
	if name, number, err := f.find(t.Context(), "grafana"); name != "ready" || number != 3000 || err != nil {
		t.Errorf("got %s, %d, %v", name, number, err)
	}
	if _, _, err := f.find(t.Context(), "prometheus"); err == nil {
		t.Error("a Service was found that does not exist")
	}
}

// A port that is taken is named before anything is forwarded.
func TestPortIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	taken := target{title: "Grafana", port: listener.Addr().(*net.TCPAddr).Port}
	err = forwardAll(t.Context(), forwarder{}, []target{taken})
	if err == nil || !strings.Contains(err.Error(), "for Grafana cannot be used") || !strings.Contains(err.Error(), "-grafana-port") {
		t.Errorf("got %v", err)
	}
}
