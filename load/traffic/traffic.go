// Package traffic sends a profile of requests and keeps what came of each.
package traffic

import (
	"context"
	"fmt"
	"maps"
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
	// Done is closed once the last answer is there.
	Done chan struct{}

	mutex   sync.Mutex
	seconds []second
}

// second has the requests that were sent in one second: how many, and what came of those that have ended.
type second struct {
	begun    int
	took     []time.Duration // of the good answers
	failures map[string]int
}

// timeout is how long a request waits for its answer. Tests wait less.
var timeout = 5 * time.Second

const (
	// workers is how many requests may wait at once. When that many do, fewer are sent than the profile wants. At the
	// default -max-rate that is half a second's.
	workers = 500
	// bodyLimit is how much of an answer is read; the app's is shorter.
	bodyLimit = 1 << 10
)

// Start gets the URL as the profile says, until it or ctx ends; host, if not empty, is asked for in place of the one in
// the URL. The rate does not depend on the answers, so that a slow app is seen as slow. A request on a kept connection
// that the server has closed meanwhile is sent again on a new one, as browsers do (net/http's Transport).
func Start(ctx context.Context, p profile.Profile, url, host string) *Traffic {
	target := vegeta.Target{Method: http.MethodGet, URL: url}
	if host != "" {
		target.Header = http.Header{"Host": {host}}
	}
	attacker := vegeta.NewAttacker(vegeta.Timeout(timeout), vegeta.MaxWorkers(workers), vegeta.Connections(workers),
		vegeta.MaxBody(bodyLimit), vegeta.Redirects(vegeta.NoFollow))
	t := &Traffic{Started: time.Now(), Done: make(chan struct{})}
	targeter := vegeta.NewStaticTargeter(target)
	results := attacker.Attack(func(next *vegeta.Target) error {
		t.note(time.Now(), func(s *second) { s.begun++ }) // vegeta asks for each target just before it sends
		return targeter(next)
	}, p, p.Duration(), p.Name)
	go func() {
		defer close(t.Done)
		for r := range results {
			t.note(r.Timestamp, func(s *second) { s.add(r) })
		}
	}()
	context.AfterFunc(ctx, func() { attacker.Stop() })
	return t
}

// note changes the second of a moment.
func (t *Traffic) note(at time.Time, change func(*second)) {
	i := max(0, int(at.Sub(t.Started)/time.Second))
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for len(t.seconds) <= i {
		t.seconds = append(t.seconds, second{failures: map[string]int{}})
	}
	change(&t.seconds[i])
}

func (s *second) add(r *vegeta.Result) {
	switch {
	case r.Code == 0: // without the ports in the error, which all differ
		s.failures[r.Error[strings.LastIndex(r.Error, ": ")+1:]]++
	case r.Code >= http.StatusMultipleChoices:
		s.failures[fmt.Sprintf("%d %s", r.Code, http.StatusText(int(r.Code)))]++
	default:
		s.took = append(s.took, r.Latency)
	}
}

// Summary is what came of a number of requests.
type Summary struct {
	// Sent is all that have ended, OK those with an answer of 2xx.
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

// Second is how many requests were sent in a second since the start, and what has come of them so far.
func (t *Traffic) Second(i int) (begun int, sum Summary) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i >= len(t.seconds) {
		return 0, Summary{}
	}
	return t.seconds[i].begun, t.seconds[i].summary()
}

// Total is what has come so far of all requests.
func (t *Traffic) Total() Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	all := second{failures: map[string]int{}}
	for _, s := range t.seconds {
		all.took = append(all.took, s.took...)
		for reason, n := range s.failures {
			all.failures[reason] += n
		}
	}
	return all.summary()
}

func (s *second) summary() Summary {
	sum := Summary{OK: len(s.took), Sent: len(s.took), Failures: maps.Clone(s.failures)}
	for _, n := range s.failures {
		sum.Sent += n
	}
	if len(s.took) > 0 {
		slices.Sort(s.took) // in place: what comes later is appended
		sum.P50, sum.P95 = quantile(s.took, .5), quantile(s.took, .95)
		sum.P99, sum.Max = quantile(s.took, .99), quantile(s.took, 1)
	}
	return sum
}

// quantile of sorted times in milliseconds: the least one that so large a part of them does not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	i := max(0, int(math.Ceil(q*float64(len(sorted))))-1)
	return sorted[min(i, len(sorted)-1)].Seconds() * 1000
}
