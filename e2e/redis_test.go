//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// outage is the duration of an outage of Redis in the tests.
const outage = 30 * time.Second

// waitForRedis waits until the pod of Redis is ready and does not have the UID notUID.
func waitForRedis(t *testing.T, client *kubernetes.Clientset, namespace, notUID string) {
	t.Helper()
	eventually(t, 2*time.Minute, func(ctx context.Context) (bool, string) {
		pod, err := client.CoreV1().Pods(namespace).Get(ctx, "redis-0", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		ready := false
		for _, c := range pod.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		return ready && string(pod.UID) != notUID, fmt.Sprintf("redis-0 ready: %t", ready)
	})
}

// TestRedisRestartsLoseNoCount: Redis is killed during writes, and its pod is deleted. Confirmed counts survive both.
func TestRedisRestartsLoseNoCount(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	during(t, o, "the process of Redis is killed (SIGKILL)", steady(o), func() {
		before := restarts(t, client, o.Namespace, "app.kubernetes.io/name=redis")
		signalRedis(t, client, o.Namespace, "KILL")
		eventually(t, time.Minute, func(context.Context) (bool, string) {
			now := restarts(t, client, o.Namespace, "app.kubernetes.io/name=redis")
			return now > before, fmt.Sprintf("%d restarts", now-before)
		})
		waitForRedis(t, client, o.Namespace, "")
	})
	during(t, o, "the pod of Redis is deleted", steady(o), func() {
		old := podsOf(t, client, o.Namespace, "app.kubernetes.io/name=redis")[0]
		if err := client.CoreV1().Pods(o.Namespace).Delete(t.Context(), old.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		waitForRedis(t, client, o.Namespace, string(old.UID))
	})
}

// signalRedis sends a signal to the process of Redis from outside its container, because SIGKILL has no effect on
// process 1 from inside.
func signalRedis(t *testing.T, client *kubernetes.Clientset, namespace, signal string) {
	t.Helper()
	pod := podsOf(t, client, namespace, "app.kubernetes.io/name=redis")[0]
	pid := onNode(t, pod.Spec.NodeName, "sh", "-c", findRedis(pod))
	if len(strings.Fields(pid)) != 1 {
		t.Fatalf("the processes of Redis are %q, want one", pid)
	}
	onNode(t, pod.Spec.NodeName, "kill", "-"+signal, pid)
}

// findRedis returns a shell command that prints the process ID of Redis in a pod, as seen where the command runs.
// Other processes may have the same name, so the control group, which contains the pod's UID, decides.
func findRedis(pod corev1.Pod) string {
	uid := string(pod.UID)
	return "for p in /proc/[0-9]*; do if [ \"$(cat $p/comm 2>/dev/null)\" = redis-server ] && " +
		"grep -q -e " + uid + " -e " + strings.ReplaceAll(uid, "-", "_") + " $p/cgroup; then basename $p; fi; done"
}

func restarts(t *testing.T, client *kubernetes.Clientset, namespace, selector string) (total int32) {
	t.Helper()
	for _, pod := range podsOf(t, client, namespace, selector) {
		for _, c := range pod.Status.ContainerStatuses {
			total += c.RestartCount
		}
	}
	return total
}

// TestRedisOutage: Redis is down for a while, and then hangs for a while. First it refuses connections, then it
// accepts them but does not respond. Every visit still gets a response in time, with a Retry-After, and no pod
// restarts.
func TestRedisOutage(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	scale := func(replicas int) {
		kubectl(t, "scale", "--namespace", o.Namespace, "statefulset/redis", "--replicas", strconv.Itoa(replicas))
	}
	for _, test := range []struct {
		name       string
		begin, end func()
	}{
		{"Redis is gone", func() {
			scale(0) // alone, Redis would keep serving while the app is connected
			kubectl(t, "wait", "--namespace", o.Namespace, "--for=jsonpath={.metadata.deletionTimestamp}", "pod/redis-0",
				"--timeout=30s")
			signalRedis(t, client, o.Namespace, "KILL")
		}, func() { scale(1) }},
		{
			"Redis hangs",
			func() { signalRedis(t, client, o.Namespace, "STOP") },
			func() { signalRedis(t, client, o.Namespace, "CONT") },
		},
	} {
		desired := watchReplicas(t, client, o, desiredReplicas)
		pods := podNames(t, client, o.Namespace)
		restarted := restarts(t, client, o.Namespace, "app.kubernetes.io/name=webapp")
		var from, to, back time.Time
		visitors := steady(o)
		visitors.timeout = time.Second // the guaranteed response time
		came := during(t, o, test.name+" for "+outage.String(), visitors, func() {
			from = time.Now()
			test.begin()
			time.Sleep(time.Until(from.Add(outage)))
			to = time.Now()
			test.end()
			waitForRedis(t, client, o.Namespace, "")
			eventually(t, time.Minute, func(context.Context) (bool, string) {
				_, _, err := tryVisit(o.URL)
				return err == nil, fmt.Sprint(err)
			})
		})
		refused, strange := 0, 0
		for _, a := range came.answers {
			switch {
			case a.code == http.StatusServiceUnavailable && a.retryAfter != "":
				refused++
			case a.failure != "":
				strange++
			}
			if counted := a.at.Add(a.took); a.failure == "" && a.at.After(to) && (back.IsZero() || counted.Before(back)) {
				back = counted
			}
		}
		is503 := func(a answer) bool { return a.code == http.StatusServiceUnavailable }
		if strange > 0 || refused == 0 || back.IsZero() {
			t.Errorf("%s: %d visits got a 503 with Retry-After, %d anything else within %s; the first count after it came at %s",
				test.name, refused, strange, visitors.timeout, back)
		}
		restarted = restarts(t, client, o.Namespace, "app.kubernetes.io/name=webapp") - restarted
		if restarted > 0 {
			t.Errorf("%s: the app's containers restarted %d times", test.name, restarted)
		}
		expectKept(t, client, o, pods, desired())
		record(t, "outages", test.name+" for "+outage.String(), strconv.Itoa(refused), milliseconds(came.took(.99, is503)),
			milliseconds(came.took(1, is503)), fmt.Sprint(restarted), fmt.Sprintf("%.1f s", back.Sub(to).Seconds()))
	}
}

// TestRunbookForABrokenFile: the file of Redis ends in zeros, as after a power failure. The commands of the runbook,
// run unchanged, restore the app with its count.
func TestRunbookForABrokenFile(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	visit(t, o.URL)
	before := hits(t, o.Namespace)
	kubectl(t, "exec", "--namespace", o.Namespace, "redis-0", "--", "sh", "-c",
		"head -c 100 /dev/zero | tee -a /data/appendonlydir/*.incr.aof >/dev/null")
	signalRedis(t, client, o.Namespace, "KILL")
	eventually(t, time.Minute, func(context.Context) (bool, string) {
		said := kubectl(t, "logs", "--namespace", o.Namespace, "redis-0", "--tail=3")
		return strings.Contains(said, "Bad file format reading the append only file"), said
	})

	runbook, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(runbook), "### Redis refuses its file\n")
	section, _, found := strings.Cut(section, "On Docker,")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if !found || len(blocks) != 4 {
		t.Fatalf("the runbook has %d blocks of commands, want 4: stop, look, repair, start", len(blocks))
	}
	commands := ""
	for _, block := range blocks {
		commands += block[1]
	}
	environment, err := pulumiEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("bash", "-xc", commands) // the check of a broken file exits with 1
	shell.Env = environment
	start := time.Now()
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"All AOF files and manifest are valid", fmt.Sprintf("\n%d\n", before)} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands of the runbook printed no %q:\n%s", want, out)
		}
	}
	eventually(t, time.Minute, func(context.Context) (bool, string) {
		count, _, err := tryVisit(o.URL)
		return count > before, fmt.Sprintf("count %d after %d, %v", count, before, err)
	})
	if changed := changes(t); len(changed) > 0 {
		t.Errorf("a preview afterward shows changes: %v", changed)
	}
	record(t, "engine", "the runbook for a broken append-only file of Redis, as it stands", seconds(time.Since(start))+
		" until visits were counted again, no count lost")
}

