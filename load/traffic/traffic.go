// Package traffic sends a profile of requests and records their outcome.
package traffic

import (
	"cmp"
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

// Traffic is a load that is running or has ended.
type Traffic struct {
	Started time.Time     // when the first request was due
	Done    chan struct{} // closed after the last response

	mutex   sync.Mutex
	seconds []outcome
	all     outcome
}

// outcome counts the requests of a second, or of all seconds.
type outcome struct {
	begun, ended int
	took         []time.Duration // of the successful requests
	failures     map[string]int  // by reason
}

// timeout is the time that a request waits for its response. Tests shorten it.
var timeout = 5 * time.Second

const (
	// workers is the number of requests that may wait at once. Beyond that, fewer are sent than the profile has. At the
	// default -max-rate these are the requests of half a second.
	workers = 500
	// bodyLimit is the number of bytes that are read of a response; the app's is shorter.
	bodyLimit = 1 << 10
)

// Start sends GET requests to url according to the profile, until the profile or ctx ends; host, if not empty,
// replaces the host of url. The rate does not depend on the responses, so that a slow app is recognized as slow. Like
// browsers, net/http sends a request again whose kept-alive connection the server has closed meanwhile.
func Start(ctx context.Context, p profile.Profile, url, host string) *Traffic {
	target := vegeta.Target{Method: http.MethodGet, URL: url, Header: http.Header{"Host": {host}}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(timeout), vegeta.MaxWorkers(workers), vegeta.Connections(workers),
		vegeta.MaxBody(bodyLimit), vegeta.Redirects(vegeta.NoFollow))
	t := &Traffic{Started: time.Now(), Done: make(chan struct{}), all: outcome{failures: map[string]int{}}}
	results := attacker.Attack(func(next *vegeta.Target) error {
		t.note(time.Now(), func(o *outcome) { o.begun++ }) // vegeta calls this just before it sends a request
		*next = target
		return nil
	}, p, p.Duration(), p.Name)
	go func() {
		defer close(t.Done)
		for r := range results {
			t.note(r.Timestamp, func(o *outcome) { o.add(r) })
		}
	}()
	context.AfterFunc(ctx, func() { attacker.Stop() })
	return t
}

// note applies change to the second of a time and to the sum.
func (t *Traffic) note(at time.Time, change func(*outcome)) {
	i := max(0, int(at.Sub(t.Started)/time.Second))
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for len(t.seconds) <= i {
		t.seconds = append(t.seconds, outcome{failures: map[string]int{}})
	}
	change(&t.seconds[i])
	change(&t.all)
}

func (o *outcome) add(r *vegeta.Result) {
	o.ended++
	switch {
	case r.Code == 0: // without the port numbers in the error, which all differ
		o.failures[strings.TrimSpace(r.Error[strings.LastIndex(r.Error, ": ")+1:])]++
	case r.Code >= http.StatusMultipleChoices:
		o.failures[fmt.Sprintf("%d %s", r.Code, http.StatusText(int(r.Code)))]++
	default:
		o.took = append(o.took, r.Latency)
	}
}

// Summary is the outcome of a number of requests.
type Summary struct {
	Begun    int            `json:"-"`                  // sent, whether they have ended or not; only for the live view
	Sent     int            `json:"sent"`               // those that have ended
	OK       int            `json:"ok"`                 // those that have ended with a 2xx
	Failures map[string]int `json:"failures,omitempty"` // the numbers of the others, by reason
	// Quantiles and maximum of the response times of successful requests, in milliseconds.
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Failed returns the number of failed requests.
func (s Summary) Failed() int { return s.Sent - s.OK }

// Reasons returns the reasons of the failures, the most frequent one first.
func (s Summary) Reasons() []string {
	return slices.SortedFunc(maps.Keys(s.Failures), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Failures[b], s.Failures[a]), cmp.Compare(a, b))
	})
}

// Second returns the outcome so far of the requests that were sent in second i since the start.
func (t *Traffic) Second(i int) Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i >= len(t.seconds) {
		return Summary{}
	}
	return t.seconds[i].summary()
}

// Total returns the outcome of all requests so far.
func (t *Traffic) Total() Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.all.summary()
}

func (o *outcome) summary() Summary {
	sum := Summary{Begun: o.begun, Sent: o.ended, OK: len(o.took), Failures: maps.Clone(o.failures)}
	if len(o.took) > 0 {
		slices.Sort(o.took) // in place: later ones are appended
		sum.P50, sum.P95 = quantile(o.took, .5), quantile(o.took, .95)
		sum.P99, sum.Max = quantile(o.took, .99), quantile(o.took, 1)
	}
	return sum
}

// quantile returns a quantile of sorted times in milliseconds: the lowest one that the fraction q does not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1].Seconds() * 1000
}
