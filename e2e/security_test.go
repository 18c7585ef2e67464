//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ingressNamespace is the namespace of the ingress controller that `installTraefik` installs.
const ingressNamespace = "traefik"

const (
	appPods     = "app.kubernetes.io/name=webapp"
	redisPods   = "app.kubernetes.io/name=redis"
	ingressPods = "app.kubernetes.io/name=traefik"
)

// asItIs returns the outputs of the stack without running pulumi up, for tests that change nothing.
func asItIs(t *testing.T) (outputs, *kubernetes.Clientset) {
	t.Helper()
	var o outputs
	out := pulumi(t, "stack", "output", "--json", "--stack", stackName())
	if err := json.Unmarshal(out, &o); err != nil || o.Namespace == "" {
		t.Fatalf("stack %s is not up; run `make up`: %v\n%s", stackName(), err, out)
	}
	client := clientset(t)
	explainFailure(t, client, o.Namespace)
	return o, client
}

// stranger returns a pod that Pod Security `restricted` accepts and that belongs to no app. It runs the app's image:
// every node has it, it listens on a port, and it can send HTTP requests.
func stranger(t *testing.T, client *kubernetes.Clientset, o outputs) *corev1.Pod {
	t.Helper()
	yes, no, user, now := true, false, int64(65532), int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "stranger-", Labels: map[string]string{"app.kubernetes.io/name": "stranger"},
		},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no, // a Service named redis would set REDIS_PORT to a URL
			TerminationGracePeriodSeconds: &now,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "stranger", Image: o.Image,
				Env: []corev1.EnvVar{{Name: "REDIS_HOST", Value: "redis." + o.Namespace + ".svc"}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// violations are the settings that an attacker with the permission to create pods would use.
var violations = []struct {
	what, reason string
	spoil        func(*corev1.PodSpec)
}{
	{"a privileged container", "privileged", func(s *corev1.PodSpec) {
		yes := true
		s.Containers[0].SecurityContext.Privileged, s.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes, &yes
	}},
	{"a container that runs as root", "runAsUser=0", func(s *corev1.PodSpec) {
		no, root := false, int64(0)
		s.SecurityContext.RunAsNonRoot, s.SecurityContext.RunAsUser = &no, &root
	}},
	{"a folder of the node", "hostPath", func(s *corev1.PodSpec) {
		node := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "node", VolumeSource: node})
	}},
	{"the network of the node", "hostNetwork", func(s *corev1.PodSpec) { s.HostNetwork = true }},
	{"a capability", "capabilities", func(s *corev1.PodSpec) {
		s.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"NET_RAW"}
	}},
	{"system calls without a filter", "seccomp", func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil }},
}

// TestSecurityOfAdmission: the API server rejects pods that could access the node. A pod that could not is accepted,
// so the others are rejected for what they request.
func TestSecurityOfAdmission(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o, client := asItIs(t)
	for _, namespace := range []string{o.Namespace, ingressNamespace} {
		create := func(pod *corev1.Pod) error {
			options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
			_, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, options)
			return err
		}
		if err := create(stranger(t, client, o)); err != nil {
			t.Fatalf("a pod without privileges is rejected in %s: %v", namespace, err)
		}
		for _, v := range violations {
			pod := stranger(t, client, o)
			v.spoil(&pod.Spec)
			err := create(pod)
			if !apierrors.IsForbidden(err) || !containsEach(err.Error(), []string{`PodSecurity "restricted`, v.reason}) {
				t.Errorf("%s in %s: got %v, want a rejection by PodSecurity because of %s", v.what, namespace, err, v.reason)
			}
		}
	}
	var asked []string
	for _, v := range violations {
		asked = append(asked, v.what)
	}
	record(t, "security", "Pod Security `restricted`", fmt.Sprintf(
		"in the namespaces of the app and of the ingress controller the API server refused pods with %s; "+
			"it accepted one without", strings.Join(asked, ", ")))
}

