package main

import (
	"context"
	"fmt"
	"net"
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

func takenPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestPortIsFree(t *testing.T) {
	taken := takenPort(t)
	other := takenPort(t) // by something that is no container
	nginx := func(port int) string {
		return fmt.Sprintf(`[{"Id":"n","State":{"Running":true},"HostConfig":{"PortBindings":{"8080/tcp":[{"HostPort":"%d"}]}}}]`, port)
	}
	for _, tt := range []struct {
		name    string
		port    int
		inspect reply
		want    string
	}{
		{"by our nginx", taken, reply{out: nginx(taken)}, "this stack's"},
		{"by another container", taken, reply{out: nginx(1)}, "HTTP_PORT"},
		{"by something else", other, reply{fails: "No such container"}, fmt.Sprintf("port %d", other)},
	} {
		tt.inspect.command = "docker container inspect scaleout-nginx"
		d, _, s := newDockerDriver(t, tt.port, tt.inspect)
		did, err := d.portIsFree(context.Background(), s)
		if text := fmt.Sprint(did, err); !strings.Contains(text, tt.want) || strings.Contains(tt.want, "this stack") != (err == nil) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, did, err, tt.want)
		}
	}
}

func TestPortOfNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	d, host, s := newDockerDriver(t, listener.Addr().(*net.TCPAddr).Port)
	if did, err := d.portIsFree(context.Background(), s); !strings.HasSuffix(did, " is free") || err != nil || len(host.ran) > 0 {
		t.Errorf("got %q, %v", did, err)
	}
}

// Pulumi would replace a container that stands still, and the data of Redis with it.
func TestStartContainers(t *testing.T) {
	list := "docker ps --all --filter label=scaleout.network=scaleout --format {{.Names}} --filter status=exited --filter status=created"
	for _, tt := range []struct {
		name, exited string
		start        reply
		want         string
	}{
		{"none", "", reply{}, "none stands still"},
		{"two", "scaleout-redis\nscaleout-web-1\n", reply{}, "started scaleout-redis\nstarted scaleout-web-1"},
		{"one that is broken", "scaleout-web-1\n", reply{fails: "exec format error"}, "could not start scaleout-web-1"},
		{"Redis", "scaleout-redis\n", reply{fails: "exec format error"}, "scaleout-redis does not start"},
	} {
		tt.start.command = "docker start"
		d, host, s := newDockerDriver(t, 8090, reply{command: list, out: tt.exited}, tt.start)
		did, err := d.startContainers(context.Background(), s)
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
	list := "docker ps --all --filter label=scaleout.network=scaleout --filter label=scaleout.component=nginx"
	d, host, s := newDockerDriver(t, 8090, reply{command: list, out: "a\nb\n"}, reply{command: "sh -c"})
	d.Component, d.Follow = "nginx", true
	if err := d.containerLogs(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(host.ran[1].env, ";"); got != "containers=a b;options=--tail 20 --follow" {
		t.Errorf("got %q", got)
	}
	d, _, s = newDockerDriver(t, 8090, reply{command: list})
	d.Component = "nginx"
	wantError(t, d.containerLogs(context.Background(), s), "no container of nginx", "make up STACK=docker")
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
		{"a cluster uses the registry", runningNodes, reply{}, "", 0, ""},
		{"the destroy fails", "", reply{fails: "error: deleting failed"}, "", 0, "destroying stack docker"},
		{"containers are left", "", reply{}, "scaleout-web-1\n", 0, "docker rm --force --volumes scaleout-web-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.destroys.command = "/usr/bin/pulumi destroy"
			d, host, _ := newDockerDriver(t, 8090,
				reply{command: "docker version", out: "28.0.0"}, reply{command: "/usr/bin/pulumi version", out: "v3.276.0"},
				reply{command: "/usr/bin/pulumi stack ls", out: `[{"name":"docker"}]`}, tt.destroys,
				reply{command: "/usr/bin/pulumi stack export", out: `{"deployment": {}}`},
				reply{command: "/usr/bin/pulumi stack rm docker --yes --force --preserve-config"},
				reply{command: "docker ps --all --filter label=scaleout.network", out: tt.left},
				reply{command: "docker ps", out: tt.nodes},
				reply{command: "docker container inspect", out: registryJSON(true, 5001, ourLabel)},
				reply{command: "docker rm --force --volumes kind-registry"})
			d.pulumi, host.path = "", map[string]string{"pulumi": "/usr/bin/pulumi"}
			err := d.down(context.Background())
			if tt.fails != "" {
				wantError(t, err, tt.fails)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := len(host.asked("docker rm")); got != tt.registries {
				t.Errorf("removed %d registries, want %d", got, tt.registries)
			}
			if removed := len(host.asked("/usr/bin/pulumi stack rm")); (removed == 1) != (tt.fails == "") {
				t.Errorf("removed %d stacks", removed)
			}
		})
	}
}

// Images that go elsewhere need no registry here, and are not pushed anew when the one here is another.
func TestImagesElsewhere(t *testing.T) {
	d, host, s := newDockerDriver(t, 8090, reply{command: "pulumi up"},
		reply{command: "docker container inspect", out: registryJSON(true, 5001, ourLabel)})
	s.existed = true
	s.file.set(keyImageRepository, "registry.example.com/app")
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
		if got := s.setting(keyPublicPort); got != want || s.file.has(keyKubeContext) {
			t.Errorf("HTTP_PORT=%d: got port %s, and a context: %t", port, got, s.file.has(keyKubeContext))
		}
	}
}
