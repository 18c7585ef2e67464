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

// crowd are visitors of an address of this machine.
type crowd struct {
	url string
	// host is the name to ask for; empty for that in the URL.
	host string
	// kept visits come per second on connections that stay open, fresh ones each on a new connection.
	kept, fresh int
	// pace, if set, takes the place of a steady rate of kept visits.
	pace vegeta.Pacer
	// timeout is how long each waits for an answer; 5 s if it is not set.
	timeout time.Duration
	// uncounted visits are answered by 200 and no count: the app is not a counter.
	uncounted bool
}

// answer is what one visitor got.
type answer struct {
	at   time.Time
	took time.Duration
	// code is the HTTP status, 0 without any answer.
	code int
	// number is the count that the answer holds, 0 without one.
	number     int
	retryAfter string
	failure    string
	fresh      bool
}

// traffic is a crowd that is under way.
type traffic struct {
	t         *testing.T
	attackers []*vegeta.Attacker
	collected sync.WaitGroup
	repeated  atomic.Int64

	mutex   sync.Mutex
	answers []answer
}

// visit sends the visitors until leave is called, or the test ends.
func (c crowd) visit(t *testing.T) *traffic {
	t.Helper()
	u, err := url.Parse(c.url)
	if err != nil || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		t.Fatalf("%s is not an address of this machine; load goes nowhere else", c.url)
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

// reason is why a visitor got no count, without the ports in it, which all differ.
func reason(r *vegeta.Result) string {
	if r.Code == 0 {
		return r.Error[strings.LastIndex(r.Error, ": ")+1:]
	}
	first, _, _ := strings.Cut(string(r.Body), "\n")
	return fmt.Sprintf("%d %.80s", r.Code, first)
}

// countRepeated counts the requests that are sent once more. Go's transport sends a GET again by itself if a connection
// that it had kept ends before any answer, so one visit may be counted twice without a fault of the server.
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

// leave stops the visits and tells what came of them.
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

// tally is what came of a crowd's visits.
type tally struct {
	answers []answer
	// ok were answered by 200, counted of them with a count; kept and fresh are those of them by their connections.
	ok, counted, kept, fresh int
	failed                   int
	// repeated is how many requests the client sent again by itself.
	repeated int
	numbers  map[int]int
	failures map[string]int
}

// doubled is how many answers hold a count that another has too.
func (s tally) doubled() int { return s.counted - len(s.numbers) }

// took is a quantile of the time to an answer, 1 for the longest.
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

// expectNoLoss wants every visit answered by 200, and by a count of its own if it was answered by one.
func (s tally) expectNoLoss(t *testing.T) {
	t.Helper()
	if s.ok == 0 || s.failed > 0 || s.doubled() > 0 {
		t.Errorf("%d visits were answered, %d were not, %d got a count that another got too", s.ok, s.failed, s.doubled())
	}
}
