package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

func nodeJSON(http, https int) string {
	return fmt.Sprintf(`[{"Id":"new","HostConfig":{"PortBindings":{
		"30080/tcp":[{"HostPort":"%d"}],"30443/tcp":[{"HostPort":"%d"}]}}}]`, http, https)
}

const (
	runningNodes  = "scaleout-worker\nscaleout-control-plane\n"
	getNamespaces = "docker exec --interactive scaleout-control-plane kubectl get namespaces --selector " + partOf
)

// existing are the replies of a machine with the cluster.
func existing() []reply {
	return []reply{
		{command: "docker ps --all --format {{.Names}} --filter label=io.x-k8s.kind.cluster=scaleout", out: runningNodes},
		{command: "docker container inspect scaleout-control-plane", out: nodeJSON(8080, 8443)},
		{command: "docker start"},
		{command: "docker exec --interactive scaleout-control-plane kubectl wait"},
		{command: "docker network connect"}, {command: "docker exec"},
	}
}

func TestClusterExists(t *testing.T) {
	d, host, _ := newTestDriver(t, existing()...)
	if got := must(d.cluster(t.Context())); got != "exists, 2 node(s), ports 8080 and 8443" {
		t.Errorf("got %q", got)
	}
	// The nodes may be stopped. The user's own kubeconfig is not changed.
	wantParts(t, must(d.prepareNodes(t.Context())), "ready")
	want := []string{"docker start scaleout-worker scaleout-control-plane",
		"kind export scaleout " + d.local("kubeconfig") + " false"}
	if got := append(host.asked("docker start"), host.asked("kind")...); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNodesNotReady checks that the wait for the nodes ends.
func TestNodesNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, host, _ := newTestDriver(t, existing()...)
		host.replies[3].fails = "error: timed out"
		_, err := d.prepareNodes(t.Context())
		wantError(t, err, "not ready after 4m0s", "docker logs scaleout-control-plane", "make down", "timed out")
	})
}

func TestClusterConflicts(t *testing.T) {
	taken, free := listen(t, 200), freePort()
	for _, tt := range []struct {
		name, mark, nodes, node string
		http, https             int
		want                    []string
	}{
		{"another port requested", "", runningNodes, nodeJSON(8080, 8443), 9090, 0,
			[]string{"was created with port 8080", "HTTP_PORT=9090", "unset HTTP_PORT"}},
		{"another HTTPS port requested", "", runningNodes, nodeJSON(8080, 8443), 0, 9443,
			[]string{"was created with port 8443", "HTTPS_PORT=9443"}},
		{"not created by up", "", runningNodes, `[{"Id":"abc"}]`, 0, 0,
			[]string{"publishes no port for 30080/tcp", "set CLUSTER"}},
		{"another folder has finished the creation", unfinished, runningNodes, "", 0, 0,
			[]string{"another stack has namespace/scaleout in it", "set CLUSTER"}},
		{"one port for both", "", "", "", free, free, []string{fmt.Sprint("HTTP_PORT and HTTPS_PORT are both ", free)}},
		{"the port is taken", "", "", "", freePort(), taken,
			[]string{fmt.Sprintf("port %d on 127.0.0.1 is taken", taken), "set HTTPS_PORT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, host, _ := newTestDriver(t, reply{command: "docker ps", out: tt.nodes},
				reply{command: "docker container inspect", out: tt.node},
				reply{command: getNamespaces, out: "namespace/scaleout\n"})
			d.HTTPPort, d.HTTPSPort = tt.http, tt.https
			ok(t, d.setMark(markCluster, d.Cluster, tt.mark))
			_, err := d.cluster(t.Context())
			wantError(t, err, tt.want...)
			if len(host.asked("kind")) > 0 {
				t.Errorf("got %q, want the cluster unchanged", host.asked("kind"))
			}
		})
	}
}

// newCluster returns a driver for a cluster that does not exist.
func newCluster(t *testing.T, replies ...reply) (*driver, *fakeRunner) {
	d, host, _ := newTestDriver(t, append(replies, reply{command: "docker ps"}, reply{command: "docker image inspect"},
		reply{command: "docker container inspect", out: nodeJSON(1, 2)}, reply{command: "docker exec"})...)
	d.HTTPPort, d.HTTPSPort = freePort(), freePort()
	return d, host
}

