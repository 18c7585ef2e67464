//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// onDocker runs pulumi up on a stack with target docker. It skips the test for other stacks and without Docker.
func onDocker(t *testing.T) outputs {
	t.Helper()
	requireTarget(t, "docker")
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		t.Skipf("Docker is not available: %v\n%s", err, out)
	}
	out, err := tryPulumi("stack", "--stack", stackName())
	if err != nil {
		t.Skipf("stack %s does not exist; `make up STACK=%[1]s` creates it and its images\n%s", stackName(), out)
	}
	o := up(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(docker(t, "ps", "--all", "--filter", "label=scaleout.network="+o.Network))
			t.Log(docker(t, "logs", "--tail", "30", o.Network+"-nginx"))
		}
	})
	return o
}

// docker runs a docker command and returns its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// webContainers returns the names of the app's containers, and the number of healthy ones.
func webContainers(t *testing.T, o outputs) (names []string, healthy int) {
	t.Helper()
	out := docker(t, "ps", "--filter", "label=scaleout.network="+o.Network, "--filter", "label=scaleout.component=web",
		"--format", "{{.Names}} {{.Status}}")
	for _, line := range strings.Split(out, "\n") {
		name, status, found := strings.Cut(line, " ")
		if found {
			names = append(names, name)
		}
		if strings.Contains(status, "(healthy)") {
			healthy++
		}
	}
	return names, healthy
}

// visitEvenly makes sequential visits and returns the number that each container served.
func visitEvenly(t *testing.T, url string, visits int) map[string]int {
	t.Helper()
	served := map[string]int{}
	first, by := visit(t, url)
	served[by]++
	for i := 1; i < visits; i++ {
		count, by := visit(t, url)
		served[by]++
		if count != first+i {
			t.Fatalf("visit %d: got %d, want %d: a count was lost, doubled or kept by one container", i, count, first+i)
		}
	}
	return served
}

// expectEven checks that the visits are distributed evenly among n containers, to within one.
func expectEven(t *testing.T, served map[string]int, n int) {
	t.Helper()
	counts := slices.Sorted(maps.Values(served))
	if len(counts) != n || counts[len(counts)-1]-counts[0] > 1 {
		t.Errorf("served by %v, want %d containers with a difference of at most one", served, n)
	}
	for _, name := range slices.Sorted(maps.Keys(served)) {
		t.Logf("%-8s %d", name, served[name])
	}
}

// settle waits until nginx distributes requests among n containers, and returns the number of visits that took.
func settle(t *testing.T, o outputs, n int) (visits int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		served := map[string]int{}
		for range 2 * n {
			if _, by, err := tryVisit(o.URL); err == nil {
				served[by]++
				visits++
			}
		}
		if len(served) == n {
			return visits
		}
		if time.Now().After(deadline) {
			t.Fatalf("served by %v, want %d containers", served, n)
		}
	}
}

func TestDockerUpIsIdempotent(t *testing.T) {
	onDocker(t)
	if changed := changes(t); len(changed) > 0 {
		t.Errorf("a second preview shows changes: %v", changed)
	}
	up(t)
	if changed := changes(t, "--refresh"); len(changed) > 0 {
		t.Errorf("a preview with refresh shows changes: %v", changed)
	}
}

// TestDockerTakesTurns sends sequential requests, each on a new connection, so that only nginx decides which
// container serves.
func TestDockerTakesTurns(t *testing.T) {
	o := onDocker(t)
	settle(t, o, o.Replicas)
	expectEven(t, visitEvenly(t, o.URL, 300), o.Replicas)
}

func TestDockerIsPrivate(t *testing.T) {
	o := onDocker(t)
	names := docker(t, "ps", "--filter", "label=scaleout.network="+o.Network, "--format", "{{.Names}}")
	for _, c := range strings.Fields(names) {
		format := `{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}} ` +
			`{{gt .HostConfig.Memory 0}} {{.HostConfig.RestartPolicy.Name}}`
		if got := docker(t, "inspect", "--format", format, c); got != "[ALL] [no-new-privileges] false true unless-stopped" {
			t.Errorf("%s: capabilities, options, privileged, memory limit, restart: %s", c, got)
		}
		if user := docker(t, "inspect", "--format", "{{.Config.User}}", c); user == "" || strings.HasPrefix(user, "0") {
			t.Errorf("%s runs as user %q", c, user)
		}
		for _, line := range strings.Fields(docker(t, "port", c)) {
			if strings.Contains(line, ":") && !strings.HasPrefix(line, "127.0.0.1:") {
				t.Errorf("%s is published on %s, not on the loopback address", c, line)
			}
		}
	}
	if got := docker(t, "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}}", o.Network+"-nginx"); got != "true" {
		t.Errorf("the root file system of nginx is read-only: %s", got)
	}
	password := secret(t, "redisPassword")
	everywhere := docker(t, append([]string{"inspect"}, strings.Fields(docker(t, "ps", "--all", "--quiet"))...)...)
	for _, c := range []string{"-nginx", "-redis", "-web-1"} {
		everywhere += docker(t, "logs", o.Network+c)
	}
	everywhere += string(pulumi(t, "stack", "export", "--stack", stackName()))
	if strings.Contains(everywhere, password) {
		t.Error("the password of Redis is in plain text in the output of docker inspect, in a log or in the state")
	}
}