// start creates a pod in a namespace, waits until it runs, and deletes it when the test ends.
func start(t *testing.T, client *kubernetes.Clientset, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := client.CoreV1().Pods(namespace)
	created, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := pods.Delete(context.Background(), created.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	eventually(t, time.Minute, func(ctx context.Context) (bool, string) {
		now, err := pods.Get(ctx, created.Name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		created = now
		return now.Status.Phase == corev1.PodRunning && now.Status.PodIP != "",
			fmt.Sprintf("%s/%s is %s", namespace, now.Name, now.Status.Phase)
	})
	return created
}

// temporaryNamespace creates a namespace without policies, and deletes it when the test ends.
func temporaryNamespace(t *testing.T, client *kubernetes.Clientset) string {
	t.Helper()
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "scaleout-e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := client.CoreV1().Namespaces().Delete(context.Background(), namespace.Name, metav1.DeleteOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	return namespace.Name
}

// ask sends an HTTP request from a stranger to a host and port, by kubectl on a node, and returns its error, or ""
// for a 200.
func ask(node string, from *corev1.Pod, address string) string {
	out, err := exec.Command("docker", "exec", node, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf",
		"exec", "--namespace", from.Namespace, from.Name, "--",
		"/app", "-healthcheck", "http://"+address+"/healthz").CombinedOutput()
	if err != nil && len(out) == 0 {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// silences are the errors of a connection that could not be established.
var silences = []string{
	"context deadline exceeded", "i/o timeout", "connection refused", "no route to host", "unreachable",
}

// reached returns those of the addresses that a stranger can connect to; any response counts, even an error. It tries
// all at the same time, so that those that respond prove that it was not too busy for the others.
func reached(t *testing.T, node string, from *corev1.Pod, addresses ...string) []string {
	t.Helper()
	answers := make([]string, len(addresses))
	var group sync.WaitGroup
	for i, address := range addresses {
		group.Go(func() { answers[i] = ask(node, from, address) })
	}
	group.Wait()
	var found []string
	for i, address := range addresses {
		if answers[i] != "" && !strings.Contains(answers[i], address) {
			t.Fatalf("the request to %s could not be sent: %s", address, answers[i])
		}
		if !containsAny(answers[i], silences) {
			found = append(found, address)
		}
	}
	return found
}

// door is a port that a pod listens on.
type door struct{ node, address string }

// doors returns all ports that pods declare, except those with the given names.
func doors(t *testing.T, client *kubernetes.Clientset, namespace, selector string, except ...string) []door {
	t.Helper()
	var found []door
	for _, pod := range readyPods(t, client, namespace, selector) {
		for _, c := range pod.Spec.Containers {
			for _, p := range c.Ports {
				if !slices.Contains(except, p.Name) {
					found = append(found, door{pod.Spec.NodeName, fmt.Sprintf("%s:%d", pod.Status.PodIP, p.ContainerPort)})
				}
			}
		}
	}
	return found
}

// services returns the same ports at the addresses of their Services.
func services(t *testing.T, client *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	list, err := client.CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range list.Items {
		for _, p := range s.Spec.Ports {
			found = append(found, fmt.Sprintf("%s:%d", s.Spec.ClusterIP, p.Port))
		}
	}
	return found
}

// TestSecurityOfNetwork: a pod that no policy allows reaches no protected port, neither from another namespace nor
// from the app's. At the same time it reaches the ports that it may reach.
func TestSecurityOfNetwork(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o, client := asItIs(t)
	node := controlPlane(t)
	expectPolicies(t, client, o.Namespace)
	elsewhere := temporaryNamespace(t, client)
	outside := start(t, client, elsewhere, stranger(t, client, o))
	neighbor := start(t, client, elsewhere, stranger(t, client, o))
	beside := start(t, client, o.Namespace, stranger(t, client, o))
	open := []string{neighbor.Status.PodIP + ":5000"}
	if !enforces(t, client, node, outside, neighbor) {
		record(t, "security", "network policies",
			"the objects are right, but this cluster's network enforces none: a deny-all policy closed nothing")
		return
	}

	closed := closedDoors(t, client, o)
	for _, d := range doors(t, client, ingressNamespace, ingressPods, "ping", "https") { // https needs TLS
		open = append(open, d.address)
	}

	if got := reached(t, node, outside, slices.Concat(closed, open)...); !slices.Equal(got, open) {
		t.Errorf("a pod of another namespace reaches %v, want %v", got, open)
	}
	record(t, "security", "a pod of another namespace", fmt.Sprintf(
		"reached none of %d addresses of the app, its metrics, Redis and the controller's health, by pod and by Service; "+
			"at the same time its neighbor and the ingress controller", len(closed)))

	if got := reached(t, node, beside, slices.Concat(closed, open)...); len(got) > 0 {
		t.Errorf("a pod next to the app reaches %v, want none", got)
	}
	if got := ask(node, beside, "nobody."+o.Namespace+".svc.cluster.local.:80"); !strings.Contains(got, "no such host") {
		t.Errorf("a pod next to the app gets no answer from DNS, so it may have no network at all: %s", got)
	}
	record(t, "security", "another pod in the namespace", fmt.Sprintf(
		"reached none of %d addresses, in the namespace or outside; DNS answered it", len(closed)+len(open)))
}

// closedDoors returns the addresses that no stranger may reach, by pod and by Service. It verifies that the pod
// addresses accept connections: the node of a pod may connect, because its kubelet has to probe.
func closedDoors(t *testing.T, client *kubernetes.Clientset, o outputs) []string {
	t.Helper()
	closed := services(t, client, o.Namespace)
	for _, d := range slices.Concat(doors(t, client, o.Namespace, appPods), doors(t, client, o.Namespace, redisPods),
		doors(t, client, ingressNamespace, ingressPods, "http", "https")) {
		host, port, _ := strings.Cut(d.address, ":")
		onNode(t, d.node, "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port)
		closed = append(closed, d.address)
	}
	for what, port := range map[string]string{
		"the app": ":5000", "its metrics": ":9090", "its Service": ":80", "Redis": ":6379",
		"the controller's health": ":8080",
	} {
		if !slices.ContainsFunc(closed, func(address string) bool { return strings.HasSuffix(address, port) }) {
			t.Errorf("there is no address of %s among %v", what, closed)
		}
	}
	return closed
}

// enforces reports whether the cluster's network enforces policies: a policy must close a port that was open before.
func enforces(t *testing.T, client *kubernetes.Clientset, node string, from, to *corev1.Pod) bool {
	t.Helper()
	address := to.Status.PodIP + ":5000"
	if len(reached(t, node, from, address)) == 0 {
		t.Fatal("two pods of a namespace without policies do not reach each other")
	}
	policies := client.NetworkingV1().NetworkPolicies(to.Namespace)
	denyAll := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "deny-all"},
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}
	if _, err := policies.Create(t.Context(), denyAll, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor := func(open bool) bool { // policies take a moment
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
			if (len(reached(t, node, from, address)) > 0) == open {
				return true
			}
		}
		return false
	}
	enforced := waitFor(false)
	if err := policies.Delete(t.Context(), denyAll.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if !waitFor(true) {
		t.Fatal("a port stays closed after the policy that closed it was deleted")
	}
	return enforced
}

// allowed is everything that the policies of the app's namespace allow.
var allowed = []string{
	"allow-dns: <all pods> to anyone at UDP 53 TCP 53",
	"redis: app.kubernetes.io/instance=redis,app.kubernetes.io/name=redis " +
		"from pods app.kubernetes.io/instance=web,app.kubernetes.io/name=webapp at TCP 6379",
	"web: app.kubernetes.io/instance=web,app.kubernetes.io/name=webapp " +
		"from namespace kubernetes.io/metadata.name=traefik at TCP 5000",
	"web: app.kubernetes.io/instance=web,app.kubernetes.io/name=webapp " +
		"to pods app.kubernetes.io/instance=redis,app.kubernetes.io/name=redis at TCP 6379",
}

// expectPolicies checks that the policies deny everything except what allowed lists.
func expectPolicies(t *testing.T, client *kubernetes.Clientset, namespace string) {
	t.Helper()
	list, err := client.NetworkingV1().NetworkPolicies(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	denied, ways := false, []string{}
	for _, p := range list.Items {
		everyone := len(p.Spec.PodSelector.MatchLabels)+len(p.Spec.PodSelector.MatchExpressions) == 0
		denied = denied || everyone && len(p.Spec.PolicyTypes) == 2 && len(p.Spec.Ingress)+len(p.Spec.Egress) == 0
		ways = append(ways, openings(p)...)
	}
	slices.Sort(ways)
	if !denied || !slices.Equal(ways, allowed) {
		t.Errorf("everything is denied by default: %t; the policies allow\n%s\nwant\n%s",
			denied, strings.Join(ways, "\n"), strings.Join(allowed, "\n"))
	}
}

// openings describes what a policy allows.
func openings(p networkingv1.NetworkPolicy) []string {
	var ways []string
	add := func(direction string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
		way := p.Name + ": " + selected(&p.Spec.PodSelector) + " " + direction
		if len(peers) == 0 {
			way += " anyone"
		}
		for _, peer := range peers {
			switch {
			case peer.IPBlock != nil:
				way += " addresses " + peer.IPBlock.CIDR
			case peer.NamespaceSelector != nil && peer.PodSelector == nil:
				way += " namespace " + selected(peer.NamespaceSelector)
			case peer.NamespaceSelector == nil:
				way += " pods " + selected(peer.PodSelector)
			default:
				way += " pods " + selected(peer.PodSelector) + " in namespace " + selected(peer.NamespaceSelector)
			}
		}
		way += " at"
		for _, port := range ports {
			way += fmt.Sprintf(" %s %s", *port.Protocol, port.Port)
		}
		ways = append(ways, way)
	}
	for _, rule := range p.Spec.Ingress {
		add("from", rule.From, rule.Ports)
	}
	for _, rule := range p.Spec.Egress {
		add("to", rule.To, rule.Ports)
	}
	return ways
}

func selected(s *metav1.LabelSelector) string {
	if text := metav1.FormatLabelSelector(s); text != "<none>" {
		return text
	}
	return "<all pods>"
}

// weaknesses returns the unnecessary privileges of a container.
func weaknesses(pod corev1.PodSpec, c corev1.Container) []string {
	found := map[string]bool{"host namespaces": pod.HostNetwork || pod.HostPID || pod.HostIPC}
	for _, v := range pod.Volumes {
		found["a folder of the node"] = found["a folder of the node"] || v.HostPath != nil
	}
	own := c.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	all := pod.SecurityContext
	nonRoot, seccomp := all.RunAsNonRoot, all.SeccompProfile
	if own.RunAsNonRoot != nil {
		nonRoot = own.RunAsNonRoot
	}
	if own.SeccompProfile != nil {
		seccomp = own.SeccompProfile
	}
	is := func(value *bool, want bool) bool { return value != nil && *value == want }
	found["may run as root"] = !is(nonRoot, true)
	found["system calls without a filter"] = seccomp == nil || seccomp.Type != corev1.SeccompProfileTypeRuntimeDefault
	found["writes to its root file system"] = !is(own.ReadOnlyRootFilesystem, true)
	found["may gain privileges"] = !is(own.AllowPrivilegeEscalation, false) || is(own.Privileged, true)
	found["has capabilities"] = own.Capabilities == nil || len(own.Capabilities.Add) > 0 ||
		!slices.Contains(own.Capabilities.Drop, "ALL")
	found["has no memory limit"] = c.Resources.Limits.Memory().IsZero()
	maps.DeleteFunc(found, func(_ string, weak bool) bool { return !weak })
	return slices.Sorted(maps.Keys(found))
}

// containersOf returns all containers of a pod, including init containers and ephemeral ones.
func containersOf(pod corev1.PodSpec) []corev1.Container {
	all := slices.Concat(pod.InitContainers, pod.Containers)
	for _, c := range pod.EphemeralContainers {
		all = append(all, corev1.Container(c.EphemeralContainerCommon))
	}
	return all
}

// hasToken reports whether a pod has a token for the API server.
func hasToken(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil
		})
	})
}

// TestSecurityOfContainers checks the privileges of the pods: in their specifications, in the kernel's view of their
// processes, and by attempts to use them.
func TestSecurityOfContainers(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o, client := asItIs(t)
	app, ingress := podsOf(t, client, o.Namespace, ""), podsOf(t, client, ingressNamespace, "")
	containers := 0
	for _, pod := range slices.Concat(app, ingress) {
		for _, c := range containersOf(pod.Spec) {
			containers++
			if found := weaknesses(pod.Spec, c); len(found) > 0 {
				t.Errorf("%s/%s %s: %s", pod.Namespace, pod.Name, c.Name, strings.Join(found, ", "))
			}
		}
	}
	proxy := podsOf(t, client, metav1.NamespaceSystem, "k8s-app=kube-proxy")[0] // it needs all these privileges
	if found := weaknesses(proxy.Spec, proxy.Spec.Containers[0]); len(found) < 6 {
		t.Errorf("kube-proxy has only the weaknesses %v, so this test would not find any", found)
	}
	record(t, "security", "containers by specification", fmt.Sprintf(
		"in all %d: no root, no capabilities, no privilege escalation, system calls filtered (RuntimeDefault), "+
			"root file system read-only, memory limited", containers))

	for _, pod := range app {
		if hasToken(pod) {
			t.Errorf("%s has a token for the API server", pod.Name)
		}
	}
	if len(ingress) == 0 || !hasToken(ingress[0]) {
		t.Error("the ingress controller has no token, so this test would not find any")
	}
	got := kubectl(t, "exec", "--namespace", o.Namespace, "redis-0", "--", "sh", "-c", tryInRedis)
	if want := "no token\nread-only\nread-only\nwritten"; got != want {
		t.Errorf("in the container of Redis: got %q, want %q", got, want)
	}
	record(t, "security", "token for the API server", fmt.Sprintf(
		"in none of %d pods of the app and Redis, by volumes and by looking in Redis' container; "+
			"the ingress controller has one", len(app)))
	record(t, "security", "writing in Redis' container", "refused in `/` and at the password, possible in `/data`")
	expectConfined(t, client, o.Namespace, ingressNamespace)
}

// tryInRedis looks for a token, and tries to write to read-only and to writable folders.
const tryInRedis = `test -e /var/run/secrets/kubernetes.io || echo no token
for path in /intruder /etc/redis/auth/intruder; do
  touch $path 2>&1 | grep -q 'Read-only file system' && echo read-only
done
touch /data/intruder && rm /data/intruder && echo written`

// expectConfined checks the kernel's view of the processes of all pods of the namespaces.
func expectConfined(t *testing.T, client *kubernetes.Clientset, namespaces ...string) {
	t.Helper()
	checked := map[string]bool{}
	eventually(t, time.Minute, func(context.Context) (bool, string) { // the autoscaler may add or remove a pod meanwhile
		var pods []corev1.Pod
		for _, namespace := range namespaces {
			pods = append(pods, readyPods(t, client, namespace, "")...)
		}
		clear(checked)
		for node, running := range byNode(pods) {
			for _, p := range processes(t, node) {
				for _, pod := range running {
					if p.of(pod) && p.name != "pause" { // the sandbox is the runtime's own
						checked[pod.Name] = true
						p.expectConfined(t, pod)
					}
				}
			}
		}
		return len(checked) == len(pods), fmt.Sprintf("found processes of %d of %d pods", len(checked), len(pods))
	})
	record(t, "security", "processes by the kernel", fmt.Sprintf(
		"in all %d pods: not root, no capabilities (`CapEff` 0), `NoNewPrivs` 1, `Seccomp` 2 (filtered)", len(checked)))
}

func (p process) expectConfined(t *testing.T, pod corev1.Pod) {
	t.Helper()
	if p.user == "0" || strings.Trim(p.capabilities, "0") != "" || p.noNewPrivileges != "1" || p.seccomp != "2" {
		t.Errorf("%s of %s: user %s, capabilities %s, no new privileges %s, seccomp %s", p.name, pod.Name,
			p.user, p.capabilities, p.noNewPrivileges, p.seccomp)
	}
}

// readyPods returns the pods that are ready and not terminating.
func readyPods(t *testing.T, client *kubernetes.Clientset, namespace, selector string) []corev1.Pod {
	t.Helper()
	return slices.DeleteFunc(podsOf(t, client, namespace, selector), func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || !podReady(pod)
	})
}