func TestInterruptedCreationIsReplaced(t *testing.T) {
	d, host := newCluster(t, reply{command: "kind create"}, reply{command: "docker ps", out: runningNodes},
		reply{command: getNamespaces, fails: "connection refused"}, reply{command: "docker start"},
		reply{command: "docker network connect"})
	host.replies[0].does = func(command) {
		if d.mark(markCluster, "scaleout") != unfinished {
			t.Error("got no mark during the creation, want one")
		}
	}
	ok(t, d.setMark(markCluster, d.Cluster, unfinished))
	wantParts(t, must(d.cluster(t.Context())), "created from "+nodeImages[0])
	must(d.prepareNodes(t.Context()))
	kubeconfig := d.local("kubeconfig")
	wantParts(t, host.asked("docker exec"), "kubectl wait --for=condition=Ready nodes --all") // kind waits for one
	want := []string{"kind delete scaleout " + kubeconfig, "kind create scaleout " + nodeImages[0] + " " + kubeconfig,
		"kind export scaleout " + kubeconfig + " false"}
	if got := host.asked("kind"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := d.mark(markCluster, d.Cluster); got != "new" {
		t.Errorf("got the mark %q after the creation, want the container's ID", got)
	}
}

// TestCreationThatFails checks that the mark stays only while something of the cluster is left: with it, the next run
// would delete a cluster of that name that somebody else created in the meantime.
func TestCreationThatFails(t *testing.T) {
	for left, want := range map[string]string{"": "", runningNodes: unfinished} {
		d, host := newCluster(t, reply{command: "docker ps"}, reply{command: "kind create", fails: "no such image"})
		host.replies[1].does = func(command) { host.replies[0].out = left }
		_, err := d.cluster(t.Context())
		wantError(t, err, "creating cluster scaleout", nodeImages[0], "NODE_IMAGE", "no such image")
		if got := d.mark(markCluster, d.Cluster); got != want {
			t.Errorf("%q left: got the mark %q, want %q", left, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	d, _ := newCluster(t, reply{command: "kind create", does: func(command) { cancel(); select {} }})
	if _, err := d.cluster(ctx); !errors.Is(err, context.Canceled) || d.mark(markCluster, d.Cluster) != unfinished {
		t.Errorf("interrupted: got %v and the mark %q, want %q", err, d.mark(markCluster, d.Cluster), unfinished)
	}
}

// TestNodeImage checks that an image on this machine needs no download, and that NODE_IMAGE takes precedence.
func TestNodeImage(t *testing.T) {
	images := nodeImages
	for _, tt := range []struct{ first, second, requested, want string }{
		{"", "", "", images[0]}, {"No such image", "", "", images[1]}, {"No such image", "No such image", "", images[0]},
		{"", "", "own:1", "own:1"},
	} {
		d, host := newCluster(t, reply{command: "docker image inspect --format {{.Id}} " + images[0], fails: tt.first},
			reply{command: "docker image inspect --format {{.Id}} " + images[1], fails: tt.second})
		d.NodeImage = tt.requested
		must(d.cluster(t.Context()))
		wantParts(t, host.asked("kind"), "[kind create scaleout "+tt.want+" "+d.local("kubeconfig")+"]")
	}
}

func TestClusterConfig(t *testing.T) {
	d, _, _ := newTestDriver(t)
	d.HTTPPort, d.HTTPSPort, d.Workers = freePort(), freePort(), 2
	nodes := must(d.clusterConfig()).Nodes
	if len(nodes) != 3 || nodes[0].Role != v1alpha4.ControlPlaneRole || nodes[2].Role != v1alpha4.WorkerRole {
		t.Errorf("got %+v, want a control plane and 2 workers", nodes)
	}
	want := []v1alpha4.PortMapping{
		{ContainerPort: 30080, HostPort: int32(d.HTTPPort), ListenAddress: "127.0.0.1"},
		{ContainerPort: 30443, HostPort: int32(d.HTTPSPort), ListenAddress: "127.0.0.1"},
	}
	if ports := nodes[0].ExtraPortMappings; !slices.Equal(ports, want) {
		t.Errorf("got %+v, want %+v", ports, want)
	}
}

func TestPrepareNodes(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "docker network connect kind kind-registry",
		fails: "Error response from daemon: endpoint with name kind-registry already exists in network kind"},
		reply{command: "docker ps", out: runningNodes}, reply{command: "docker start"},
		reply{command: "docker exec --interactive"})
	d.RegistryPort = 5002
	wantParts(t, must(d.prepareNodes(t.Context())), "ready", "scaleout-worker, scaleout-control-plane")
	for _, node := range strings.Fields(runningNodes) {
		wantParts(t, host.asked("docker exec --interactive "+node+" sh"), "'/etc/containerd/certs.d/localhost:5002'")
	}
	if content := string(must(io.ReadAll(host.ran[5].stdin))); content != "[host.\"http://kind-registry:5000\"]\n" {
		t.Errorf("got hosts.toml %q", content)
	}
	host.replies[0].fails = "Error response from daemon: network kind not found"
	_, err := d.prepareNodes(t.Context())
	wantError(t, err, "network kind not found")
}
