package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func nodeJSON(http, https int) string {
	return fmt.Sprintf(`[{"HostConfig":{"PortBindings":{
		"30080/tcp":[{"HostPort":"%d"}],"30443/tcp":[{"HostPort":"%d"}]}}}]`, http, https)
}

const runningNodes = "scaleout-worker\nscaleout-control-plane\n"

// existing are the answers of a cluster that is there.
func existing() []reply {
	return []reply{
		{command: "docker ps", out: runningNodes},
		{command: "docker container inspect scaleout-control-plane", out: nodeJSON(8080, 8443)},
		{command: "docker start"},
		{command: "docker exec"},
		{command: "go -C"},
	}
}

func TestClusterExists(t *testing.T) {
	d, host, _ := newTestDriver(t, existing()...)
	got, err := d.cluster(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := "exists, 2 node(s), ports 8080 and 8443"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := host.asked("docker start"); len(got) != 1 || got[0] != "docker start scaleout-worker scaleout-control-plane" {
		t.Errorf("got %q, want the nodes started, in case that they are stopped", got)
	}
	if kind := host.asked("go -C"); len(kind) != 1 || !strings.Contains(kind[0], "export kubeconfig --name scaleout") {
		t.Errorf("got %q, want only the kubeconfig exported", kind)
	}
	// The user's own kubeconfig is not touched.
	if env := host.ran[len(host.ran)-1].env; !slices.Equal(env, []string{"KUBECONFIG=" + d.local("kubeconfig")}) {
		t.Errorf("got the environment %q for kind", env)
	}
}

func TestClusterPortConflicts(t *testing.T) {
	t.Run("asked for another port", func(t *testing.T) {
		d, _, _ := newTestDriver(t, existing()...)
		d.HTTPPort = 9090
		_, err := d.cluster(context.Background())
		wantError(t, err, "was made with port 8080", "HTTP_PORT=9090", "unset HTTP_PORT")
	})
	t.Run("a cluster of someone else", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker ps", out: runningNodes},
			reply{command: "docker container inspect", out: `[{"Id":"abc","HostConfig":{"PortBindings":{}}}]`})
		_, err := d.cluster(context.Background())
		wantError(t, err, "no host port for 30080/tcp", "set CLUSTER")
	})
	t.Run("one port for two", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker ps"})
		d.HTTPSPort = 8080
		_, err := d.cluster(context.Background())
		wantError(t, err, "HTTP_PORT and HTTPS_PORT are both 8080")
	})
	t.Run("the port is taken", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "docker ps"})
		d.HTTPSPort = listen(t, 200)
		d.HTTPPort = freePort(t)
		_, err := d.cluster(context.Background())
		wantError(t, err, fmt.Sprintf("port %d on 127.0.0.1 is taken", d.HTTPSPort), "set HTTPS_PORT")
	})
}

var lastPort = 20000

// freePort returns another port each time.
func freePort(t *testing.T) int {
	t.Helper()
	for lastPort++; portTaken(lastPort); lastPort++ {
	}
	return lastPort
}

func TestInterruptedCreationIsReplaced(t *testing.T) {
	left := runningNodes
	var d *driver
	replies := []reply{
		{command: "docker ps", out: left},
		{command: "go -C", does: func(c command) {
			if strings.Contains(line(c), "create cluster") {
				if d.mark(markCluster, "scaleout") != unfinished {
					t.Error("got no creation mark while Kind creates, want one")
				}
				if !strings.Contains(c.stdin, "hostPort: ") {
					t.Errorf("got configuration %q, want the rendered kind.yaml", c.stdin)
				}
			}
		}},
		{command: "docker image inspect"},
		{command: "docker container inspect scaleout-control-plane", out: `[{"Id":"new"}]`},
		{command: "docker exec --interactive scaleout-control-plane kubectl get namespaces", fails: "connection refused"},
		{command: "docker exec"},
	}
	d, host, _ := newTestDriver(t, replies...)
	d.HTTPPort, d.HTTPSPort = freePort(t), freePort(t)
	if err := d.setMark(markCluster, d.Cluster, unfinished); err != nil {
		t.Fatal(err)
	}
	got, err := d.cluster(context.Background())
	if err != nil || !strings.HasPrefix(got, "created") {
		t.Fatalf("got %q and %v, want it created", got, err)
	}
	kind := host.asked("go -C")
	if len(kind) != 2 || !strings.Contains(kind[0], "delete cluster") || !strings.Contains(kind[1], "create cluster") {
		t.Errorf("got %q, want a deletion and a creation", kind)
	}
	if got := d.mark(markCluster, d.Cluster); got != "new" {
		t.Errorf("got the mark %q after the creation, want the container's ID", got)
	}
}

