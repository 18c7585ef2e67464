package main

import (
	"context"
	"net/http"
	"strconv"
)

// Counter counts hits.
type Counter interface {
	// Add adds hits and returns the total. With 1 that is a total that no other such call returns; with 0 it tells
	// whether a hit could be added now. After an error the hits may or may not have been counted.
	Add(ctx context.Context, hits int64) (total int64, err error)
}

// retryAfterSeconds is the advice to visitors while Redis is away. A restarted Redis is back within seconds, and
// any answer costs less than a request that waits.
const retryAfterSeconds = "1"

// hitHandler answers each GET / with the total number of hits.
type hitHandler struct {
	counter Counter
	// Header values are made once and shared by all answers: this is the hot path.
	contentType, cacheControl, servedBy []string
}

// newHitHandler returns a handler that counts with counter and names hostname as the server.
func newHitHandler(counter Counter, hostname string) *hitHandler {
	return &hitHandler{
		counter:      counter,
		contentType:  []string{"text/plain; charset=utf-8"},
		cacheControl: []string{"no-store"}, // a cached total is a wrong total
		servedBy:     []string{hostname},
	}
}

// ServeHTTP counts one hit.
func (h *hitHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Cache-Control"] = h.cacheControl
	header["X-Served-By"] = h.servedBy

	// A visitor who leaves early stays counted: Redis may have the command already. What bounds the wait is the
	// counter itself, see openRedis.
	n, err := h.counter.Add(context.WithoutCancel(r.Context()), 1)
	if err != nil {
		header["Retry-After"] = []string{retryAfterSeconds}
		http.Error(w, "The counter is not available right now. Please try again.", http.StatusServiceUnavailable)
		return
	}

	header["Content-Type"] = h.contentType
	body := append(make([]byte, 0, 80), "Hello from container! I have been seen "...)
	body = strconv.AppendInt(body, n, 10)
	body = append(body, " times.\n"...)
	_, _ = w.Write(body) // fails only when the visitor has left
}
