//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// run is a make target in progress.
type run struct {
	*exec.Cmd
	output  lockedBuffer
	started time.Time
	ended   chan struct{}
	err     error // how it ended
}

// lockedBuffer is a buffer that one goroutine writes and another one reads.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startRun starts a run in its own process group, as a shell does.
func startRun(t *testing.T, target string) *run {
	t.Helper()
	r := &run{Cmd: makeBeside(t, target), started: time.Now(), ended: make(chan struct{})}
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.Stdout, r.Stderr = &r.output, &r.output
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.err = r.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() { // if the test failed half-way
		select {
		case <-r.ended:
		default:
			r.kill(t)
			<-r.ended
		}
	})
	return r
}

// wait waits until the run has ended and returns its error.
func (r *run) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(6 * time.Minute): // longer than the driver waits for Pulumi to end
		t.Fatalf("%s does not end:\n%s", r, &r.output)
	}
	return r.err
}

// waitFor waits until the run has reached a point.
func (r *run) waitFor(t *testing.T, p point) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !p.reached(t.Context()); time.Sleep(100 * time.Millisecond) {
		select {
		case <-r.ended:
			t.Fatalf("%s ended (%v) and was never seen %s:\n%s", r, r.err, p.name, &r.output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was never seen %s:\n%s", r, p.name, &r.output)
		}
	}
}

// interrupt sends SIGINT to the whole process group, as Ctrl-C does.
func (r *run) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-r.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// kill ends all processes at once, as a power failure does. Pulumi and its providers have their own process groups,
// so the process tree is traversed. It is stopped first, because it could grow meanwhile.
func (r *run) kill(t *testing.T) {
	t.Helper()
	tree := []int{r.Process.Pid}
	for stopped := 0; stopped < len(tree); {
		for _, pid := range tree[stopped:] {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
		}
		stopped = len(tree)
		out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
		if err != nil {
			t.Fatal(err)
		}
		tree = withChildren(tree, string(out))
	}
	for _, pid := range tree {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// withChildren adds the descendants of processes, from a list of process IDs and parent IDs.
func withChildren(tree []int, list string) []int {
	for grown := true; grown; {
		grown = false
		for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
			var pid, parent int
			_, err := fmt.Sscan(line, &pid, &parent)
			if err == nil && slices.Contains(tree, parent) && !slices.Contains(tree, pid) {
				tree, grown = append(tree, pid), true
			}
		}
	}
	return tree
}

// point is a moment at which a run is interrupted: an object exists, but is not ready.
type point struct {
	name    string
	reached func(context.Context) bool
}

// signal is a way to interrupt a run.
type signal struct {
	name string
	send func(*run, *testing.T)
}

// pointsOf returns the points of `make up` and of `make down`, in the order in which a run reaches them.
func pointsOf(client *kubernetes.Clientset) (up, down []point) {
	up = []point{
		{"while Redis is created", func(ctx context.Context) bool {
			s, err := client.AppsV1().StatefulSets(besideName).Get(ctx, "redis", metav1.GetOptions{})
			return err == nil && s.Status.ReadyReplicas == 0
		}},
		{"while the app rolls out", func(ctx context.Context) bool {
			d, err := client.AppsV1().Deployments(besideName).Get(ctx, "web", metav1.GetOptions{})
			return err == nil && d.Status.AvailableReplicas == 0
		}},
		{"while the autoscaler waits for metrics", func(ctx context.Context) bool {
			h, err := client.AutoscalingV2().HorizontalPodAutoscalers(besideName).Get(ctx, "web", metav1.GetOptions{})
			active := func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool {
				return c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionTrue
			}
			return err == nil && !slices.ContainsFunc(h.Status.Conditions, active)
		}},
	}
	terminates := func(name string) func(context.Context) bool {
		return func(ctx context.Context) bool {
			pods, err := client.CoreV1().Pods(besideName).List(ctx, metav1.ListOptions{})
			return err == nil && slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool {
				return pod.DeletionTimestamp != nil && strings.HasPrefix(pod.Name, name)
			})
		}
	}
	down = []point{
		{"while the app's pods terminate", terminates("web-")},
		{"while Redis terminates", terminates("redis-")},
		{"while the namespace is deleted", func(ctx context.Context) bool {
			n, err := client.CoreV1().Namespaces().Get(ctx, besideName, metav1.GetOptions{})
			return err == nil && n.DeletionTimestamp != nil
		}},
	}
	return up, down
}

