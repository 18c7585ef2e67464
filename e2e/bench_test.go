//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRequest measures the end-to-end cost of a visit: the latency of sequential visits, and the CPU time of
// every container involved, including Redis, with 16 concurrent visits. For a stack on Docker it also measures
// without nginx, where the client takes turns among the app's containers. That needs Linux, where the host reaches
// containers.
//
//	make bench-request STACK=docker
func BenchmarkRequest(b *testing.B) {
	var o outputs
	out, err := tryPulumi("stack", "output", "--json", "--stack", stackName())
	if err == nil {
		err = json.Unmarshal(out, &o)
	}
	if err != nil || o.URL == "" {
		b.Skipf("stack %s is not up: %v\n%s", stackName(), err, out)
	}
	if o.Network == "" {
		nodes := map[string][]string{"cluster": containers(b, "io.x-k8s.kind.cluster")}
		b.Run("kind", func(b *testing.B) { visits(b, nodes, o.URL) })
		return
	}
	on := map[string][]string{}
	for _, component := range []string{"nginx", "web", "redis"} {
		on[component] = containers(b, "scaleout.network="+o.Network, "--filter", "label=scaleout.component="+component)
	}
	b.Run("nginx", func(b *testing.B) { visits(b, on, o.URL) })
	var direct []string
	for _, id := range on["web"] {
		format := "http://{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:5000/"
		out, err := exec.Command("docker", "inspect", "--format", format, id).Output()
		if err != nil {
			b.Fatal(err)
		}
		direct = append(direct, strings.TrimSpace(string(out)))
	}
	b.Run("direct", func(b *testing.B) { visits(b, on, direct...) })
}

// containers returns the IDs of the running containers with a label.
func containers(b *testing.B, label string, filters ...string) []string {
	b.Helper()
	args := append([]string{"ps", "--quiet", "--no-trunc", "--filter", "label=" + label}, filters...)
	out, err := exec.Command("docker", args...).Output()
	found := strings.Fields(string(out))
	if err != nil || len(found) == 0 {
		b.Fatalf("no containers with the label %s: %v", label, err)
	}
	return found
}

// visits makes b.N visits to the URLs in turn, 16 at a time, and then sequential ones for a second.
func visits(b *testing.B, on map[string][]string, urls ...string) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var turn atomic.Int64
	get := func() error {
		response, err := client.Get(urls[int(turn.Add(1))%len(urls)])
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body) // otherwise the connection is not reused
		_ = response.Body.Close()
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("got %s", response.Status)
		}
		return err
	}
	for range 100 { // connections and caches
		if err := get(); err != nil {
			b.Fatal(err)
		}
	}
	before := map[string]time.Duration{}
	for name, ids := range on {
		before[name] = cpuTime(b, ids)
	}
	var left, failed atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	b.ResetTimer()
	for range 16 {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if get() != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatalf("%d of %d visits failed", failed.Load(), b.N)
	}
	total := 0.0
	for name, ids := range on {
		used := float64((cpuTime(b, ids) - before[name]).Microseconds()) / float64(b.N)
		b.ReportMetric(used, name+"-cpu-µs/op")
		total += used
	}
	b.ReportMetric(total, "cpu-µs/op")

	var alone []time.Duration
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		start := time.Now()
		if err := get(); err != nil {
			b.Fatal(err)
		}
		alone = append(alone, time.Since(start))
	}
	slices.Sort(alone)
	b.ReportMetric(float64(alone[len(alone)/2].Microseconds()), "alone-p50-µs")
	b.ReportMetric(float64(alone[len(alone)*99/100].Microseconds()), "alone-p99-µs")
}

// cpuTime returns the CPU time that containers have used so far, from Docker's API, because the docker command only
// has percentages.
func cpuTime(b *testing.B, ids []string) time.Duration {
	b.Helper()
	socket := "/var/run/docker.sock"
	if host, found := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); found {
		socket = host
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	total := time.Duration(0)
	for _, id := range ids {
		response, err := client.Get("http://docker/containers/" + id + "/stats?stream=false&one-shot=true")
		if err != nil {
			b.Fatal(err)
		}
		var stats struct {
			CPU struct {
				Usage struct {
					Total time.Duration `json:"total_usage"` // nanoseconds
				} `json:"cpu_usage"`
			} `json:"cpu_stats"`
		}
		err = json.NewDecoder(response.Body).Decode(&stats)
		_ = response.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		total += stats.CPU.Usage.Total
	}
	return total
}