// TestRedisFsync measures what `always` costs, and what a crash of the machine could lose with `everysec`: the counts
// that were confirmed, but not yet flushed to disk.
func TestRedisFsync(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	for _, policy := range []string{"everysec", "always"} {
		if policy == "always" {
			file := stackFileWith(t, "scaleout:redisFsync", policy)
			during(t, o, "another redisFsync (Redis restarts)", steady(o), func() {
				pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file)
			})
		}
		if got := redisCLI(t, o.Namespace, "config get appendfsync"); !strings.HasSuffix(got, policy) {
			t.Fatalf("appendfsync is %q, want %s", got, policy)
		}
		alone, together := increments(t, o.Namespace, 1), increments(t, o.Namespace, 50)
		traffic := crowd{url: o.URL, kept: 300}.visit(t)
		unforced := traceUnforced(t, client, o.Namespace, policy)
		came := traffic.leave()
		came.expectNoLoss(t)
		record(t, "fsync", policy, alone, together, milliseconds(came.took(.5, any200)),
			milliseconds(came.took(.99, any200)), unforced)
	}
	up(t)
	waitForRedis(t, client, o.Namespace, "")
}

// benchmark runs increments with a number of clients. redis-benchmark accepts a password only as an argument, which
// everyone can read, so it gets a temporary user without a password and without other permissions.
const benchmark = `export REDISCLI_AUTH="$(cat /etc/redis/auth/password)"
redis-cli acl setuser benchmark reset on nopass '~counter:__rand_int__' +incr '+config|get'
redis-benchmark --user benchmark -a none -t incr -c %d -n %d -q
redis-cli acl deluser benchmark
redis-cli unlink counter:__rand_int__`

