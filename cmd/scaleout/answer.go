package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerWait is how long the app may take to answer after `pulumi up`, which waited for its pods already: what is
// left is the ingress controller noticing them.
const answerWait = time.Minute

// answer is what the app said.
type answer struct {
	status, servedBy, body string
}

// String is the answer as `up` and `status` print it.
func (a answer) String() string {
	served := a.servedBy
	if served == "" {
		served = "(no X-Served-By)"
	}
	return fmt.Sprintf("%s, X-Served-By: %s\n%s", a.status, served, a.body)
}

// get asks once.
func get(ctx context.Context, url string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, fmt.Errorf("asking %s: %w", url, err)
	}
	if strings.HasSuffix(req.URL.Hostname(), ".localhost") { // this machine (RFC 6761), but not every resolver knows
		req.Host, req.URL.Host = req.URL.Host, net.JoinHostPort("localhost", req.URL.Port())
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096)) // the app says one line; an error page is longer
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	a := answer{res.Status, res.Header.Get("X-Served-By"), strings.TrimSpace(string(body))}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("GET %s: %s: %s", url, a.status, a.body)
	}
	return a, nil
}

// waitForAnswer asks until the app answers 200.
func waitForAnswer(ctx context.Context, url string) (answer, error) {
	deadline := time.Now().Add(answerWait)
	for {
		a, err := get(ctx, url)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return a, err
		}
		time.Sleep(500 * time.Millisecond)
	}
}
