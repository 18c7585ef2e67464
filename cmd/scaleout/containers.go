package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// containersOf are the arguments of `docker ps` that find the containers of a stack on Docker, by the labels that the
// program gives them.
func containersOf(s *stack, component string) []string {
	args := []string{"ps", "--all", "--filter", "label=scaleout.network=" + s.setting(keyNamespace)}
	if component != "" {
		args = append(args, "--filter", "label=scaleout.component="+component)
	}
	return args
}

// containerNames lists those containers, or those of them that other filters of `docker ps` let through.
func (d *driver) containerNames(ctx context.Context, s *stack, component string, filters ...string) ([]string, error) {
	args := append(containersOf(s, component), "--format", "{{.Names}}")
	for _, filter := range filters {
		args = append(args, "--filter", filter)
	}
	out, err := d.docker(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("listing the containers of stack %s: %w", d.Stack, err)
	}
	return strings.Fields(out), nil
}

// portIsFree fails early where something else has the port that nginx is to publish.
func (d *driver) portIsFree(ctx context.Context, s *stack) (string, error) {
	port, err := strconv.Atoi(s.setting(keyPublicPort))
	if err != nil || !portTaken(port) {
		return s.setting(keyPublicPort) + " is free", nil // the program itself says what is wrong with a port that is none
	}
	name := s.setting(keyNamespace) + "-nginx"
	nginx, err := d.inspect(ctx, name)
	switch {
	case err != nil:
		return "", err
	case nginx != nil && nginx.State.Running && nginx.hostPort("8080/tcp") == port:
		return fmt.Sprintf("%d is taken by %s, which is this stack's", port, name), nil
	}
	return "", fmt.Errorf("port %d on 127.0.0.1 is taken by something else: set HTTP_PORT to a free one, "+
		"or free it (docker ps --filter publish=%[1]d)", port)
}

// startContainers starts those of the stack that stand still, as after `docker stop`. Pulumi would replace them, and the
// data of Redis would go with its container. So only the others are left to Pulumi where they do not start.
func (d *driver) startContainers(ctx context.Context, s *stack) (string, error) {
	names, err := d.containerNames(ctx, s, "", "status=exited", "status=created")
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "none stands still", nil
	}
	var did []string
	for _, name := range names {
		_, err := d.docker(ctx, "start", name)
		switch {
		case err == nil:
			did = append(did, "started "+name)
		case name == s.setting(keyNamespace)+"-redis":
			return "", fmt.Errorf("%s does not start: %w; Pulumi would replace it, and an anonymous volume with the count "+
				"would go with it. If that may be: docker rm --volumes %[1]s", name, err)
		default:
			did = append(did, "could not start "+name+", Pulumi will replace it")
		}
	}
	return strings.Join(did, "\n"), nil
}

// nothingLeft fails if containers of the stack are left after its destroy: those that Pulumi's state does not know.
func (d *driver) nothingLeft(ctx context.Context, s *stack) (string, error) {
	names, err := d.containerNames(ctx, s, "")
	if err != nil {
		return "", err
	}
	if len(names) > 0 {
		return "", fmt.Errorf("%s are left, which Pulumi's state does not know: docker rm --force --volumes %[1]s",
			strings.Join(names, " "))
	}
	return "none left", nil
}

// containerStatus shows the containers and whether they are healthy.
func (d *driver) containerStatus(ctx context.Context, s *stack) {
	out, err := d.docker(ctx, append(containersOf(s, ""), "--format", "table {{.Names}}\t{{.Status}}\t{{.Ports}}")...)
	d.section("containers", out, err)
}

// logsScript prints or follows the logs of containers side by side, each line with its container's name. As one
// process group it ends with one interrupt.
const logsScript = `for c in $containers; do
  docker logs $options "$c" 2>&1 | awk -v name="$c" '{ print "[" name "] " $0; fflush() }' &
done
wait`

// containerLogs prints the log lines of one component's containers.
func (d *driver) containerLogs(ctx context.Context, s *stack) error {
	names, err := d.containerNames(ctx, s, d.Component)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("stack %s has no container of %s; it has web, redis and nginx once `make up STACK=%[1]s` has run",
			d.Stack, d.Component)
	}
	options := "--tail " + logLines
	if d.Follow {
		options += " --follow"
	}
	env := []string{"containers=" + strings.Join(names, " "), "options=" + options}
	c := command{name: "sh", args: []string{"-c", logsScript}, env: env, live: d.out}
	if _, err := d.host.Run(ctx, c); err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading the logs of %s: %w", d.Component, err)
	}
	return nil
}