// TestUnfinishedClusterOfOthers: another folder may have finished it, and use it.
func TestUnfinishedClusterOfOthers(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "docker ps", out: runningNodes},
		reply{command: "docker exec", out: "namespace/scaleout\n"})
	if err := d.setMark(markCluster, d.Cluster, unfinished); err != nil {
		t.Fatal(err)
	}
	_, err := d.cluster(t.Context())
	wantError(t, err, "namespace/scaleout of another folder", "set CLUSTER")
	if kind := host.asked("go -C"); len(kind) > 0 {
		t.Errorf("got %q, want the cluster left alone", kind)
	}
}

// TestKilledCreationIsNoted: kind removes what it made, unless it was killed.
func TestKilledCreationIsNoted(t *testing.T) {
	for left, want := range map[string]string{"": "", runningNodes: unfinished} {
		d, host, _ := newTestDriver(t, reply{command: "docker ps"}, reply{command: "docker image inspect"})
		host.replies = append(host.replies, reply{command: "go -C", fails: "killed", does: func(command) { host.replies[0].out = left }})
		d.HTTPPort, d.HTTPSPort = freePort(t), freePort(t)
		_, err := d.cluster(t.Context())
		wantError(t, err, "creating cluster scaleout")
		if got := d.mark(markCluster, d.Cluster); got != want {
			t.Errorf("%q left: got the mark %q, want %q", left, got, want)
		}
	}
}

func TestClusterConfig(t *testing.T) {
	d, _, _ := newTestDriver(t)
	d.HTTPPort, d.HTTPSPort, d.Workers = freePort(t), freePort(t), 2
	got, err := d.clusterConfig()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got, "- role: worker"); n != 2 {
		t.Errorf("got %d workers, want 2", n)
	}
	want := fmt.Sprintf("{containerPort: 30080, hostPort: %d, listenAddress: 127.0.0.1, protocol: TCP}", d.HTTPPort)
	if !strings.Contains(got, want) || strings.Contains(got, "{{") {
		t.Errorf("got %s\nwant %q in it and no template left", got, want)
	}
}

func TestWireRegistry(t *testing.T) {
	d, host, _ := newTestDriver(t,
		reply{command: "docker network connect kind kind-registry",
			fails: "Error response from daemon: endpoint with name kind-registry already exists in network kind"},
		reply{command: "docker ps", out: runningNodes},
		reply{command: "docker exec --interactive"})
	d.RegistryPort = 5002
	got, err := d.wireRegistry(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := "told scaleout-worker, scaleout-control-plane"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	wrote := host.asked("docker exec --interactive scaleout-worker sh")
	if len(wrote) != 1 || !strings.Contains(wrote[0], "/etc/containerd/certs.d/localhost:5002/hosts.toml") {
		t.Errorf("got %q, want hosts.toml written for localhost:5002", wrote)
	}
	if content := host.ran[len(host.ran)-1].stdin; content != "[host.\"http://kind-registry:5000\"]\n" {
		t.Errorf("got hosts.toml %q", content)
	}
	host.replies[0].fails = "Error response from daemon: network kind not found"
	_, err = d.wireRegistry(context.Background())
	wantError(t, err, "network kind not found")
}

func TestDeleteClusterRemovesTheMark(t *testing.T) {
	for _, nodes := range []string{runningNodes, ""} {
		d, _, _ := newTestDriver(t, reply{command: "docker ps", out: nodes}, reply{command: "go -C"})
		if err := d.setMark(markCluster, d.Cluster, unfinished); err != nil {
			t.Fatal(err)
		}
		if _, err := d.deleteCluster(context.Background()); err != nil {
			t.Fatal(err)
		}
		if d.mark(markCluster, d.Cluster) != "" {
			t.Error("got a mark left behind, want none")
		}
	}
}
