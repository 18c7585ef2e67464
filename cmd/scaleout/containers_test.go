package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const dockerYAML = `config:
  scaleout:target: docker
  scaleout:imageRepository: localhost:5001/scaleout
  scaleout:publicPort: %d
`

// newDockerDriver is a driver for a stack on Docker that publishes the port.
func newDockerDriver(t *testing.T, port int, replies ...reply) (*driver, *fakeRunner, *stack) {
	t.Helper()
	d, host, _ := newTestDriver(t, replies...)
	d.Stack = "docker"
	write(t, filepath.Join(d.root, "Pulumi.docker.yaml"), fmt.Sprintf(dockerYAML, port))
	return d, host, openTestStack(t, d)
}

// Pulumi would replace a container that stands still, and the data of Redis with it.
func TestStartContainers(t *testing.T) {
	list := "docker ps --all --format {{.Names}} --filter label=scaleout.network=scaleout --filter status=exited " +
		"--filter status=created"
	for _, tt := range []struct {
		name, exited string
		start        reply
		want         string
	}{
		{"none", "", reply{}, ""},
		{"two", "scaleout-redis\nscaleout-web-1\n", reply{}, "started scaleout-redis\n    started scaleout-web-1"},
		{"one that is broken", "scaleout-web-1\n", reply{fails: "exec format error"}, "could not start scaleout-web-1"},
		{"Redis", "scaleout-redis\n", reply{fails: "exec format error"}, "scaleout-redis does not start"},
	} {
		tt.start.command = "docker start"
		d, host, s := newDockerDriver(t, 8090, reply{command: list, out: tt.exited}, tt.start)
		out := new(bytes.Buffer)
		d.out = out
		err := d.startContainers(context.Background(), s)
		did := strings.TrimSpace(out.String())
		if err != nil {
			did = err.Error()
		}
		if !strings.HasPrefix(did, tt.want) || (err != nil) != (tt.name == "Redis") {
			t.Errorf("%s: got %q, %v; want %q", tt.name, did, err, tt.want)
		}
		if starts := host.asked("docker start"); len(starts) != len(strings.Fields(tt.exited)) {
			t.Errorf("%s: got %q", tt.name, starts)
		}
	}
}

func TestContainerLogs(t *testing.T) {
	list := "docker ps --all --format {{.Names}} --filter label=scaleout.network=scaleout " +
		"--filter label=scaleout.component=nginx"
	d, _, s := newDockerDriver(t, 8090, reply{command: list, out: "a\nb\n"})
	d.Component, d.Follow = "nginx", true
	c, err := d.logCommand(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.env, ";"); got != "containers=a b;options=--tail 20 --follow" {
		t.Errorf("got %q", got)
	}
	d, _, s = newDockerDriver(t, 8090, reply{command: list})
	d.Component = "nginx"
	_, err = d.logCommand(context.Background(), s)
	wantError(t, err, "no container of nginx", "make up STACK=docker")
}

func TestDownOnDocker(t *testing.T) {
	for _, tt := range []struct {
		name       string
		nodes      string
		destroys   reply
		left       string
		registries int
		fails      string
	}{
		{"no cluster", "", reply{}, "", 1, ""},
		{"a cluster may use the registry", "another-control-plane", reply{}, "", 0, ""},
		{"the destroy fails", "", reply{fails: "error: deleting failed"}, "", 0, "destroying stack docker"},
		{"containers are left", "", reply{}, "scaleout-web-1\n", 0, "docker rm --force --volumes scaleout-web-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.destroys.command = "pulumi destroy"
			d, host, _ := newDockerDriver(t, 8090,
				reply{command: "docker version", out: "28.0.0"}, reply{command: "pulumi version", out: "v3.276.0"},
				reply{command: "docker info", out: "daemon"},
				reply{command: "pulumi stack ls", out: `[{"name":"docker","resourceCount":9}]`}, tt.destroys,
				reply{command: "pulumi stack export", out: `{"deployment": {}}`},
				reply{command: "pulumi stack rm docker --yes --force --preserve-config"},
				reply{command: "docker ps --all --format {{.Names}} --filter label=scaleout.network", out: tt.left},
				reply{command: "docker ps", out: tt.nodes},
				reply{command: "docker rm --force --volumes kind-registry"})
			host.replies = append(host.replies,
				reply{command: "docker container inspect", out: registryJSON(true, 5001, ourLabel(d))})
			d.pulumi = ""
			err := d.down(context.Background())
			if tt.fails != "" {
				wantError(t, err, tt.fails)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := len(host.asked("docker rm")); got != tt.registries {
				t.Errorf("removed %d registries, want %d", got, tt.registries)
			}
			if removed := len(host.asked("pulumi stack rm")); (removed == 1) != (tt.fails == "") {
				t.Errorf("removed %d stacks", removed)
			}
		})
	}
}

// Images that go elsewhere need no registry here, and are not pushed anew when the one here is another.
func TestImagesElsewhere(t *testing.T) {
	d, host, s := newDockerDriver(t, 8090, reply{command: "pulumi up"}, reply{command: "docker ps"},
		reply{command: "pulumi stack export", out: stateJSON(imageJSON("registry.example.com/app@sha256:" + strings.Repeat("0", 64)))})
	s.existed = true
	s.set(keyImageRepository, "registry.example.com/app")
	if _, err := d.update(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if ran := host.asked("pulumi up"); s.pushesHere() || len(ran) != 1 || strings.Contains(ran[0], "--replace") {
		t.Errorf("got %q", ran)
	}
}

func TestMatchSettingsOnDocker(t *testing.T) {
	for port, want := range map[int]string{0: "8090", 9090: "9090"} {
		d, _, s := newDockerDriver(t, 8090, reply{command: "docker version", out: "linux/amd64"})
		d.RegistryPort, d.HTTPPort = 5001, port
		if _, err := d.matchSettings(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if got := s.setting(keyPublicPort); got != want || s.has(keyKubeContext) {
			t.Errorf("HTTP_PORT=%d: got port %s, and a context: %t", port, got, s.has(keyKubeContext))
		}
	}
}