// TestInterruptedUp: a `make up` or a `make down` that is interrupted, or killed with all its processes, is completed
// by running it again.
func TestInterruptedUp(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	up(t) // the ingress controller and the metrics
	client := clientset(t)
	ofUp, ofDown := pointsOf(client)
	row := func(cells ...string) { record(t, "interrupt", cells...) }
	for _, by := range []signal{{"Ctrl-C", (*run).interrupt}, {"kill -9", (*run).kill}} {
		t.Run(by.name, func(t *testing.T) {
			writeBeside(t)
			explainFailure(t, client, besideName)
			interruptAt(t, "up", ofUp, by, row)
			expectWhole(t)
			last := interruptAt(t, "down", ofDown, by, row)
			if left := leftOfBeside(t); len(left) > 0 {
				t.Errorf("the last `make down` left %s:\n%s", strings.Join(left, ", "), &last.output)
			}
		})
	}
}

// interruptAt runs a make target and interrupts it at the first point, the run that should complete it at the second
// one, and so on, with a row for each. It returns the last run, which completed.
func interruptAt(t *testing.T, target string, points []point, by signal, row func(cells ...string)) *run {
	t.Helper()
	current := startRun(t, target)
	current.waitFor(t, points[0])
	for i, p := range points {
		sent := time.Now()
		by.send(current, t)
		if err := current.wait(t); err == nil {
			t.Fatalf("the `make %s` that was interrupted %s succeeded:\n%s", target, p.name, &current.output)
		}
		ended := time.Since(sent)
		t.Logf("interrupted %s:\n%s", p.name, &current.output)

		current = startRun(t, target)
		goal := "until it was interrupted"
		if i+1 < len(points) {
			current.waitFor(t, points[i+1])
		} else if err := current.wait(t); err != nil {
			t.Fatalf("the `make %s` after one that was interrupted %s: %v\n%s", target, p.name, err, &current.output)
		} else {
			goal = "until it completed"
		}
		took := time.Since(current.started)
		if target == "up" && !strings.Contains(current.output.String(), "taking over what it left") {
			t.Errorf("the `make up` after one that was interrupted %s does not report it:\n%s", p.name, &current.output)
		}
		row(by.name+" "+p.name, "`make "+target+"`", seconds(ended), seconds(took)+" "+goal)
	}
	t.Logf("the last run:\n%s", &current.output)
	return current
}

// expectWhole checks that the second stack works as if it had never been interrupted.
func expectWhole(t *testing.T) {
	t.Helper()
	if _, _, err := tryVisit(besideOutputs(t).URL); err != nil {
		t.Errorf("after the last run: %v", err)
	}
	if changed := changes(t, "--stack", besideName); len(changed) > 0 {
		t.Errorf("after the last run a preview shows changes: %v", changed)
	}
	there, known := objectsIn(t, besideName), objectsInState(t, besideName)
	if !slices.Equal(there, known) || len(there) < 10 {
		t.Errorf("%d objects exist:\n%s\nand %d are in the state:\n%s", len(there), strings.Join(there, "\n"),
			len(known), strings.Join(known, "\n"))
	}
	t.Logf("%d objects, all of them in the state", len(there))
}

// objectsIn returns the objects of a namespace with the label of this program, without those that controllers created
// with the labels of their owners.
func objectsIn(t *testing.T, namespace string) []string {
	t.Helper()
	var kinds []string
	for _, kind := range strings.Fields(kubectl(t, "api-resources", "--namespaced", "--verbs=list", "--output=name")) {
		if kind != "endpoints" && !strings.HasSuffix(kind, "metrics.k8s.io") {
			kinds = append(kinds, kind)
		}
	}
	const label = "app.kubernetes.io/part-of=scaleout"
	list := kubectl(t, "get", strings.Join(kinds, ","), "--namespace", namespace, "--selector", label, "--no-headers",
		"--output", "custom-columns=:kind,:metadata.name,:metadata.ownerReferences[*].kind")
	found := []string{"Namespace " + namespace}
	for _, line := range strings.Split(list, "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "<none>" {
			found = append(found, f[0]+" "+namespace+"/"+f[1])
		}
	}
	slices.Sort(found)
	return found
}

// objectsInState returns the Kubernetes objects in the state of a stack.
func objectsInState(t *testing.T, stack string) []string {
	t.Helper()
	var state struct {
		Deployment struct {
			Resources []struct{ Type, ID string }
		}
	}
	if err := json.Unmarshal(pulumi(t, "stack", "export", "--stack", stack), &state); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, r := range state.Deployment.Resources {
		if strings.HasPrefix(r.Type, "kubernetes:") {
			found = append(found, r.Type[strings.LastIndex(r.Type, ":")+1:]+" "+r.ID)
		}
	}
	slices.Sort(found)
	return found
}
