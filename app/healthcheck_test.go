package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	h := &health{}
	server := httptest.NewServer(http.HandlerFunc(h.ready))
	check := func() (int, string) {
		var out bytes.Buffer
		code := run([]string{"-healthcheck", server.URL}, nil, &out, &out)
		return code, out.String()
	}
	if code, out := check(); code != exitFailure || !strings.Contains(out, "503") {
		t.Errorf("before Redis was reached: exit code %d, output %q; want %d and 503", code, out, exitFailure)
	}
	h.reached.Store(true)
	if code, out := check(); code != exitOK || out != "" {
		t.Errorf("ready: exit code %d, output %q; want %d and none", code, out, exitOK)
	}
	server.Close()
	if code, out := check(); code != exitFailure || !strings.Contains(out, "refused") {
		t.Errorf("no server: exit code %d, output %q; want %d and the reason", code, out, exitFailure)
	}
}