// secret returns the plain text of a setting that is encrypted in the stack file.
func secret(t *testing.T, key string) string {
	t.Helper()
	value := strings.TrimSpace(string(pulumi(t, "config", "get", key, "--stack", stackName())))
	if len(value) < 16 {
		t.Fatalf("the secret %s is too short to search for", key)
	}
	return value
}

// TestDockerRollsWithoutLoss: under continuous load, every container is replaced, some are added and some are
// removed. No request may be lost or counted twice, and only one container at a time may be unavailable.
func TestDockerRollsWithoutLoss(t *testing.T) {
	o := onDocker(t)
	settle(t, o, o.Replicas)
	image := []string{"scaleout:imageBuildArgs", fmt.Sprintf(`{"E2E": "%d"}`, time.Now().Unix())}
	for _, test := range []struct {
		name            string
		replicas, least int // containers afterwards, and healthy ones at any time
	}{
		{"another image", o.Replicas, o.Replicas - 1}, {"two more", o.Replicas + 2, o.Replicas}, {"all but two", 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := stackFileWith(t, append(image, "scaleout:replicas", fmt.Sprint(test.replicas))...)
			if test.name == "another image" { // built first, because a compiler would disturb the measurement
				pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file,
					"--target", "**docker:index/image:Image::app")
			}
			before, _ := visit(t, o.URL)
			old, _ := webContainers(t, o)
			oldIDs := docker(t, append([]string{"inspect", "--format", "{{.Id}}"}, old...)...)
			traffic := crowd{url: o.URL, fresh: rollRate}.visit(t)
			least := watchLeast(t, 200*time.Millisecond, func() (int, error) {
				_, healthy := webContainers(t, o)
				return healthy, nil
			})
			start := time.Now()
			out, err := tryPulumi("up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file)
			took := time.Since(start)
			if err != nil {
				t.Errorf("pulumi up: %v\n%s", err, out)
			}
			visits := settle(t, o, test.replicas)
			fewest := least()
			came := traffic.leave()
			after, _ := visit(t, o.URL)
			names, _ := webContainers(t, o)
			ids := docker(t, append([]string{"inspect", "--format", "{{.Id}}"}, names...)...)
			t.Logf("up %.0f s, %d requests, %d failed, at least %d containers healthy; then %v",
				took.Seconds(), came.ok+came.failed, came.failed, fewest, names)
			came.expectNoLoss(t)
			if counted, want := after-before, came.ok+visits+1; counted != want {
				t.Errorf("%d requests got a count, %d were counted", want, counted)
			}
			if fewest < test.least {
				t.Errorf("only %d containers were healthy at a time, want %d", fewest, test.least)
			}
			if len(names) != test.replicas {
				t.Errorf("there are %v, want %d", names, test.replicas)
			}
			if test.name == "another image" && containsAny(ids, strings.Fields(oldIDs)) {
				t.Error("not every container was replaced")
			}
		})
	}
	up(t)
	settle(t, o, o.Replicas)
}

// rollRate is far below the capacity of two containers, so that a loss is due to the change and not to the load.
const rollRate = 200

