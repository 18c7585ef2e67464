package main

import (
	"context"
	"fmt"
	"net/http"
)

// Counter counts hits.
type Counter interface {
	// Add adds hits and returns the total. With hits = 1 no other such call returns the same total; hits = 0 checks
	// whether a hit could be added now. After an error the hits may or may not have been counted.
	Add(ctx context.Context, hits int64) (total int64, err error)
}

// hitHandler answers each GET / with the total number of hits.
type hitHandler struct {
	counter  Counter
	servedBy string // the host name
}

// ServeHTTP counts one hit.
func (h *hitHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // a cached total would be outdated
	w.Header().Set("X-Served-By", h.servedBy)

	// A canceled request is still counted: Redis may have received the command already. openRedis bounds the wait.
	total, err := h.counter.Add(context.WithoutCancel(r.Context()), 1)
	if err != nil {
		w.Header().Set("Retry-After", "1") // in seconds: a restarted Redis is back within seconds
		http.Error(w, "The counter is not available right now. Please try again.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// The write fails only if the client has disconnected.
	_, _ = fmt.Fprintf(w, "Hello from container! I have been seen %d times.\n", total)
}
