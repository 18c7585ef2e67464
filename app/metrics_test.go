package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	got := httptest.NewRecorder()
	handler.ServeHTTP(got, httptest.NewRequest("GET", "/metrics", nil))
	if got.Code != http.StatusOK {
		t.Fatalf("/metrics: got %d %q, want 200", got.Code, got.Body)
	}
	return got.Body.String()
}

func TestRequestMetrics(t *testing.T) {
	tests := map[string]struct {
		method, target string
		want           string
	}{
		"hit":         {"GET", "/", `code="200",method="GET",route="/{$}"`},
		"hit, HEAD":   {"HEAD", "/", `code="405",method="HEAD",route="/{$}"`},
		"POST":        {"POST", "/", `code="405",method="POST",route="/{$}"`},
		"made-up":     {"BREW", "/", `code="405",method="other",route="/{$}"`},
		"lower case":  {"get", "/", `code="405",method="other",route="/{$}"`},
		"probe":       {"GET", "/healthz", `code="200",method="GET",route="/healthz"`},
		"other path":  {"GET", "/wp-login.php", `code="404",method="GET",route="unmatched"`},
		"probe, POST": {"POST", "/readyz", `code="405",method="POST",route="unmatched"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			handler, _, metrics := newTestHandler(&fakeCounter{})
			for range 2 {
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(test.method, test.target, nil))
			}
			want := "http_request_duration_seconds_count{" + test.want + "} 2\n"
			if got := scrape(t, metrics.handler()); !strings.Contains(got, want) {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// TestFirstErrorCounts: rate() counts the first error only if its series already exists at 0.
func TestFirstErrorCounts(t *testing.T) {
	_, _, metrics := newTestHandler(&fakeCounter{})
	got := scrape(t, metrics.handler())
	for _, want := range []string{
		`http_request_duration_seconds_count{code="503",method="GET",route="/{$}"} 0`,
		`http_request_duration_seconds_count{code="200",method="GET",route="/{$}"} 0`,
		`redis_call_errors_total{reason="connection"} 0`, `redis_call_errors_total{reason="timeout"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the first scrape lacks %s", want)
		}
	}
}

func TestRequestMetricsAreBounded(t *testing.T) {
	handler, _, metrics := newTestHandler(&fakeCounter{})
	for i := range 100 {
		target, method := fmt.Sprintf("/path%d", i), fmt.Sprintf("METHOD%d", i)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, target, nil))
	}
	// Two exist from the start: see TestFirstErrorCounts.
	if got := testutil.CollectAndCount(metrics.requests); got != 3 {
		t.Errorf("got %d time series, want 3", got)
	}
}

func TestInFlightMetric(t *testing.T) {
	metrics := newMetrics()
	var during float64
	handler := metrics.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		during = testutil.ToFloat64(metrics.inFlight)
		panic("bug")
	}), slog.New(slog.DiscardHandler))
	func() {
		defer func() { _ = recover() }()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if during != 1 {
		t.Errorf("during a request: got %v in flight, want 1", during)
	}
	if after := testutil.ToFloat64(metrics.inFlight); after != 0 {
		t.Errorf("after a panic: got %v in flight, want 0", after)
	}
}

// TestMetricsAreWellFormed checks names and help texts by Prometheus' own rules (promlint).
func TestMetricsAreWellFormed(t *testing.T) {
	handler, _, metrics := newTestHandler(&fakeCounter{})
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	problems, err := testutil.GatherAndLint(metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	got := scrape(t, metrics.handler())
	for _, want := range []string{
		"http_request_duration_seconds_bucket{", "http_requests_in_flight 0", "redis_call_duration_seconds_count 0",
		`redis_call_errors_total{reason="timeout"} 0`, `redis_call_errors_total{reason="connection"} 0`,
		`redis_call_errors_total{reason="reply"} 0`, `scaleout_build_info{goversion="go1.`, `version="dev"`,
		"go_goroutines", "process_cpu_seconds_total",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestBucketsCoverThePromise(t *testing.T) {
	last := durationBuckets[len(durationBuckets)-1]
	if last < maxRedisTimeout.Seconds() {
		t.Errorf("largest bucket: got %v s, want at least the longest wait, %v", last, maxRedisTimeout)
	}
}

// BenchmarkObserve measures what metrics add to each request: looking up a series, using an observer that was looked
// up before, and the whole middleware.
func BenchmarkObserve(b *testing.B) {
	metrics := newMetrics()
	b.Run("look-up", func(b *testing.B) {
		b.ReportAllocs()
		code := 200
		for b.Loop() {
			metrics.requests.WithLabelValues("/{$}", "GET", strconv.Itoa(code)).Observe(.001)
		}
	})
	b.Run("curried", func(b *testing.B) {
		b.ReportAllocs()
		observer := metrics.requests.WithLabelValues("/{$}", "GET", "200")
		for b.Loop() {
			observer.Observe(.001)
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		handler := metrics.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			slog.New(slog.DiscardHandler))
		r := httptest.NewRequest("GET", "/", nil)
		for b.Loop() {
			handler.ServeHTTP(discard{}, r)
		}
	})
}

// discard is a response writer that does nothing.
type discard struct{}

func (discard) Header() http.Header         { return nil }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
