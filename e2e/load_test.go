//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// loadTime bounds every load.
const loadTime = 10 * time.Minute

// crowd is a number of visitors of an address of this machine.
type crowd struct {
	url string
	// host replaces the host of the URL if it is not empty.
	host string
	// kept and fresh are the visits per second on kept-alive and on new connections.
	kept, fresh int
	// pace, if set, replaces the steady rate of kept visits.
	pace vegeta.Pacer
	// timeout is the time that each visit waits for a response; 5 s if it is not set.
	timeout time.Duration
	// uncounted is for an app that is not a counter: a 200 has no count.
	uncounted bool
}

// answer is the outcome of one visit.
type answer struct {
	at   time.Time
	took time.Duration
	// code is the HTTP status, 0 without a response.
	code int
	// number is the count in the response, 0 without one.
	number     int
	retryAfter string
	failure    string
	fresh      bool
}

// traffic is a running crowd.
type traffic struct {
	t         *testing.T
	attackers []*vegeta.Attacker
	collected sync.WaitGroup
	repeated  atomic.Int64

	mutex   sync.Mutex
	answers []answer
}

// visit sends visits until leave is called or the test ends.
func (c crowd) visit(t *testing.T) *traffic {
	t.Helper()
	u, err := url.Parse(c.url)
	if err != nil || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		t.Fatalf("%s is not an address of this machine; load is sent nowhere else", c.url)
	}
	target := vegeta.Target{Method: "GET", URL: c.url}
	if c.host != "" {
		target.Header = http.Header{"Host": {c.host}}
	}
	traffic := &traffic{t: t}
	pace := c.pace
	if pace == nil && c.kept > 0 {
		pace = vegeta.Rate{Freq: c.kept, Per: time.Second}
	}
	if pace != nil {
		traffic.send(c, target, pace, false)
	}
	if c.fresh > 0 {
		traffic.send(c, target, vegeta.Rate{Freq: c.fresh, Per: time.Second}, true)
	}
	t.Cleanup(traffic.stop)
	return traffic
}

func (v *traffic) send(c crowd, target vegeta.Target, pace vegeta.Pacer, fresh bool) {
	transport := &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: 64}
	client := &http.Client{Timeout: cmp.Or(c.timeout, 5*time.Second), Transport: countRepeated{transport, &v.repeated}}
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.MaxWorkers(256))
	results := attacker.Attack(vegeta.NewStaticTargeter(target), pace, loadTime, "e2e")
	v.attackers = append(v.attackers, attacker)
	v.collected.Go(func() {
		for r := range results {
			a := answer{at: r.Timestamp, took: r.Latency, code: int(r.Code), fresh: fresh}
			if match := answerForm.FindSubmatch(r.Body); match != nil {
				a.number, _ = strconv.Atoi(string(match[1]))
			}
			a.retryAfter = r.Headers.Get("Retry-After")
			if a.code != http.StatusOK || a.number == 0 && !c.uncounted {
				a.failure = reason(r)
			}
			v.mutex.Lock()
			v.answers = append(v.answers, a)
			v.mutex.Unlock()
		}
	})
}

// reason returns why a visit failed, without port numbers, which all differ.
func reason(r *vegeta.Result) string {
	if r.Code == 0 {
		return r.Error[strings.LastIndex(r.Error, ": ")+1:]
	}
	first, _, _ := strings.Cut(string(r.Body), "\n")
	return fmt.Sprintf("%d %.80s", r.Code, first)
}

// countRepeated counts the requests that are sent again. Go's transport retries a GET if a kept-alive connection ends
// before the response, so one visit may be counted twice without a fault of the server.
type countRepeated struct {
	next     http.RoundTripper
	repeated *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c countRepeated) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent atomic.Int64
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		if sent.Add(1) > 1 {
			c.repeated.Add(1)
		}
	}}
	return c.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
}

func (v *traffic) stop() {
	for _, a := range v.attackers {
		a.Stop()
	}
	v.collected.Wait()
}

// leave stops the visits and returns their outcome.
func (v *traffic) leave() tally {
	v.t.Helper()
	v.stop()
	s := tally{answers: v.answers, numbers: map[int]int{}, failures: map[string]int{}}
	for _, a := range v.answers {
		if a.failure != "" {
			s.failures[a.failure]++
			s.failed++
			continue
		}
		if a.number > 0 {
			s.numbers[a.number]++
			s.counted++
		}
		s.ok++
		if a.fresh {
			s.fresh++
		} else {
			s.kept++
		}
	}
	s.repeated = int(v.repeated.Load())
	for reason, n := range s.failures {
		v.t.Logf("%d times %s", n, reason)
	}
	return s
}

// tally is the outcome of a crowd's visits.
type tally struct {
	answers []answer
	// ok is the number of 200s, counted those with a count; kept and fresh are the parts of ok by connection.
	ok, counted, kept, fresh int
	failed                   int
	// repeated is the number of requests that the client retried.
	repeated int
	numbers  map[int]int
	failures map[string]int
}

// doubled returns the number of responses with a count that another response has too.
func (s tally) doubled() int { return s.counted - len(s.numbers) }

// took returns a quantile of the response time, 1 for the longest.
func (s tally) took(quantile float64, of func(answer) bool) time.Duration {
	var times []time.Duration
	for _, a := range s.answers {
		if of(a) {
			times = append(times, a.took)
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(len(times)-1, int(quantile*float64(len(times))))]
}

func any200(a answer) bool { return a.failure == "" }

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + " ms" }

// expectNoLoss checks that every visit got a 200, with a unique count if it got one.
func (s tally) expectNoLoss(t *testing.T) {
	t.Helper()
	if s.ok == 0 || s.failed > 0 || s.doubled() > 0 {
		t.Errorf("%d visits were answered, %d were not, %d got a count that another got too", s.ok, s.failed, s.doubled())
	}
}