var perSecond = regexp.MustCompile(`([\d.]+) requests per second`)

// increments returns the increments per second of a number of clients that wait for every reply.
func increments(t *testing.T, namespace string, clients int) string {
	t.Helper()
	out := kubectl(t, "exec", "--namespace", namespace, "redis-0", "--", "sh", "-c",
		fmt.Sprintf(benchmark, clients, 5000*min(clients, 4)))
	found := perSecond.FindAllStringSubmatch(out, -1)
	if found == nil || !strings.Contains(out, "OK\n") {
		t.Fatalf("redis-benchmark printed %q", out)
	}
	rate, err := strconv.ParseFloat(found[len(found)-1][1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.0f", rate)
}

// oneIncrement is the entry of the append-only file for one count.
const oneIncrement = "*3\r\n$6\r\nINCRBY\r\n$4\r\nhits\r\n$1\r\n1\r\n"

// traceUnforced traces the system calls of Redis for a while and returns the longest time that a write to the
// append-only file, which precedes the visitor's response, waited until it was flushed to disk. That needs Linux,
// strace and the permission to use it.
func traceUnforced(t *testing.T, client *kubernetes.Clientset, namespace, policy string) string {
	t.Helper()
	const watched = 12 * time.Second
	time.Sleep(time.Second)
	pod := podsOf(t, client, namespace, "app.kubernetes.io/name=redis")[0]
	listed, _ := exec.Command("sh", "-c", findRedis(pod)).Output() // on the host, which sees it on Linux only
	pid := strings.TrimSpace(string(listed))
	if _, err := exec.LookPath("strace"); err != nil || pid == "" {
		time.Sleep(watched)
		return "not measured: no strace"
	}
	trace := exec.Command("timeout", "--signal=INT", strconv.Itoa(int(watched.Seconds())),
		"strace", "-f", "-y", "-ttt", "-T", "-e", "trace=write,writev,fdatasync,fsync", "-p", pid)
	out, err := trace.CombinedOutput()
	calls := parseTrace(string(out))
	if len(calls) == 0 {
		t.Logf("strace: %v\n%.300s", err, out)
		return "not measured: strace may not look at Redis"
	}
	found := unforced(calls)
	if found.writes < 100 || found.forces == 0 {
		t.Fatalf("Redis wrote its file %d times and flushed it to disk %d times, too few for a result",
			found.writes, found.forces)
	}
	if policy == "always" {
		if found.early > 0 {
			t.Errorf("always: %d responses were sent before their counts were on disk", found.early)
		}
		return "none" // pending writes are not confirmed yet
	}
	if found.longest > 2+found.slowest {
		t.Errorf("%s: a count was on disk only %.2f s after its response; one fsync took at most %.2f s",
			policy, found.longest, found.slowest)
	}
	return fmt.Sprintf("%d counts, %.2f s", found.most/len(oneIncrement), found.longest)
}