func byNode(pods []corev1.Pod) map[string][]corev1.Pod {
	nodes := map[string][]corev1.Pod{}
	for _, pod := range pods {
		nodes[pod.Spec.NodeName] = append(nodes[pod.Spec.NodeName], pod)
	}
	return nodes
}

// process describes a process of a node.
type process struct {
	group, command, environment, name, user, capabilities, noNewPrivileges, seccomp string
}

// of reports whether a process belongs to a pod. Cgroup drivers write the UID in two ways.
func (p process) of(pod corev1.Pod) bool {
	uid := string(pod.UID)
	return strings.Contains(p.group, uid) || strings.Contains(p.group, strings.ReplaceAll(uid, "-", "_"))
}

// listProcesses prints a line for each process. The name is read last, so that a process that executes another
// program meanwhile has the new name and the old environment, never the reverse.
const listProcesses = `for p in /proc/[0-9]*; do
  printf '%s\t%s\t%s\t%s\n' "$(grep '^0::' $p/cgroup)" \
    "$(tr '\0\n\t' '   ' <$p/cmdline)" "$(tr '\0\n\t' '   ' <$p/environ)" \
    "$(awk '/^(Name|Uid|CapEff|NoNewPrivs|Seccomp):/ { printf "%s%s\t", $1, $2 }' $p/status)"
done 2>/dev/null`

