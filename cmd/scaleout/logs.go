package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// logLines limits the recent lines of each pod: about a screen for two pods.
const logLines = "20"

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
func (d *driver) logs(ctx context.Context) error {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return err
	}
	c, err := d.logCommand(ctx, s)
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

func (d *driver) logCommand(ctx context.Context, s *stack) (command, error) {
	if s.onDocker() {
		names, err := d.containers(ctx, stackLabel(s), "label=scaleout.component="+d.Component)
		if err == nil && len(names) == 0 {
			err = fmt.Errorf("stack %s has no container of %s; `make up STACK=%[1]s` creates web, redis and nginx",
				d.Stack, d.Component)
		}
		options := "--tail " + logLines
		if d.Follow {
			options += " --follow"
		}
		env := []string{"containers=" + strings.Join(names, " "), "options=" + options}
		return command{name: "sh", args: []string{"-c", containersScript}, env: env}, err
	}
	label, namespace := d.Component, s.setting("namespace")
	switch d.Component {
	case "web":
		label = "webapp"
	case "traefik":
		namespace = "traefik"
	}
	args := []string{"logs", "--namespace", namespace, "--selector", "app.kubernetes.io/name=" + label,
		"--all-containers", "--prefix", "--tail", logLines,
		"--max-log-requests", "50"} // kubectl follows 5 pods by default
	if !s.onKind() {
		return command{}, fmt.Errorf("stack %s does not run on this machine; with your own kubectl: kubectl %s",
			d.Stack, strings.Join(args, " "))
	}
	if !d.Follow {
		return d.inNode("kubectl", args...), nil
	}
	return d.inNode("sh", append([]string{"-c", followScript, "follow"}, append(args, "--follow")...)...), nil
}

// diagnose shows, after a failed update on kind, the stack's pods, their latest warnings and the end of their logs.
// Pulumi's message names the object that failed, but not always the reason.
func (d *driver) diagnose(ctx context.Context, s *stack) {
	if !s.onKind() || ctx.Err() != nil {
		return
	}
	for _, args := range [][]string{
		{"get", "pods"},
		{"get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp", "--no-headers",
			"--output=custom-columns=:.involvedObject.name,:.message"},
		{"logs", "--selector=" + partOf, "--all-containers", "--prefix", "--ignore-errors", "--tail=8"},
	} {
		out, _ := d.kubectl(ctx, append(args, "--namespace", s.setting("namespace"))...) // the update's error is reported
		lines := strings.Split(out, "\n")
		for _, line := range lines[max(0, len(lines)-60):] {
			d.note("%s", line)
		}
	}
}
