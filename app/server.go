package main

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of both HTTP servers. Requests carry no body and answers are one line, so the limits can be tight; they are
// there to get rid of clients that are slow or do not mean well.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second // of header and body, but see ignoreBodies
	writeTimeout      = 10 * time.Second // ten times the longest answer, see maxRedisTimeout

	// idleTimeout must be longer than the idle timeout of the load balancer in front, 60 s for an AWS ALB, so that
	// the load balancer is the one to close: a request that crosses with our close becomes a 502. See
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html.
	idleTimeout = 75 * time.Second

	// bodyTime is how long what is left of a body may take after the answer. It is for a body under way: to close a
	// connection on which bytes are unread resets it, and the client may lose the answer.
	bodyTime = 250 * time.Millisecond

	// maxHeaderBytes leaves room for what proxies and cookies of a shared domain add (Go's default is 1 MiB).
	maxHeaderBytes = 16 << 10
)

// newHTTPServer returns a server with this program's limits. What net/http has to say (panics, ...) goes to the log.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           ignoreBodies(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// Go's own answer to OPTIONS * waits for a body, too.
		DisableGeneralOptionsHandler: true,
	}
}

// ignoreBodies answers a request that has a body without waiting for it, and closes the connection. net/http reads it
// before it sends the answer, and again before a stop: one that never comes would hold up both until readTimeout.
func ignoreBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // fails only if the client has left
	})
}

// newHandler routes the public port.
func newHandler(hits *hitHandler, health *health, m *metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", hits)
	// A GET pattern also matches HEAD. HEAD is refused, because it must be safe to repeat and a hit is not: link
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
