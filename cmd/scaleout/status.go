package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/opthistory"
)

// answerWait limits the wait for the app's answer after `pulumi up`, which has waited for its pods: the ingress
// controller still has to notice them. A registry that was just started needs about a second.
const answerWait = time.Minute

// status shows what runs. A part that is unavailable does not hide the others.
func (d *driver) status(ctx context.Context) error {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return err
	}
	if s.local() {
		containers := stackLabel(s)
		if s.onKind() {
			containers = d.nodeLabel()
		}
		const table = "table {{.Names}}\t{{.Status}}\t{{.Ports}}"
		out, err := d.docker(ctx, "ps", "--all", "--filter", containers, "--format", table)
		d.section("containers", out, err)
	}
	if s.onKind() {
		out, err := d.kubectl(ctx, "get", "nodes,pods,hpa,ingress", "--namespace", s.setting("namespace"))
		d.section("cluster "+d.Cluster, out, err)
	}
	if d.findPulumi() != nil {
		d.section("stack "+d.Stack, "no Pulumi CLI; `make up` installs it", nil)
		return nil
	}
	if err := d.connect(ctx, s); err != nil || !s.existed {
		d.section("stack "+d.Stack, "not created yet", err)
		return nil
	}
	updates, err := d.history(ctx, s)
	text := "never updated"
	if len(updates) > 0 && updates[0].EndTime != nil {
		last := updates[0]
		changes, _ := json.Marshal(last.ResourceChanges) // sorted by key
		text = fmt.Sprintf("last %s: %s at %s, changes %s", last.Kind, last.Result, *last.EndTime, changes)
	}
	d.section("stack "+d.Stack, text, err)
	o, err := s.outputs(ctx, d.Stack)
	d.section("URL", o.URL, err)
	if path := s.setting("readyPath"); o.URL != "" && path != "" { // GET / would count a visit
		url := strings.TrimSuffix(o.URL, "/") + path
		_, said, err := get(ctx, url)
		d.section("GET "+url, said, err)
	}
	return nil
}

// history returns the last entries of the stack's history, newest first.
func (d *driver) history(ctx context.Context, s *stack) ([]auto.UpdateSummary, error) {
	opened, err := s.open(ctx, d.Stack)
	if err != nil {
		return nil, brief(err)
	}
	updates, err := opened.History(ctx, 20, 1, opthistory.ShowSecrets(false))
	return updates, brief(err)
}

// section prints one part of the status.
func (d *driver) section(title, text string, err error) {
	if err != nil {
		text = "unavailable: " + err.Error()
	}
	if text = strings.TrimSpace(text); text == "" {
		text = "none"
	}
	d.printf("==> %s\n    %s\n", title, strings.ReplaceAll(text, "\n", "\n    "))
}

// thisMachine resolves any name to this machine. It accepts any certificate, since one for a local name is self-signed.
var thisMachine = &http.Client{Transport: &http.Transport{
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(address) // the client built it
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("localhost", port))
	},
	DisableKeepAlives: true,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
}}

// get sends one request. It returns the status, and the answer as `up` and `status` print it.
func get(ctx context.Context, url string) (status int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.DefaultClient
	if strings.HasSuffix(req.URL.Hostname(), ".localhost") { // this machine (RFC 6761), but not to every resolver
		client = thisMachine
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096)) // the app sends one line; error pages are longer
	if err != nil {
		return 0, "", err
	}
	said = res.Status
	if served := res.Header.Get("X-Served-By"); served != "" {
		said += ", X-Served-By: " + served
	}
	return res.StatusCode, strings.TrimSpace(said + "\n" + strings.TrimSpace(string(body))), nil
}

// appAnswers accepts every status of the app but 404, which an ingress controller sends before it knows the app, and
// 500 and above.
func appAnswers(status int) bool { return status < 500 && status != http.StatusNotFound }

// waitForAnswer sends requests until the status is good, and returns that answer.
func waitForAnswer(ctx context.Context, url string, good func(status int) bool) (string, error) {
	for deadline := time.Now().Add(answerWait); ; time.Sleep(500 * time.Millisecond) {
		status, said, err := get(ctx, url)
		if err == nil && !good(status) {
			err = fmt.Errorf("GET %s: %s", url, said)
		}
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return said, err
		}
	}
}
