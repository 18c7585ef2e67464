package traffic

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/scaleout/load/profile"
)

func start(t *testing.T, points string, handler http.HandlerFunc) *Traffic {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p, err := profile.Parse(points)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return Start(ctx, p, server.URL, "web.example.com")
}

// TestOutcomes: every request is sent for the host, and counted with its outcome.
func TestOutcomes(t *testing.T) {
	var asked atomic.Int64
	traffic := start(t, "0s:100,2s:100", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "web.example.com" {
			t.Errorf("got a request for the host %s", r.Host)
		}
		switch asked.Add(1) % 10 {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5:
			connection, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = connection.Write([]byte("nonsense\r\n\r\n"))
			_ = connection.Close()
		}
	})
	<-traffic.Done
	total := traffic.Total()
	if total.Sent < 195 || total.Sent > 205 {
		t.Errorf("sent %d, want the 200 of the profile", total.Sent)
	}
	if n := total.Failures["503 Service Unavailable"]; n < 15 || n > 25 {
		t.Errorf("%d answers of 503: %v", n, total.Failures)
	}
	for reason := range total.Failures {
		if reason != strings.TrimSpace(reason) {
			t.Errorf("the reason %q has blanks around it", reason)
		}
	}
	if total.OK+total.Failed() != total.Sent || total.OK == 0 || len(total.Failures) < 2 {
		t.Errorf("the sums differ: %+v", total)
	}
	sent, begun := [4]int{}, [4]int{}
	for i, second := range []int{0, 1, 2, 99} {
		sum := traffic.Second(second)
		begun[i], sent[i] = sum.Begun, sum.Sent
	}
	if sent[0]+sent[1]+sent[2] != total.Sent || sent[0] == 0 || sent[1] == 0 || sent[3] != 0 {
		t.Errorf("%d in the seconds, %d in all", sent, total.Sent)
	}
	if begun[0]+begun[1]+begun[2] != total.Sent || begun[3] != 0 {
		t.Errorf("%d have begun in the seconds, %d have ended", begun, total.Sent)
	}
}

// TestSlowAnswers: a slow app still gets its requests on time, and its latency is measured.
func TestSlowAnswers(t *testing.T) {
	traffic := start(t, "0s:50,1s:50", func(http.ResponseWriter, *http.Request) { time.Sleep(200 * time.Millisecond) })
	<-traffic.Done
	total := traffic.Total()
	if total.Sent < 48 || total.P50 < 200 {
		t.Errorf("%d were sent with a median of %g ms, want 50 and at least 200", total.Sent, total.P50)
	}
}

// TestTimeoutAndStop: a missing response is a failure after the timeout, and Ctrl-C ends the load.
func TestTimeoutAndStop(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { server.CloseClientConnections() })
	p, err := profile.Parse("0s:10,1h:10")
	if err != nil {
		t.Fatal(err)
	}
	timeout = 100 * time.Millisecond
	t.Cleanup(func() { timeout = 5 * time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	traffic := Start(ctx, p, server.URL, "")
	for traffic.Total().Failed() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if sum := traffic.Second(0); sum.Begun < sum.Sent || sum.Begun == 0 {
		t.Errorf("in the first second %d have begun and %d have ended", sum.Begun, sum.Sent)
	}
	cancel()
	<-traffic.Done
	if total := traffic.Total(); total.OK != 0 || len(total.Failures) == 0 {
		t.Errorf("got %+v, want failures only", total)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(i+1)*time.Millisecond)
	}
	for q, want := range map[float64]float64{.5: 50, .95: 95, .99: 99, 1: 100} {
		if got := quantile(times, q); got != want {
			t.Errorf("quantile %g is %g ms, want %g", q, got, want)
		}
	}
	if got := quantile(times[:1], .5); got != 1 {
		t.Errorf("of one time: %g", got)
	}
}
