package main

import (
	"context"
	"fmt"
	"strings"
)

// logLines is how many recent lines of each pod are printed: about a screen for two pods.
const logLines = "20"

// followScript runs kubectl until standard input ends. Docker does not end what runs in a container when its client
// is interrupted, but it does close the input; otherwise every Ctrl-C would leave a kubectl in the node.
const followScript = `exec 3<&0
kubectl "$@" </dev/null & k=$!
{ cat <&3; kill $k; } >/dev/null 2>&1 &
wait $k`

// logs prints the log lines of one component's pods, each with its pod's name.
func (d *driver) logs(ctx context.Context) error {
	s, err := d.openStack()
	if err != nil {
		return err
	}
	if s.onDocker() {
		return d.containerLogs(ctx, s)
	}
	if d.Component == "nginx" {
		return fmt.Errorf("stack %s has no nginx, which is for stacks on Docker: COMPONENT is web, redis or traefik", d.Stack)
	}
	args := logArgs(d.Component, s.setting(keyNamespace))
	if !s.onKind() {
		return fmt.Errorf("stack %s is not on this machine; with your own kubectl: kubectl %s", d.Stack, strings.Join(args, " "))
	}
	c := d.kubectlCommand("", args...)
	if d.Follow {
		c = d.inNode("sh", append([]string{"-c", followScript, "follow", kubeconfigFlag}, append(args, "--follow")...)...)
		c.holdStdin = true
	}
	c.live = d.out
	if _, err := d.host.Run(ctx, c); err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading the logs of %s: %w", d.Component, err)
	}
	return nil
}

// logArgs are kubectl's arguments for the logs of web, redis or traefik.
func logArgs(component, namespace string) []string {
	name := component
	switch component {
	case "web":
		name = "webapp"
	case "traefik":
		namespace = "traefik"
	}
	return []string{"logs", "--namespace", namespace, "--selector", "app.kubernetes.io/name=" + name,
		"--all-containers", "--prefix", "--tail", logLines,
		"--max-log-requests", "50"} // kubectl follows 5 pods by default, and there may be maxReplicas of them
}
