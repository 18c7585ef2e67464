package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestNamesBelowLocalhost: they are this machine's, whether or not its resolver knows them, and choose the Ingress.
func TestNamesBelowLocalhost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host)
	}))
	defer server.Close()
	host := fmt.Sprintf("beside.localhost:%d", server.Listener.Addr().(*net.TCPAddr).Port)
	a, err := get(context.Background(), "http://"+host+"/")
	if err != nil || a.body != host {
		t.Errorf("got %q and %v, want the answer for %s", a.body, err, host)
	}
}
