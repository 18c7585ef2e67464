package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// listen starts a server on a free port and returns the port.
func listen(t *testing.T, status int) int {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			t.Errorf("got a request for %s, want /v2/", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

var lastPort = 20000

// freePort returns another port each time.
func freePort() int {
	for lastPort++; portTaken(lastPort); lastPort++ {
	}
	return lastPort
}

const noContainer = "Error response from daemon: No such container: x"

// registryJSON is a registry that `up` created in a folder.
func registryJSON(port int, folder string) string {
	return fmt.Sprintf(`[{"Id":"abc","Config":{"Labels":{"scaleout.made-in":"%s"}},
		"HostConfig":{"PortBindings":{"5000/tcp":[{"HostIp":"127.0.0.1","HostPort":"%d"}]}}}]`, folder, port)
}

func TestRegistry(t *testing.T) {
	open, login := listen(t, http.StatusOK), listen(t, http.StatusUnauthorized)
	for _, tt := range []struct {
		name, container string
		requested, port int
		started         int // it may be stopped
		fails           []string
	}{
		{"no port requested", registryJSON(open, ""), 0, open, 1, nil},
		{"requires a login", registryJSON(login, ""), login, login, 1, nil},
		{"has another port", registryJSON(5001, ""), 5002, 0, 0,
			[]string{"registry kind-registry was created with port 5001", "REGISTRY_PORT=5002", "set REGISTRY_NAME"}},
		{"its port is taken", "", open, 0, 0, []string{"is taken", "REGISTRY_PORT", "REGISTRY_NAME"}},
		{"publishes nothing", `[{"Id":"abc"}]`, 0, 0, 0,
			[]string{"kind-registry publishes no port for 5000/tcp", "REGISTRY_NAME"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inspect := reply{command: "docker container inspect kind-registry", out: tt.container}
			if tt.container == "" {
				inspect.fails = noContainer
			}
			d, host, _ := newTestDriver(t, inspect, reply{command: "docker start kind-registry"})
			d.RegistryPort = tt.requested
			got, err := d.registry(t.Context())
			if tt.fails != nil {
				wantError(t, err, tt.fails...)
			} else if err != nil || !strings.HasPrefix(got, "exists kind-registry") || d.RegistryPort != tt.port {
				t.Errorf("got %q, port %d and %v, want port %d", got, d.RegistryPort, err, tt.port)
			}
			if len(host.asked("docker start")) != tt.started || len(host.ran) != 1+tt.started {
				t.Errorf("got %q, want %d starts", host.asked(""), tt.started)
			}
		})
	}
}

func TestCreateRegistry(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "docker run"})
	d.RegistryPort = freePort()
	must(d.createRegistry(t.Context()))
	wantParts(t, host.asked("docker run"), "--label scaleout.made-in="+d.root, "--name kind-registry "+registryImage,
		fmt.Sprintf("--publish 127.0.0.1:%d:5000", d.RegistryPort))
}
