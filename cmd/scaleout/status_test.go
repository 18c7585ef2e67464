package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// TestStatus checks that a part that is unavailable does not hide the others, and that the request is not a visit.
func TestStatus(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", "pod")
		_, _ = fmt.Fprint(w, r.URL.Path)
	}))
	defer server.Close()
	d, _, out := newTestDriver(t, reply{command: "docker ps", out: "NAMES"},
		reply{command: "docker exec", fails: "connection refused"},
		reply{command: "pulumi stack ls", out: `[{"name":"organization/scaleout/dev"}]`},
		reply{command: "pulumi stack history --json --page-size 1", out: `[{"kind":"update","result":"failed",
			"endTime":"2026-11-29T15:04:05.000Z","resourceChanges":{"same":3,"create":1}}]`},
		reply{command: "pulumi stack output", out: `{"url":"` + server.URL + `/"}`})
	ok(t, d.status(t.Context()))
	wantParts(t, out, "==> containers\n    NAMES\n", "==> cluster scaleout\n    unavailable: ", "connection refused\n",
		"last update: failed at 2026-11-29T15:04:05.000Z, changes {\"create\":1,\"same\":3}\n",
		"==> GET "+server.URL+"/readyz\n    200 OK, X-Served-By: pod\n    /readyz\n")
}

// TestLocalhostNames checks that names below localhost lead to this machine, whether or not its resolver has them, and
// that the host header, which selects the Ingress, keeps them.
func TestLocalhostNames(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Host) })
	plain, selfSigned := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer selfSigned.Close()
	for scheme, server := range map[string]*httptest.Server{"http": plain, "https": selfSigned} {
		host := fmt.Sprintf("shop.localhost:%d", server.Listener.Addr().(*net.TCPAddr).Port)
		status, said, err := get(t.Context(), scheme+"://"+host+"/")
		if err != nil || status != http.StatusOK || said != "200 OK\n"+host {
			t.Errorf("%s: got %d, %q and %v, want the response for %s", scheme, status, said, err, host)
		}
	}
}

// TestAnswers checks that every status of an app is accepted, but not those of an ingress controller without the app.
func TestAnswers(t *testing.T) {
	for status, want := range map[int]bool{200: true, 302: true, 401: true, 404: false, 500: false, 503: false} {
		synctest.Test(t, func(t *testing.T) {
			client := http.DefaultClient.Transport
			defer func() { http.DefaultClient.Transport = client }()
			http.DefaultClient.Transport = answer(status)
			_, err := waitForAnswer(t.Context(), "http://app/")
			if got := err == nil; got != want {
				t.Errorf("%d: got %v, want it accepted: %t", status, err, want)
			}
		})
	}
}

// answer is the transport to a server that always has this status.
type answer int

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Status: fmt.Sprint(int(a)), Body: http.NoBody}, nil
}
