package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// health answers the probes of Kubernetes and load balancers.
type health struct {
	reached  atomic.Bool // Redis would have counted, or has, at least once
	stopping atomic.Bool // shutdown has begun
}

// live says that the process works. It never touches Redis: restarting this program cannot cure Redis.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

// ready says whether to send visitors here. Before Redis would have counted once the answer is no, so that a rollout
// with a wrong address, password or permission never replaces pods that work. After that it stays yes while Redis is
// away: else all pods would leave the load balancer at once, which could not even pass on their plain 503.
func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case h.stopping.Load():
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	case !h.reached.Load():
		http.Error(w, "redis was not reached yet", http.StatusServiceUnavailable)
	default:
		_, _ = io.WriteString(w, "ready\n")
	}
}

// closeWhenStopping makes every answer close its connection once shutdown has begun, so that clients with long-lived
// connections move to other pods. http.Server.SetKeepAlivesEnabled(false) also closes idle connections at once, and
// would lose a request that a load balancer has just sent on one. They are left for Shutdown, after the drain.
func (h *health) closeWhenStopping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
