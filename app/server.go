package main

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	// readTimeout is the time to receive header and body of a request, but see ignoreBodies.
	readTimeout = 10 * time.Second

	// bodyTime is the time to receive the rest of a body after the response. Closing a connection with unread bytes
	// resets it, and the client may lose the response.
	bodyTime = 250 * time.Millisecond
)

// newHTTPServer returns a server with limits that protect against slow and malicious clients. Requests have no body
// and responses are short, so the limits can be tight. Messages of net/http (panics, ...) go to the log.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           ignoreBodies(handler),
		ReadHeaderTimeout: readTimeout / 2,
		ReadTimeout:       readTimeout,
		WriteTimeout:      10 * time.Second, // ten times the longest response, see maxRedisTimeout
		// Longer than the idle timeout of the load balancer in front, 60 s for an AWS ALB, so that the load balancer
		// closes idle connections: a request that crosses with a close by the app becomes a 502. See
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html.
		IdleTimeout:    75 * time.Second,
		MaxHeaderBytes: 16 << 10, // for headers of proxies and cookies of a shared domain (Go's default is 1 MiB)
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// Go's own handler of OPTIONS * waits for a body, too.
		DisableGeneralOptionsHandler: true,
	}
}

// ignoreBodies responds to a request without waiting for its body, and closes the connection. net/http reads the body
// before the response and before a shutdown: one that never arrives would delay both until readTimeout.
func ignoreBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // fails only if the client is gone
	})
}

// newHandler returns the handler of the public port.
func newHandler(hits *hitHandler, health *health, m *metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", hits)
	// A GET pattern also matches HEAD. HEAD is rejected, because it must be safe to repeat and a hit is not: link
	// checkers and load balancers would count as visitors.
	mux.HandleFunc("HEAD /{$}", getOnly)
	mux.HandleFunc("/{$}", getOnly)
	mux.HandleFunc("GET /healthz", health.live)
	mux.HandleFunc("GET /readyz", health.ready)
	return m.observe(health.closeWhenStopping(mux), log)
}

func getOnly(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", http.MethodGet)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}