func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// accessLog returns nginx's log lines since a time. nginx writes them once a second.
func accessLog(t *testing.T, o outputs, since time.Time) []logLine {
	t.Helper()
	time.Sleep(2 * time.Second)
	out, err := exec.Command("docker", "logs", "--since", since.Format(time.RFC3339Nano), o.Network+"-nginx").Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []logLine
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		var line logLine
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatalf("the log line is not JSON: %v\n%s", err, scan.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

type logLine struct {
	Status            string
	Upstream          string
	UpstreamBytesSent string `json:"upstream_bytes_sent"`
}

// address returns the address at which nginx reaches a container.
func address(t *testing.T, container string) string {
	t.Helper()
	const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:5000"
	return docker(t, "inspect", "--format", format, container)
}

// TestDockerKillLosesWhatIsUnderWay: a container is killed while Redis accepts no writes, so that requests are in
// flight on each container. Those on the killed one are lost, because they may have been counted; no other is lost,
// and none is sent twice.
func TestDockerKillLosesWhatIsUnderWay(t *testing.T) {
	o := onDocker(t)
	settle(t, o, o.Replicas)
	const each = 4
	victim := o.Network + "-web-1"
	at := address(t, victim)
	before, _ := visit(t, o.URL)
	time.Sleep(time.Second) // keeps earlier requests out of the log
	since := time.Now()

	// The app gives up on a silent Redis after three quarters of REDIS_TIMEOUT, so the kill must come sooner.
	docker(t, "exec", o.Network+"-redis", "sh", "-c",
		`REDISCLI_AUTH="$(cat /etc/redis/auth/password)" redis-cli client pause 450 write`)
	codes := make(chan int, each*o.Replicas)
	for range each * o.Replicas {
		go func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			response, err := client.Get(o.URL)
			if err != nil {
				codes <- 0
				return
			}
			_ = response.Body.Close()
			codes <- response.StatusCode
		}()
	}
	time.Sleep(30 * time.Millisecond) // all are in flight
	docker(t, "kill", victim)

	got := map[int]int{}
	for range each * o.Replicas {
		got[<-codes]++
	}
	lost := 0
	for _, line := range accessLog(t, o, since) {
		if strings.Contains(line.Upstream, ":5000 : ") {
			t.Errorf("a request in flight was sent to two containers: %+v", line)
		}
		if line.Status == "502" {
			lost++
			if line.Upstream != at {
				t.Errorf("a request that was not on the killed container was lost: %+v", line)
			}
		}
	}
	after, _ := visit(t, o.URL)
	t.Logf("%d requests in flight, %d of them on the killed container (%d of 502); answers %v; counted %d",
		each*o.Replicas, each, lost, got, after-before-1)
	if got[http.StatusBadGateway] != each || lost != each {
		t.Errorf("%d requests were lost, want only the %d on the killed container", got[http.StatusBadGateway], each)
	}
	if counted := after - before - 1; counted < got[http.StatusOK] || counted > each*o.Replicas {
		t.Errorf("%d requests got a count, %d were counted", got[http.StatusOK], counted)
	}

	// Docker does not restart a killed container. A refresh of Pulumi detects and repairs it.
	pulumi(t, "up", "--yes", "--skip-preview", "--refresh", "--stack", stackName())
	settle(t, o, o.Replicas)
}

// TestDockerKillUnderLoad: under steady load only the requests in flight on a killed container are lost, because
// those not yet sent go to another one.
func TestDockerKillUnderLoad(t *testing.T) {
	o := onDocker(t)
	settle(t, o, o.Replicas)
	before, _ := visit(t, o.URL)
	since := time.Now()
	traffic := crowd{url: o.URL, fresh: rollRate}.visit(t)
	time.Sleep(2 * time.Second)
	docker(t, "kill", o.Network+"-web-2")
	time.Sleep(5 * time.Second)
	came := traffic.leave()
	retried := 0
	for _, line := range accessLog(t, o, since) {
		if strings.Contains(line.Upstream, " : ") {
			retried++
		}
		if line.Status != "200" && unsent.MatchString(line.UpstreamBytesSent) {
			t.Errorf("a request that no container received was lost: %+v", line)
		}
	}
	after, _ := visit(t, o.URL)
	t.Logf("%d requests, %d lost, %d sent to another container instead, counted %d",
		len(came.answers), came.failed, retried, after-before-1)
	if counted := after - before - 1; counted < came.ok || counted > len(came.answers) {
		t.Errorf("%d requests got a count, %d were counted", came.ok, counted)
	}
	if came.failed > maxUnderWay {
		t.Errorf("%d requests were lost, more than can have been in flight on one container", came.failed)
	}
	pulumi(t, "up", "--yes", "--skip-preview", "--refresh", "--stack", stackName())
	settle(t, o, o.Replicas)
}

// unsent matches the upstream_bytes_sent of a request of which no server received anything.
var unsent = regexp.MustCompile(`^[0-]( : [0-])*$`)

// maxUnderWay bounds the requests in flight: at 200 requests a second that take 2 ms each they are 0.4 on average,
// and ten at worst.
const maxUnderWay = 10

// TestDockerDestroyLeavesNothing: destroy runs last and removes everything, including the volume of Redis.
func TestDockerDestroyLeavesNothing(t *testing.T) {
	o := onDocker(t)
	const format = `{{range .Mounts}}{{if eq .Destination "/data"}}{{.Name}}{{end}}{{end}}`
	volume := docker(t, "inspect", "--format", format, o.Network+"-redis")
	if volume == "" {
		t.Fatal("Redis has no volume")
	}
	filter := "label=scaleout.network=" + o.Network
	if before := strings.Fields(docker(t, "ps", "--all", "--quiet", "--filter", filter)); len(before) != o.Replicas+2 {
		t.Fatalf("there are %d containers with the label, so their absence would prove nothing", len(before))
	}
	start := time.Now()
	pulumi(t, "destroy", "--yes", "--skip-preview", "--stack", stackName())
	t.Logf("pulumi destroy: %.1f s", time.Since(start).Seconds())
	left := docker(t, "ps", "--all", "--quiet", "--filter", filter) +
		docker(t, "network", "ls", "--quiet", "--filter", "name=^"+o.Network+"$") +
		docker(t, "volume", "ls", "--quiet", "--filter", "name="+volume)
	if left != "" {
		t.Errorf("destroy left %s", left)
	}
}
