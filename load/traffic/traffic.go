// Package traffic sends a profile of requests and keeps what came of each.
package traffic

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"example.com/scaleout/load/profile"
)

// Traffic is a load that is under way or has ended.
type Traffic struct {
	// Started is when the first request was due.
	Started time.Time

	mutex   sync.Mutex
	begun   []int // requests, by second
	seconds []second
	all     second
	done    chan struct{}
}

// second is what came of the requests that were sent in one second.
type second struct {
	took     []time.Duration // of the good answers
	failures map[string]int
}

func (s *second) add(took time.Duration, failure string) {
	if failure == "" {
		s.took = append(s.took, took)
		return
	}
	if s.failures == nil {
		s.failures = map[string]int{}
	}
	s.failures[failure]++
}

// Settings are how the requests are sent.
type Settings struct {
	// URL to get.
	URL string
	// Host is the name to ask for; empty for that in the URL.
	Host string
	// Timeout is how long each request waits for its answer.
	Timeout time.Duration
	// Workers is how many requests may wait at once. When that many do, fewer are sent than the profile wants.
	Workers int
}

// Start sends the profile until it ends, or ctx does. The rate does not depend on the answers: what would have come on
// time from users comes on time here, so that a slow app is seen as slow. A request on a kept connection that the server
// has closed meanwhile is sent again on a new one, as browsers do (net/http's Transport).
func Start(ctx context.Context, p profile.Profile, s Settings) *Traffic {
	target := vegeta.Target{Method: http.MethodGet, URL: s.URL}
	if s.Host != "" {
		target.Header = http.Header{"Host": {s.Host}}
	}
	attacker := vegeta.NewAttacker(vegeta.Timeout(s.Timeout), vegeta.MaxWorkers(uint64(s.Workers)), //nolint:gosec // Workers is a small number.
		vegeta.Connections(s.Workers), vegeta.MaxBody(bodyLimit), vegeta.Redirects(vegeta.NoFollow))
	t := &Traffic{Started: time.Now(), done: make(chan struct{})}
	targeter := vegeta.NewStaticTargeter(target)
	results := attacker.Attack(func(next *vegeta.Target) error {
		t.begin() // vegeta asks for each target just before it sends
		return targeter(next)
	}, p, p.Duration(), p.Name)
	go func() {
		defer close(t.done)
		for r := range results {
			t.add(r)
		}
	}()
	go func() {
		select {
		case <-ctx.Done():
			attacker.Stop()
		case <-t.done:
		}
	}()
	return t
}

// bodyLimit is how much of an answer is read; the app's is shorter.
const bodyLimit = 1 << 10

// Done is closed once the last answer is there.
func (t *Traffic) Done() <-chan struct{} { return t.done }

func (t *Traffic) begin() {
	i := int(time.Since(t.Started) / time.Second)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for len(t.begun) <= i {
		t.begun = append(t.begun, 0)
	}
	t.begun[i]++
}

// Begun is how many requests have been sent in a second since the start, answered or not.
func (t *Traffic) Begun(i int) int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i >= len(t.begun) {
		return 0
	}
	return t.begun[i]
}

func (t *Traffic) add(r *vegeta.Result) {
	i := max(0, int(r.Timestamp.Sub(t.Started)/time.Second))
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for len(t.seconds) <= i {
		t.seconds = append(t.seconds, second{})
	}
	why := failure(r)
	t.seconds[i].add(r.Latency, why)
	t.all.add(r.Latency, why)
}

// failure is why a request had no good answer, without the ports in it, which all differ; empty if it had one.
func failure(r *vegeta.Result) string {
	switch {
	case r.Code == 0:
		return r.Error[strings.LastIndex(r.Error, ": ")+1:]
	case r.Code >= http.StatusMultipleChoices:
		return fmt.Sprintf("%d %s", r.Code, http.StatusText(int(r.Code)))
	}
	return ""
}

// Summary is what came of a number of requests.
type Summary struct {
	// Sent is all of them, OK those with an answer of 2xx.
	Sent int `json:"sent"`
	OK   int `json:"ok"`
	// Failures are the others, by reason.
	Failures map[string]int `json:"failures,omitempty"`
	// Quantiles and maximum of the time to a good answer, in milliseconds.
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Failed is how many had no good answer.
func (s Summary) Failed() int { return s.Sent - s.OK }

// Second is what has come so far of the requests sent in a second since the start.
func (t *Traffic) Second(i int) Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i >= len(t.seconds) {
		return Summary{}
	}
	return t.seconds[i].summary()
}

// Failed is how many have failed so far. Total would sort the times of all answers for it, while others wait to be noted.
func (t *Traffic) Failed() (n int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, count := range t.all.failures {
		n += count
	}
	return n
}

// Total is what has come so far of all requests.
func (t *Traffic) Total() Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.all.summary()
}

func (s *second) summary() Summary {
	sum := Summary{OK: len(s.took), Failures: map[string]int{}}
	for reason, n := range s.failures {
		sum.Failures[reason] = n
		sum.Sent += n
	}
	sum.Sent += sum.OK
	if len(s.took) > 0 {
		slices.Sort(s.took) // in place: what comes later is appended
		sum.P50, sum.P95, sum.P99, sum.Max = quantile(s.took, .5), quantile(s.took, .95), quantile(s.took, .99), quantile(s.took, 1)
	}
	return sum
}

// quantile of sorted times in milliseconds: the least one that so large a part of them does not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	i := max(0, int(math.Ceil(q*float64(len(sorted))))-1)
	return sorted[min(i, len(sorted)-1)].Seconds() * 1000
}
