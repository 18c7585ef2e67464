package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/opthistory"
)

// status shows what runs. A part that is unavailable does not hide the others.
func (d *driver) status(ctx context.Context) (err error) {
	if d.stack, err = d.openStack(d.Stack, machineKeys...); err != nil {
		return err
	}
	if d.isLocal() {
		containers := d.stackLabel()
		if d.onKind() { // where kubectl does not answer if they are stopped
			containers = d.nodeLabel()
		}
		const table = "table {{.Names}}\t{{.Status}}\t{{.Ports}}"
		out, err := d.docker(ctx, "ps", "--all", "--filter", containers, "--format", table)
		d.section("containers", out, err)
	}
	if d.onKind() {
		out, err := d.kubectl(ctx, "get", "nodes,pods,hpa,ingress", "--namespace", d.setting("namespace"))
		d.section("cluster "+d.Cluster, out, err)
	}
	if _, err = d.connect(ctx); err != nil || !d.existed {
		d.section("stack "+d.Stack, "not created yet", err)
		return nil
	}
	updates, err := d.pulumi.History(ctx, 1, 1, opthistory.ShowSecrets(false))
	text := "never updated"
	if len(updates) > 0 && updates[0].EndTime != nil {
		last := updates[0]
		changes, _ := json.Marshal(last.ResourceChanges) // sorted by key
		text = fmt.Sprintf("last %s: %s at %s, changes %s", last.Kind, last.Result, *last.EndTime, changes)
	}
	d.section("stack "+d.Stack, text, d.explain(err))
	o, err := d.outputs(ctx, d.stack, d.Stack)
	d.section("URL", o.URL, err)
	if path := d.setting("readyPath"); o.URL != "" && path != "" { // GET / would count a visit
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
	d.printf("==> %s\n", title)
	d.note("%s", cmp.Or(strings.TrimSpace(text), "none"))
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
	said = res.Status
	if served := res.Header.Get("X-Served-By"); served != "" {
		said += ", X-Served-By: " + served
	}
	return res.StatusCode, strings.TrimSpace(said + "\n" + strings.TrimSpace(string(body))), err
}

// waitForAnswer sends requests until the status is one that an app or a registry may have: not 404, which an ingress
// controller sends before it knows the app, nor 500 and above. It returns that answer. After `pulumi up`, which has
// waited for the pods, the ingress controller still has to notice them; a new registry needs about a second.
func waitForAnswer(ctx context.Context, url string) (string, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		status, said, err := get(ctx, url)
		if err == nil && (status >= 500 || status == http.StatusNotFound) {
			err = fmt.Errorf("GET %s: %s", url, said)
		}
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return said, err
		}
	}
}

// followScript runs kubectl until standard input ends. Docker does not stop a process in a container when its client is
// interrupted, but it closes the input; otherwise every Ctrl-C would leave a kubectl running in the node.
const followScript = `exec 3<&0
kubectl "$@" </dev/null & k=$!
{ cat <&3; kill $k; } >/dev/null 2>&1 &
wait $k`

// containersScript prints the logs of containers side by side, each line with its container's name.
const containersScript = `for c in $containers; do
  docker logs $options "$c" 2>&1 | awk -v name="$c" '{ print "[" name "] " $0; fflush() }' &
done
wait`

// logs prints the log lines of one component's pods or containers, each with its name.
func (d *driver) logs(ctx context.Context) (err error) {
	if d.stack, err = d.openStack(d.Stack, machineKeys...); err != nil {
		return err
	}
	c, err := d.logCommand(ctx)
	if err != nil {
		return err
	}
	open, hold, err := os.Pipe() // an input that does not end before this process does
	if err != nil {
		return err
	}
	defer func() { _ = hold.Close() }()
	c.stdin, c.live = open, d.out
	if _, err := d.host.Run(ctx, c); err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading the logs of %s: %w", d.Component, err)
	}
	return nil
}

func (d *driver) logCommand(ctx context.Context) (command, error) {
	options := []string{"--tail", "20", fmt.Sprintf("--follow=%t", d.Follow)} // of each: about a screen for two pods
	if d.onDocker() {
		names, err := d.containers(ctx, d.stackLabel(), "label=scaleout.component="+d.Component)
		if err == nil && len(names) == 0 {
			err = fmt.Errorf("stack %s has no container of %s; `make up STACK=%[1]s` creates web, redis and nginx",
				d.Stack, d.Component)
		}
		env := []string{"containers=" + strings.Join(names, " "), "options=" + strings.Join(options, " ")}
		return command{name: "sh", args: []string{"-c", containersScript}, env: env}, err
	}
	label, namespace := d.Component, d.setting("namespace")
	switch d.Component {
	case "web":
		label = "webapp"
	case "traefik":
		namespace = "traefik"
	}
	args := append([]string{"logs", "--namespace", namespace, "--selector", "app.kubernetes.io/name=" + label,
		"--all-containers", "--prefix", "--max-log-requests", "50"}, options...) // kubectl follows 5 pods by default
	if !d.onKind() {
		return command{}, fmt.Errorf("stack %s does not run on this machine; with your own kubectl: kubectl %s",
			d.Stack, strings.Join(args, " "))
	}
	if !d.Follow {
		return inNode(d.controlPlane(), "kubectl", args...), nil
	}
	return inNode(d.controlPlane(), "sh", append([]string{"-c", followScript, "follow"}, args...)...), nil
}

// diagnose shows, after a failed update on kind, the stack's pods, their latest warnings and the end of their logs.
// Pulumi's message names the object that failed, but not always the reason.
func (d *driver) diagnose(ctx context.Context) {
	if !d.onKind() || ctx.Err() != nil {
		return
	}
	for _, args := range [][]string{
		{"get", "pods"},
		{"get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp", "--no-headers",
			"--output=custom-columns=:.involvedObject.name,:.message"},
		{"logs", "--selector=" + partOf, "--all-containers", "--prefix", "--ignore-errors", "--tail=8"},
	} {
		out, _ := d.kubectl(ctx, append(args, "--namespace", d.setting("namespace"))...) // the update's error is reported
		d.note("%s", lastLines(out, 60))
	}
}
