package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const dockerYAML = `config:
  scaleout:target: docker
  scaleout:imageRepository: localhost:5001/scaleout
  scaleout:publicPort: 8090
`

// newDockerDriver returns a driver for a stack on Docker.
func newDockerDriver(t *testing.T, replies ...reply) (*driver, *fakeRunner) {
	d, host, _ := newTestDriver(t, replies...)
	d.Stack = "docker"
	write(t, d.committed("docker"), dockerYAML)
	return openTestStack(t, d), host
}

// TestDaemon checks that a stack's resources on another daemon are not treated as deleted.
func TestDaemon(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "docker info", out: "28.0.0 first linux/aarch64"},
		reply{command: "docker context inspect", out: "unix:///var/run/docker.sock"})
	openTestStack(t, d)
	// Pulumi needs the address of a context, but not that of the default socket.
	for address, want := range map[string]string{"unix:///var/run/docker.sock": "", "tcp://a": "tcp://a"} {
		delete(d.env, "DOCKER_HOST")
		host.replies[1].out = address
		wantParts(t, must(d.dockerAnswers(t.Context())), "28.0.0")
		if got := d.env["DOCKER_HOST"]; d.platform != "linux/arm64" || got != want {
			t.Errorf("got the platform %s and DOCKER_HOST=%s, want %s", d.platform, got, want)
		}
	}
	ok(t, d.setMark(markDaemon, d.Stack, d.daemon))
	host.replies[0].out = "28.0.0 second linux/x86_64"
	_, err := d.dockerAnswers(t.Context())
	wantError(t, err, "another Docker daemon", ".local/docker-daemon-dev")
	host.replies[0].out = "" // of a client without a daemon
	_, err = d.dockerAnswers(t.Context())
	wantError(t, err, "needs a running Docker daemon", "make doctor", "does not answer")
}

// TestStartContainers guards the data of Redis: the refresh of an update would replace a stopped container.
func TestStartContainers(t *testing.T) {
	for _, tt := range []struct{ name, exited, fails, want string }{
		{"none", "", "", "up to date"},
		{"two", "scaleout-redis\nscaleout-web-1\n", "", "started scaleout-redis\n    started scaleout-web-1\n"},
		{"broken", "scaleout-redis\n", "exec format error", "scaleout-redis does not start"},
	} {
		d, host := newDockerDriver(t, reply{command: "docker start", fails: tt.fails}, reply{command: "pulumi up"},
			reply{command: "docker ps --all --format {{.Names}} --filter label=scaleout.network=scaleout " +
				"--filter status=exited --filter status=created", out: tt.exited})
		out := new(bytes.Buffer)
		d.out, d.existed = out, true
		did, err := d.update(t.Context())
		if err != nil {
			did = err.Error()
		}
		wantParts(t, out.String()+did, tt.want)
		commands := strings.Join(host.asked(""), "\n")
		if got := strings.Count(commands, "docker start"); got != len(strings.Fields(tt.exited)) ||
			strings.LastIndex(commands, "docker start") > strings.Index(commands, "pulumi up") != (tt.fails != "") {
			t.Errorf("%s: got %s\nwant the containers started before the update", tt.name, commands)
		}
	}
}

// TestRemoveUnknown checks that only objects that have the label of this stack and are not in its state are removed,
// and only after an interruption.
func TestRemoveUnknown(t *testing.T) {
	const filter = " --quiet --no-trunc --filter label=scaleout.network=scaleout"
	d, host := newDockerDriver(t,
		reply{command: "pulumi stack export", out: stateJSON(`{"urn":"u","type":"t","id":"known"}`)},
		reply{command: "docker container ls --all" + filter, out: "known\nleft\n"},
		reply{command: "docker network ls" + filter, out: "network\n"},
		reply{command: "docker container rm"}, reply{command: "docker network rm"})
	if must(d.recover(t.Context())); len(host.asked("docker")) != 0 {
		t.Errorf("got %q, want no removal without an interruption", host.asked("docker"))
	}
	ok(t, d.setMark(markActive, d.Stack, "up"))
	must(d.recover(t.Context()))
	removed := append(host.asked("docker container rm"), host.asked("docker network rm")...)
	want := []string{"docker container rm --force --volumes left", "docker network rm network"}
	if !slices.Equal(removed, want) {
		t.Errorf("got %q, want %q", removed, want)
	}
}
