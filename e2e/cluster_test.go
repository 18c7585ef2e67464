//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// connect returns the configuration of the stack's context in the kubeconfig of `make up`, never the current one.
func connect(t *testing.T) *rest.Config {
	t.Helper()
	name := strings.TrimSpace(string(pulumi(t, "config", "get", "kubeContext", "--stack", stackName())))
	if !strings.HasPrefix(name, "kind-") {
		t.Fatalf("stack %s deploys to context %q; these tests are destructive, so they run on kind only", stackName(), name)
	}
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: filepath.Join(root, ".local", "kubeconfig")}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		rules, &clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		t.Fatalf("connecting to %s: %v; start it with `make up`", name, err)
	}
	config.QPS, config.Burst = 100, 200
	return config
}

// onNode runs a command on a node of the cluster and returns its output.
func onNode(t *testing.T, node string, command ...string) string {
	t.Helper()
	out, err := exec.Command("docker", append([]string{"exec", node}, command...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s on %s: %v\n%s", strings.Join(command, " "), node, err, out)
	}
	return strings.TrimSpace(string(out))
}

// kubectl runs kubectl as the cluster's administrator on the control plane of the kind cluster.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return onNode(t, controlPlane(t), append([]string{"kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"}, args...)...)
}

// apply runs kubectl apply.
func apply(t *testing.T, manifests string) {
	t.Helper()
	command := exec.Command("docker", "exec", "--interactive", controlPlane(t),
		"kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "apply", "--filename=-")
	command.Stdin = strings.NewReader(manifests)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("applying manifests: %v\n%s", err, out)
	}
}

// controlPlane returns the name of the control plane node.
func controlPlane(t *testing.T) string {
	t.Helper()
	context := strings.TrimSpace(string(pulumi(t, "config", "get", "kubeContext", "--stack", stackName())))
	return strings.TrimPrefix(context, "kind-") + "-control-plane"
}

// redisCLI runs redis-cli in the Redis of a namespace.
func redisCLI(t *testing.T, namespace, arguments string) string {
	t.Helper()
	return kubectl(t, "exec", "--namespace", namespace, "redis-0", "--",
		"sh", "-c", `REDISCLI_AUTH="$(cat /etc/redis/auth/password)" redis-cli `+arguments)
}

// hits returns the count in Redis.
func hits(t *testing.T, namespace string) int {
	t.Helper()
	text := redisCLI(t, namespace, "get hits")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("the count in Redis is %q", text)
	}
	return n
}

func clientset(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(connect(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually polls until done returns true, and fails with its last state after a timeout.
func eventually(t *testing.T, within time.Duration, done func(context.Context) (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	last := ""
	for {
		ok, state := done(ctx)
		if ok {
			t.Log(state)
			return
		}
		if state != last {
			t.Log(state)
			last = state
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v: %s", within, last)
		case <-time.After(time.Second):
		}
	}
}

// watchLeast reads a number until the returned function is called, which returns the lowest one. The first reading must
// succeed; one that fails later is left out.
func watchLeast(t *testing.T, every time.Duration, read func() (int, error)) (least func() int) {
	t.Helper()
	fewest, err := read()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
				if number, err := read(); err == nil {
					fewest = min(fewest, number)
				}
			}
		}
	})
	return func() int {
		cancel()
		group.Wait()
		return fewest
	}
}

// explainFailure prints events and pod states of the namespace if the test has failed.
func explainFailure(t *testing.T, client *kubernetes.Clientset, namespace string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{}); err == nil {
			for _, pod := range pods.Items {
				t.Logf("pod %s: %s %v", pod.Name, pod.Status.Phase, containerStates(pod))
				for _, c := range pod.Status.ContainerStatuses {
					if c.Ready && c.RestartCount == 0 {
						continue
					}
					last, err := client.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
						Container: c.Name, TailLines: ptr.To(int64(20)), Previous: c.State.Running == nil && c.RestartCount > 0,
					}).DoRaw(ctx)
					t.Logf("last log lines of %s in %s (%v):\n%s", c.Name, pod.Name, err, last)
				}
			}
		}
		if events, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{}); err == nil {
			for _, e := range events.Items[max(0, len(events.Items)-30):] {
				t.Logf("event %s %s/%s: %s", e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message)
			}
		}
	})
}

func containerStates(pod corev1.Pod) []string {
	var states []string
	for _, c := range pod.Status.ContainerStatuses {
		state := fmt.Sprintf("%s ready=%t restarts=%d", c.Name, c.Ready, c.RestartCount)
		if w := c.State.Waiting; w != nil {
			state += " " + w.Reason + " " + w.Message
		}
		states = append(states, state)
	}
	return states
}

// managed lists all objects in the cluster, of any kind, with the label of this program.
func managed(t *testing.T) []string {
	t.Helper()
	config := connect(t)
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := disco.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) { // an API without a server has no objects
		t.Fatal(err)
	}
	var found []string
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !strings.Contains(fmt.Sprint(r.Verbs), "list") {
				continue
			}
			objects, err := client.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{
				LabelSelector: "app.kubernetes.io/part-of=scaleout",
			})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsServiceUnavailable(err) {
				continue
			} else if err != nil {
				t.Fatalf("listing %s: %v", r.Name, err)
			}
			for _, o := range objects.Items {
				found = append(found, r.Kind+" "+strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"))
			}
		}
	}
	sort.Strings(found)
	return found
}

// volumesOf lists the persistent volumes that are bound to claims of a namespace; they do not have the label of this
// program. It waits, because their provisioner takes a moment to delete them.
func volumesOf(t *testing.T, namespace string) []string {
	t.Helper()
	client := clientset(t)
	var found []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		volumes, err := client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found = nil
		for _, v := range volumes.Items {
			if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == namespace {
				found = append(found, "PersistentVolume "+v.Name)
			}
		}
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
	}
}
