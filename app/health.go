package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// health answers the probes of Kubernetes and load balancers.
type health struct {
	reached  atomic.Bool // Redis has counted, or could have, at least once
	stopping atomic.Bool // shutdown has begun
}

// live handles the liveness probe. It never calls Redis, because restarting this program cannot fix Redis.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

// ready handles the readiness probe. It fails until Redis could have counted once, so that a rollout with a wrong
// address, password or permission never replaces working pods. After that it succeeds even while Redis is
// unavailable: otherwise all pods would leave the load balancer at once, and visitors would not even get their
// plain 503. It fails again during shutdown.
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

// closeWhenStopping adds Connection: close to every response once shutdown has begun, so that clients with long-lived
// connections move to other pods. http.Server.SetKeepAlivesEnabled(false) would also close idle connections at once
// and lose a request that a load balancer has just sent on one. Shutdown closes them after the drain.
func (h *health) closeWhenStopping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
