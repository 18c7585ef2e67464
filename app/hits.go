package main

import (
	"context"
	"net/http"
	"strconv"
)

// Counter counts hits.
type Counter interface {
	// Add adds hits and returns the total. With hits = 1 no other such call returns the same total; hits = 0 checks
	// whether a hit could be added now. After an error the hits may or may not have been counted.
	Add(ctx context.Context, hits int64) (total int64, err error)
}

// Header values are allocated once and shared by all responses, because this is the hot path.
var (
	contentType  = []string{"text/plain; charset=utf-8"}
	cacheControl = []string{"no-store"} // a cached total would be outdated
	retryAfter   = []string{"1"}        // in seconds: a restarted Redis is back within seconds
)

// hitHandler answers each GET / with the total number of hits.
type hitHandler struct {
	counter  Counter
	servedBy []string // the host name
}

// ServeHTTP counts one hit.
func (h *hitHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Cache-Control"] = cacheControl
	header["X-Served-By"] = h.servedBy

	// A canceled request is still counted, because Redis may have received the command already. The counter bounds the
	// wait: see openRedis.
	n, err := h.counter.Add(context.WithoutCancel(r.Context()), 1)
	if err != nil {
		header["Retry-After"] = retryAfter
		http.Error(w, "The counter is not available right now. Please try again.", http.StatusServiceUnavailable)
		return
	}

	header["Content-Type"] = contentType
	body := append(make([]byte, 0, 80), "Hello from container! I have been seen "...)
	body = strconv.AppendInt(body, n, 10)
	body = append(body, " times.\n"...)
	_, _ = w.Write(body) // fails only if the client has disconnected
}
