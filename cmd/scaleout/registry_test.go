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

// ourLabel is what `up` gives a registry in the driver's folder.
func ourLabel(d *driver) string { return `"scaleout.made-in":"` + d.root + `"` }

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
	t.Run("something else has the port", func(t *testing.T) {
		d, _, _ := newTestDriver(t, none)
		d.RegistryPort = listen(t, 200)
		_, err := d.registry(context.Background())
		wantError(t, err, "is taken", "REGISTRY_PORT", "REGISTRY_NAME")
	})
	t.Run("the container publishes nothing", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker container inspect", out: `[{"Id":"abc","State":{"Running":true}}]`})
		_, err := d.registry(context.Background())
		wantError(t, err, "publishes no port", "REGISTRY_NAME")
	})
}

func TestCreateRegistry(t *testing.T) {
	port := freePort(t)
	d, host, _ := newTestDriver(t, reply{command: "docker run"})
	d.RegistryPort = port
	if _, err := d.createRegistry(context.Background()); err != nil {
		t.Fatal(err)
	}
	ran := host.asked("docker run")
	publish := fmt.Sprintf("127.0.0.1:%d:5000", port)
	for _, want := range []string{"--label scaleout.made-in=" + d.root, publish, "--name kind-registry " + registryImage} {
		if len(ran) != 1 || !strings.Contains(ran[0], want) {
			t.Errorf("got %q, want %q in it", ran, want)
		}
	}
}

func TestImageOnThisMachineIsTaken(t *testing.T) {
	for _, tt := range []struct{ first, second, want string }{
		{"", "", "one:1"}, {"No such image", "", "two:2"}, {"No such image", "No such image", "one:1"},
	} {
		d, _, _ := newTestDriver(t,
			reply{command: "docker image inspect --format {{.Id}} one:1", fails: tt.first},
			reply{command: "docker image inspect --format {{.Id}} two:2", fails: tt.second})
		if got := d.firstImage(context.Background(), []string{"one:1", "two:2"}); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestRemoveRegistry(t *testing.T) {
	tests := []struct {
		name, label, missing, want string
		removed                    int
	}{
		{"ours", `"scaleout.made-in":"HERE"`, "", "removed", 1},
		{"of another checkout", `"scaleout.made-in":"/elsewhere"`, "", "left kind-registry alone", 0},
		{"nobody's", `"other":"x"`, "", "left kind-registry alone", 0},
		{"gone", "", "Error: No such container: kind-registry", "none", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, host, _ := newTestDriver(t, reply{command: "docker rm"}, reply{command: "docker ps"})
			inspect := registryJSON(true, 5001, strings.ReplaceAll(tt.label, "HERE", d.root))
			host.replies = append(host.replies, reply{command: "docker container inspect", out: inspect, fails: tt.missing})
			got, err := d.removeRegistry(context.Background())
			if err != nil || !strings.HasPrefix(got, tt.want) || len(host.asked("docker rm")) != tt.removed {
				t.Errorf("got %q, %v and %q, want %q", got, err, host.asked("docker rm"), tt.want)
			}
		})
	}
}
