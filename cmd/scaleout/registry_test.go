package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// listen starts a server on a free port and returns the port.
func listen(t *testing.T, status int) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			t.Errorf("got a request for %s, want /v2/", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func registryJSON(running bool, port int, label string) string {
	return fmt.Sprintf(`[{"Id":"abc","State":{"Running":%t},"Config":{"Image":"registry:3","Labels":{%s}},
		"HostConfig":{"PortBindings":{"5000/tcp":[{"HostIp":"127.0.0.1","HostPort":"%d"}]}},
		"NetworkSettings":{"Networks":{"bridge":{}}}}]`, running, label, port)
}

const ourLabel = `"scaleout.created-by":"make-up"`

func TestRegistryExists(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		port := listen(t, status)
		d, host, _ := newTestDriver(t, reply{command: "docker container inspect", out: registryJSON(true, port, "")})
		got, err := d.registry(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got, "exists") || d.RegistryPort != port || len(host.ran) != 1 {
			t.Errorf("got %q on port %d after %q, want it used as it is on port %d", got, d.RegistryPort,
				host.asked(""), port)
		}
	}
}

func TestRegistryIsStarted(t *testing.T) {
	d, host, _ := newTestDriver(t,
		reply{command: "docker container inspect kind-registry", out: registryJSON(false, listen(t, 200), "")},
		reply{command: "docker start kind-registry"})
	got, err := d.registry(context.Background())
	if err != nil || !strings.HasPrefix(got, "started") || len(host.asked("docker start")) != 1 {
		t.Errorf("got %q and %v, want it started", got, err)
	}
}

func TestRegistryPortConflicts(t *testing.T) {
	none := reply{command: "docker container inspect", fails: "Error response from daemon: No such container: x"}
	t.Run("the container has another port", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker container inspect", out: registryJSON(true, 5001, "")})
		d.RegistryPort = 5002
		_, err := d.registry(context.Background())
		wantError(t, err, "on port 5001, not 5002", "REGISTRY_PORT")
	})
	t.Run("another registry has the port", func(t *testing.T) {
		d, _, _ := newTestDriver(t, none)
		d.RegistryPort = listen(t, 200)
		_, err := d.registry(context.Background())
		wantError(t, err, "a registry that is not the container kind-registry", "REGISTRY_PORT", "REGISTRY_NAME")
	})
	t.Run("something else has the port", func(t *testing.T) {
		d, _, _ := newTestDriver(t, none)
		d.RegistryPort = listen(t, 404)
		_, err := d.registry(context.Background())
		wantError(t, err, "something that is no registry", "REGISTRY_PORT")
	})
	t.Run("the container publishes nothing", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker container inspect", out: `[{"State":{"Running":true}}]`})
		_, err := d.registry(context.Background())
		wantError(t, err, "publishes no port", "REGISTRY_NAME")
	})
}

func TestCreateRegistry(t *testing.T) {
	port := listen(t, 200)
	d, host, _ := newTestDriver(t, reply{command: "docker image inspect"}, reply{command: "docker run"})
	d.RegistryPort = port
	if _, err := d.runRegistry(context.Background()); err != nil {
		t.Fatal(err)
	}
	ran := host.asked("docker run")
	publish := fmt.Sprintf("127.0.0.1:%d:5000", port)
	for _, want := range []string{"--label " + createdBy, publish, "--name kind-registry registry:3"} {
		if len(ran) != 1 || !strings.Contains(ran[0], want) {
			t.Errorf("got %q, want %q in it", ran, want)
		}
	}
}

func TestImageThatCannotBeHad(t *testing.T) {
	d, host, _ := newTestDriver(t,
		reply{command: "docker image inspect", fails: "No such image"},
		reply{command: "docker pull", fails: "Error: dial tcp: lookup registry.example: no such host"})
	_, err := d.haveImage(context.Background(), "NODE_IMAGE", "one:1", "two:2")
	wantError(t, err, "one:1 or two:2", "not on this machine", "no such host", "set NODE_IMAGE")
	if got := len(host.asked("docker pull")); got != 2 {
		t.Errorf("got %d pulls, want one per image", got)
	}
}

func TestImageOnThisMachineIsNotPulled(t *testing.T) {
	d, host, _ := newTestDriver(t,
		reply{command: "docker image inspect --format {{.Id}} one:1", fails: "No such image"},
		reply{command: "docker image inspect --format {{.Id}} two:2"})
	got, err := d.haveImage(context.Background(), "NODE_IMAGE", "one:1", "two:2")
	if err != nil || got != "two:2" || len(host.asked("docker pull")) != 0 {
		t.Errorf("got %q, %v and pulls %q, want two:2 without a pull", got, err, host.asked("docker pull"))
	}
}

func TestRemoveRegistry(t *testing.T) {
	tests := []struct {
		name, inspect, missing, want string
		removed                      int
	}{
		{"ours", registryJSON(true, 5001, ourLabel), "", "removed", 1},
		{"not ours", registryJSON(true, 5001, `"other":"x"`), "", "left kind-registry alone", 0},
		{"gone", "", "Error: No such container: kind-registry", "none", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, host, _ := newTestDriver(t,
				reply{command: "docker container inspect", out: tt.inspect, fails: tt.missing}, reply{command: "docker rm"})
			got, err := d.removeRegistry(context.Background())
			if err != nil || !strings.HasPrefix(got, tt.want) || len(host.asked("docker rm")) != tt.removed {
				t.Errorf("got %q, %v and %q, want %q", got, err, host.asked("docker rm"), tt.want)
			}
		})
	}
}
