package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// again is how long to wait before a pod that went away is looked for again.
const again = 2 * time.Second

// forwarder forwards ports of this machine to pods of one namespace.
type forwarder struct {
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
	out       io.Writer
}

// forwardAll forwards to all targets until ctx ends, or one of them cannot be reached from the start.
func forwardAll(ctx context.Context, f forwarder, targets []target) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	for _, t := range targets {
		if err := portIsFree(t); err != nil {
			return err
		}
		go func() { ended <- f.forward(ctx, t) }()
	}
	var first error
	for range targets {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// portIsFree is checked before anything is forwarded, since the library only logs that it is not.
func portIsFree(t target) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("localhost", strconv.Itoa(t.port)))
	if err != nil {
		return fmt.Errorf("port %d for %s cannot be used: %w; DASHBOARDS=\"-grafana-port N -prometheus-port N\" takes others",
			t.port, t.title, err)
	}
	return listener.Close()
}

// forward forwards to a pod of the target, and to the next one when that goes away.
func (f forwarder) forward(ctx context.Context, t target) error {
	var connected atomic.Bool
	for {
		pod, number, err := f.find(ctx, t.service)
		if err == nil {
			err = f.forwardTo(ctx, t, pod, number, func() { connected.Store(true) })
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case !connected.Load():
			return fmt.Errorf("reaching %s: %w", t.title, err)
		}
		_, _ = fmt.Fprintf(f.out, "%s went away (%v); looking for it again\n", t.title, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// find returns a pod of a Service that is ready, and the port there.
func (f forwarder) find(ctx context.Context, service string) (pod string, number int32, err error) {
	s, err := f.client.CoreV1().Services(f.namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return "", 0, err
	}
	pods, err := f.client.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String(),
	})
	if err != nil {
		return "", 0, err
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				// The component's Services have the number of their pods' port.
				return p.Name, s.Spec.Ports[0].Port, nil
			}
		}
	}
	return "", 0, fmt.Errorf("none of the %d pods of the Service %s/%s is ready", len(pods.Items), f.namespace, service)
}

// forwardTo forwards to one pod until it goes away or ctx ends.
func (f forwarder) forwardTo(ctx context.Context, t target, pod string, number int32, connected func()) error {
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return err
	}
	url := f.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(f.namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	ready := make(chan struct{})
	forwarding, err := portforward.New(dialer, []string{fmt.Sprintf("%d:%d", t.port, number)}, ctx.Done(), ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-ready:
			connected()
			_, _ = fmt.Fprintf(f.out, "%-10s  http://localhost:%d%s\n", t.title, t.port, t.path)
		case <-ctx.Done():
		}
	}()
	if err := forwarding.ForwardPorts(); err != nil {
		return err
	}
	return errors.New("the connection ended")
}
