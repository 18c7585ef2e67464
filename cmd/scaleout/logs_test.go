package main

import "testing"

func TestContainerLogs(t *testing.T) {
	list := "docker ps --all --format {{.Names}} --filter label=scaleout.network=scaleout " +
		"--filter label=scaleout.component=nginx"
	d, host := newDockerDriver(t, reply{command: list, out: "a\nb\n"})
	d.Component, d.Follow = "nginx", true
	wantParts(t, must(d.logCommand(t.Context())).env, "[containers=a b options=--tail 20 --follow=true]")
	host.replies[0].out = ""
	_, err := d.logCommand(t.Context())
	wantError(t, err, "no container of nginx", "make up STACK=docker")
}

func TestPodLogs(t *testing.T) {
	const logs = "logs --namespace scaleout --selector app.kubernetes.io/name=webapp --all-containers --prefix " +
		"--max-log-requests 50 --tail 20"
	d, host, out := newTestDriver(t, reply{command: "docker exec"})
	ok(t, d.logs(t.Context()))
	d.Follow = true
	ok(t, d.logs(t.Context()))
	wantParts(t, line(host.ran[0]), "docker exec --interactive scaleout-control-plane kubectl "+logs, " --follow=false")
	wantParts(t, line(host.ran[1]), "scaleout-control-plane sh -c ", logs, " --follow=true")
	if c := host.ran[1]; c.stdin == nil || c.live != out {
		t.Errorf("got the input %v and the output %v, want an open pipe and the terminal", c.stdin, c.live)
	}
	write(t, d.committed("dev"), "config:\n  scaleout:target: eks\n")
	wantError(t, d.logs(t.Context()), "does not run on this machine", "kubectl "+logs)
}
