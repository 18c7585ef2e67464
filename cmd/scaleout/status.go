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
)

// answerWait is how long the app may take to answer after `pulumi up`, which waited for its pods already: what is
// left is the ingress controller noticing them. A registry that was just started needs about a second.
const answerWait = time.Minute

// status shows what is there. A part that cannot be seen says so and does not hide the others.
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
		out, err := d.docker(ctx, "ps", "--all", "--filter", containers, "--format", "table {{.Names}}\t{{.Status}}\t{{.Ports}}")
		d.section("containers", out, err)
	}
	if s.onKind() {
		out, err := d.kubectl(ctx, "get", "nodes,pods,hpa,ingress", "--namespace", s.setting(keyNamespace))
		d.section("cluster "+d.Cluster, out, err)
	}
	if _, ok := d.findPulumi(ctx); !ok {
		d.section("stack "+d.Stack, "no Pulumi CLI here yet; `make up` brings it", nil)
		return nil
	}
	if err := d.lookUp(ctx, s); err != nil || !s.existed {
		d.section("stack "+d.Stack, "not created yet", err)
		return nil
	}
	updates, err := d.history(ctx, s)
	last := append(updates, pulumiUpdate{})[0]
	changes, _ := json.Marshal(last.ResourceChanges) // map keys come sorted
	text := fmt.Sprintf("last %s: %s at %s, changes %s", last.Kind, last.Result, last.EndTime, changes)
	if last.Kind == "" {
		text = "never updated"
	}
	d.section("stack "+d.Stack, text, err)
	o, err := d.outputs(ctx, s, d.Stack)
	d.section("URL", o.URL, err)
	if path := s.setting(keyReadyPath); o.URL != "" && path != "" { // a visit would be counted
		url := strings.TrimSuffix(o.URL, "/") + path
		_, said, err := get(ctx, url)
		d.section("GET "+url, said, err)
	}
	return nil
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

// thisMachine asks for any name here. Whether the app answers is all that it is for: a certificate that was made for
// this machine is signed by nobody.
var thisMachine = &http.Client{Transport: &http.Transport{
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(address) // the client made it
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("localhost", port))
	},
	DisableKeepAlives: true,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
}}

// get asks once. It returns the status, and the answer as `up` and `status` print it.
func get(ctx context.Context, url string) (status int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.DefaultClient
	if strings.HasSuffix(req.URL.Hostname(), ".localhost") { // this machine (RFC 6761), but not every resolver knows
		client = thisMachine
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096)) // the app says one line; an error page is longer
	if err != nil {
		return 0, "", err
	}
	said = res.Status
	if served := res.Header.Get("X-Served-By"); served != "" {
		said += ", X-Served-By: " + served
	}
	return res.StatusCode, strings.TrimSpace(said + "\n" + strings.TrimSpace(string(body))), nil
}

// appAnswers takes any status for an answer of the app but 404, which an ingress controller gives before it knows the
// app, and those from 500 on.
func appAnswers(status int) bool { return status < 500 && status != http.StatusNotFound }

// waitForAnswer asks until the answer has a good status, and returns it.
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