// processes returns the processes of a node, including its containers. Some may have ended meanwhile.
func processes(t *testing.T, node string) []process {
	t.Helper()
	var found []process
	for _, line := range strings.Split(onNode(t, node, "sh", "-c", listProcesses), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) < 8 {
			continue
		}
		p := process{group: fields[0], command: fields[1], environment: fields[2]}
		for _, fact := range fields[3:] {
			key, value, _ := strings.Cut(fact, ":")
			switch key {
			case "Name":
				p.name = value
			case "Uid":
				p.user = value
			case "CapEff":
				p.capabilities = value
			case "NoNewPrivs":
				p.noNewPrivileges = value
			case "Seccomp":
				p.seccomp = value
			}
		}
		found = append(found, p)
	}
	return found
}

// place is a text that must not contain the password.
type place struct {
	name, content string
	// sign is a text that the content must contain, or the search proves nothing.
	sign string
}

// nextPassword is the new password in the previews, so that they have two to hide. It is in two parts because this
// file is searched as well.
const nextPassword = "only-this-test" + "-has-this-password"

// TestSecurityOfPassword searches for the password in every likely encoding, in everything that people and programs
// read. Only its Secret contains it.
func TestSecurityOfPassword(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o, client := asItIs(t)
	forms := formsOf(secret(t, "redisPassword"))
	maps.Copy(forms, formsOf(nextPassword))
	kept := kubectl(t, "get", "secret", "redis-auth", "--namespace", o.Namespace, "--output", "json")
	if formIn(kept, forms) == "" {
		t.Fatal("the password is not in its Secret, so this test would not find it anywhere")
	}
	places := slices.Concat(inStack(t), inCommands(t), inCluster(t, client, o), inNodes(t, client))
	if t.Failed() {
		return
	}
	for _, p := range places {
		if !strings.Contains(p.content, p.sign) {
			t.Errorf("%s does not contain %q, so the wrong text was searched (%d bytes)", p.name, p.sign, len(p.content))
		}
		if form := formIn(p.content, forms); form != "" {
			t.Errorf("the password is in %s, %s", p.name, form) // never the text around it
			continue
		}
		record(t, "security", "password in "+p.name,
			fmt.Sprintf("not in %d KB; the same search finds it in its Secret", (len(p.content)+1023)/1024))
	}
}

