package main

import (
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// durationBuckets are in seconds. An INCRBY in the same zone takes about half a millisecond, and maxRedisTimeout
// keeps every response under a second; there are two to three steps per decade between the two.
var durationBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}

// metrics has its own registry, because any dependency may register metrics in the default one.
type metrics struct {
	registry *prometheus.Registry

	requests    *prometheus.HistogramVec
	inFlight    prometheus.Gauge
	redisCalls  prometheus.Histogram
	redisErrors *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time to answer requests on the public port, by route pattern, method and status code.",
			Buckets: durationBuckets,
		}, []string{"route", "method", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight",
			Help: "Requests on the public port being answered now.",
		}),
		redisCalls: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "redis_call_duration_seconds",
			Help:    "Duration of Redis calls, failed ones included.",
			Buckets: durationBuckets,
		}),
		redisErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "redis_call_errors_total",
			Help: "Failed Redis calls: timeout, connection (not established, or broken) or reply (an error from Redis).",
		}, []string{"reason"}),
	}
	// Series start at 0, because rate() does not count the first error of a series that begins at 1.
	for _, reason := range []string{reasonTimeout, reasonConnection, reasonReply} {
		m.redisErrors.WithLabelValues(reason)
	}
	for _, code := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		m.requests.WithLabelValues("/{$}", http.MethodGet, strconv.Itoa(code))
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "scaleout_build_info",
		Help:        "Always 1; the labels identify the build.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.inFlight, m.redisCalls, m.redisErrors, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler serves the metrics port.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// observe measures the requests that next handles, and logs each at level debug.
func (m *metrics) observe(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		m.inFlight.Inc()
		defer m.inFlight.Dec() // also when next panics
		recorder := statusRecorder{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(&recorder, r)

		took := time.Since(start)
		m.requests.WithLabelValues(routeLabel(r), methodLabel(r.Method), strconv.Itoa(recorder.code)).Observe(took.Seconds())
		if log.Enabled(r.Context(), slog.LevelDebug) {
			log.Debug("request", "method", r.Method, "path", r.URL.Path, "code", recorder.code, "took", took.String())
		}
	})
}

// routeLabel returns the pattern that matched r, without the method. It never returns the path: clients could request
// a million different paths, and each would be a new time series.
func routeLabel(r *http.Request) string {
	if r.Pattern == "" {
		return "unmatched"
	}
	return r.Pattern[strings.IndexByte(r.Pattern, ' ')+1:]
}

// methodLabel returns method if HTTP defines it, or else "other", for the same reason.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

type statusRecorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (r *statusRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