// formsOf returns the texts by which a password can be recognized, each with its description.
func formsOf(password string) map[string]string {
	forms := map[string]string{
		password: "in plain text", strings.ToUpper(password): "in plain text", url.QueryEscape(password): "escaped for a URL",
		strings.Trim(strconv.Quote(password), `"`): "quoted",
		hex.EncodeToString([]byte(password)):       "in hexadecimal",
		reversed(password):                         "backwards",
	}
	// The text before determines which of three forms base64 has. The characters at the ends depend on their neighbors.
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + password))
		forms[encoded[(before*8+5)/6:len(encoded)-1]] = "in base64"
	}
	return forms
}

func reversed(s string) string {
	bytes := []byte(s)
	slices.Reverse(bytes)
	return string(bytes)
}

// formIn returns the description of the form of the password that a text contains, if any.
func formIn(text string, forms map[string]string) string {
	for needle, form := range forms {
		if strings.Contains(text, needle) {
			return form
		}
	}
	return ""
}

// inStack returns the state, the files of the project and the output of Pulumi's commands.
func inStack(t *testing.T) []place {
	t.Helper()
	// In another namespace all objects are replaced, so the previews show more than those of an unchanged stack.
	file := stackFileWith(t, "scaleout:namespace", "another")
	pulumi(t, "config", "set", "--secret", "redisPassword", nextPassword, "--stack", stackName(), "--config-file", file)
	anew := []string{"preview", "--stack", stackName(), "--config-file", file}
	backend, err := url.Parse(inShell(t, `eval "$(make -s env)" && printf %s "$PULUMI_BACKEND_URL"`))
	if err != nil || backend.Scheme != "file" {
		t.Fatalf("the state of stack %s is not in files of this machine: %v, %v", stackName(), backend, err)
	}
	return []place{
		{
			"the state, as `pulumi stack export` shows it",
			string(pulumi(t, "stack", "export", "--stack", stackName())), "redis-auth",
		},
		{"the files of the state", contents(t, inShell(t, "find '"+backend.Path+"' -type f")), "redis-auth"},
		{
			"the files of the project",
			contents(t, inShell(t, "git ls-files --cached --others --exclude-standard | sort -u")), "redisPassword",
		},
		{"`pulumi stack output`", string(pulumi(t, "stack", "output", "--json", "--stack", stackName())), "namespace"},
		{"`pulumi preview --diff`", string(pulumi(t, append(anew, "--diff")...)), "password : [secret] => [secret]"},
		{"`pulumi preview --json`", string(pulumi(t, append(anew, "--json")...)), "[secret]"},
	}
}

// inShell runs a line in the project's folder and returns its output.
func inShell(t *testing.T, line string) string {
	t.Helper()
	command := exec.Command("bash", "-c", line)
	command.Dir = root
	command.Env = append(os.Environ(), "STACK="+stackName())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

// contents returns the text of the files in a list of names, one per line.
func contents(t *testing.T, names string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range strings.Split(names, "\n") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(root, name)
		}
		content, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) { // an update may have ended just now and removed its lock
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

// inCommands returns the output of the program without a cluster.
func inCommands(t *testing.T) []place {
	t.Helper()
	out := filepath.Join(t.TempDir(), "rendered")
	inShell(t, "make -s render OUT="+out)
	return []place{
		{"`make render`", contents(t, inShell(t, "find "+out+" -type f")), "[secret]"},
		{"`make preview`", inShell(t, "make -s preview"), "Secret"},
		{"`make diff`", inShell(t, "make -s diff BASE=HEAD && echo compared"), "compared"},
	}
}

// inCluster returns what the API server shows without the permission to read Secrets, and the logs.
func inCluster(t *testing.T, client *kubernetes.Clientset, o outputs) []place {
	t.Helper()
	const kinds = "pods,deployments,statefulsets,replicasets,controllerrevisions,configmaps,services,ingresses," +
		"networkpolicies,serviceaccounts,persistentvolumeclaims"
	return []place{
		{
			"objects other than Secrets",
			kubectl(t, "get", kinds, "--all-namespaces", "--output", "json", "--show-managed-fields"), "redis-auth",
		},
		{"events", kubectl(t, "get", "events", "--all-namespaces", "--output", "json"), `"kind": "Event"`},
		{"logs of pods", logs(t, client, o.Namespace) + logs(t, client, ingressNamespace), `"msg":`},
	}
}

// logs returns the logs of all containers of a namespace and of their previous runs.
func logs(t *testing.T, client *kubernetes.Clientset, namespace string) string {
	t.Helper()
	var all strings.Builder
	for _, pod := range podsOf(t, client, namespace, "") {
		for _, c := range containersOf(pod.Spec) {
			for _, previous := range []bool{false, true} {
				options := &corev1.PodLogOptions{Container: c.Name, Previous: previous}
				text, err := client.CoreV1().Pods(namespace).GetLogs(pod.Name, options).DoRaw(t.Context())
				if err != nil && !previous { // most have no previous run
					t.Fatal(err)
				}
				all.Write(text)
			}
		}
	}
	return all.String()
}

// inNodes returns what is visible on the nodes: command lines and environments of processes, and the journal.
func inNodes(t *testing.T, client *kubernetes.Clientset) []place {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var commands, environments, journals strings.Builder
	for _, node := range nodes.Items {
		for _, p := range processes(t, node.Name) {
			fmt.Fprintln(&commands, p.command)
			if p.name != "redis-cli" { // the probe, which gets it in its environment rather than in its arguments
				fmt.Fprintln(&environments, p.environment)
			}
		}
		fmt.Fprintln(&journals, onNode(t, node.Name, "journalctl", "--quiet", "--no-pager"))
	}
	return []place{
		{"command lines of all processes of the nodes", commands.String(), "redis-server"},
		{"environments of all processes of the nodes", environments.String(), "REDIS_PASSWORD_FILE"},
		{"journals of the nodes", journals.String(), "kubelet"},
	}
}
