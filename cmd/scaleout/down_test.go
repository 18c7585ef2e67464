package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// controlPlane is the container of a cluster that `up` made in the driver's folder.
func controlPlane(running bool) string {
	return fmt.Sprintf(`[{"Id":"made-here","State":{"Running":%t}}]`, running)
}

// downReplies are the answers of a machine on which everything is there.
func downReplies() []reply {
	return []reply{
		{command: "docker version", out: "28.0.0"},
		{command: "docker info", out: "daemon"},
		{command: "pulumi version", out: "v3.276.0"},
		{command: "pulumi stack ls", out: `[{"name":"dev"}]`},
		{command: "pulumi destroy"},
		{command: "pulumi stack export", out: `{"deployment": {}}`},
		{command: "pulumi stack rm dev --yes --force --preserve-config"},
		{command: "docker ps --all --format {{.Names}} --filter label=io.x-k8s.kind.cluster=scaleout", out: runningNodes},
		{command: "go -C"},
		{command: "docker container inspect scaleout-control-plane", out: controlPlane(true)},
		{command: "docker container inspect kind-registry", out: registryJSON(true, 5001, `"scaleout.made-in":"HERE"`)},
		{command: "docker rm --force --volumes kind-registry"},
		{command: "docker exec --interactive scaleout-control-plane kubectl get namespaces", out: "namespace/scaleout\nnamespace/traefik\n"},
		{command: "docker ps"}, // other clusters' nodes
	}
}

// downDriver is a driver on a machine with these answers, which made cluster and registry itself.
func downDriver(t *testing.T, replies []reply) (*driver, *fakeRunner, *bytes.Buffer) {
	t.Helper()
	d, host, out := newTestDriver(t, replies...)
	for i := range replies {
		host.replies[i].out = strings.ReplaceAll(host.replies[i].out, "HERE", d.root)
	}
	d.pulumi = ""
	if err := d.setMark(markCluster, d.Cluster, "made-here"); err != nil {
		t.Fatal(err)
	}
	return d, host, out
}

func newDownDriver(t *testing.T, change func([]reply)) (*driver, *fakeRunner) {
	replies := downReplies()
	if change != nil {
		change(replies)
	}
	d, host, _ := downDriver(t, replies)
	return d, host
}

func TestDown(t *testing.T) {
	tests := []struct {
		name                                          string
		change                                        func([]reply)
		destroys, stackRemovals, clusters, registries int
	}{
		{"everything is there", nil, 1, 1, 1, 1},
		{"the cluster is gone", func(r []reply) { r[7].out, r[9].fails = "", "no such container" }, 0, 1, 0, 1},
		{"the cluster is stopped", func(r []reply) { r[9].out = controlPlane(false) }, 0, 1, 1, 1},
		{"the stack is gone", func(r []reply) { r[3].out = "[]" }, 0, 0, 1, 1},
		{"the registry is another's", func(r []reply) { r[10].out = registryJSON(true, 5001, `"scaleout.made-in":"/elsewhere"`) }, 1, 1, 1, 0},
		{"the cluster is another's", func(r []reply) { r[9].out = `[{"Id":"of-another-checkout","State":{"Running":true}}]` }, 1, 1, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, host := newDownDriver(t, tt.change)
			if err := d.down(context.Background()); err != nil {
				t.Fatal(err)
			}
			for prefix, want := range map[string]int{
				"pulumi destroy": tt.destroys, "pulumi stack rm": tt.stackRemovals,
				"go -C": tt.clusters, "docker rm": tt.registries,
			} {
				if got := host.asked(prefix); len(got) != want {
					t.Errorf("got %q, want %d of %q", got, want, prefix)
				}
			}
		})
	}
}

// TestDownLeavesWhatOthersUse: stacks of other folders in the cluster, and other clusters that pull from the registry.
func TestDownLeavesWhatOthersUse(t *testing.T) {
	for _, tt := range []struct {
		name, mark, namespaces, otherNodes string
		clusters, registries               int
		says                               string
	}{
		{"another folder's stack", "made-here", "namespace/scaleout\nnamespace/shop\n", "", 0, 0, "namespace/shop of another folder"},
		{"another folder has finished it", unfinished, "namespace/scaleout\n", "", 0, 0, "namespace/scaleout of another folder"},
		{"another cluster", "made-here", "namespace/scaleout\n", "two-control-plane\n", 1, 0, "two-control-plane may pull from it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, host, out := downDriver(t, downReplies())
			host.replies[12].out, host.replies[13].out = tt.namespaces, tt.otherNodes
			if err := d.setMark(markCluster, d.Cluster, tt.mark); err != nil {
				t.Fatal(err)
			}
			said := d.down(t.Context())
			if (said != nil) != (tt.mark == unfinished) {
				t.Errorf("got the error %v", said)
			}
			if len(host.asked("go -C")) != tt.clusters || len(host.asked("docker rm")) != tt.registries {
				t.Errorf("got %q, want %d clusters and %d registries removed", host.asked(""), tt.clusters, tt.registries)
			}
			if text := fmt.Sprint(out, said); !strings.Contains(text, tt.says) {
				t.Errorf("got %s\nwant %q in it", text, tt.says)
			}
		})
	}
}

// TestDownAfterAnInterruption: what the update made and did not note is deleted, in the cluster and in kube-system.
func TestDownAfterAnInterruption(t *testing.T) {
	d, host, _ := downDriver(t, downReplies())
	host.replies = append([]reply{{command: "docker exec --interactive scaleout-control-plane kubectl delete"}}, host.replies...)
	write(t, filepath.Join(d.root, "Pulumi.dev.yaml"), devYAML+"  scaleout:installTraefik: true\n")
	if err := errors.Join(d.setMark(markUnderWay, d.Stack, "up"), d.down(t.Context())); err != nil {
		t.Fatal(err)
	}
	deleted := strings.Join(host.asked("docker exec --interactive scaleout-control-plane kubectl delete"), "\n")
	for _, want := range []string{"metadata.name=scaleout ", "metadata.name=scaleout-prometheus", "instance=traefik", "ingressclasses"} {
		if !strings.Contains(deleted, want) {
			t.Errorf("got %s\nwant %q in it", deleted, want)
		}
	}
	if strings.Contains(deleted, "instance=metrics-server") {
		t.Errorf("got %s, want a metrics-server of others left", deleted)
	}
}

func TestDownGoesOnAfterAFailedDestroy(t *testing.T) {
	d, host := newDownDriver(t, func(r []reply) { r[4].fails = "error: deleting failed" })
	err := d.down(context.Background())
	wantError(t, err, "destroying stack dev")
	if len(host.asked("go -C")) != 1 || len(host.asked("docker rm")) != 1 {
		t.Errorf("got %q, want cluster and registry removed all the same", host.asked(""))
	}
}

// withNeighbour are the answers of a machine on which another stack is in the cluster of a context.
func withNeighbour(kubeContext string, replies []reply) []reply {
	replies[3].out = `[{"name":"dev","resourceCount":9},{"name":"empty"},{"name":"acme/other","resourceCount":1}]`
	state := `{"deployment": {"resources": [{"type": "pulumi:providers:kubernetes", "inputs": {"context": "` + kubeContext + `"}}]}}`
	return append([]reply{{command: "pulumi stack export --stack other", out: state}}, replies...)
}

// TestDownLeavesAClusterThatIsUsed: it goes with the last of its stacks.
func TestDownLeavesAClusterThatIsUsed(t *testing.T) {
	for kubeContext, clusters := range map[string]int{"kind-scaleout": 0, "kind-elsewhere": 1} {
		d, host, out := downDriver(t, withNeighbour(kubeContext, downReplies()))
		if err := d.down(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(host.asked("go -C")) != clusters || len(host.asked("docker rm")) != clusters {
			t.Errorf("%s: got %q, want %d clusters and registries removed", kubeContext, host.asked(""), clusters)
		}
		if len(host.asked("pulumi stack rm")) != 1 {
			t.Errorf("%s: got %q, want the stack removed", kubeContext, host.asked(""))
		}
		if says := strings.Contains(out.String(), "other is in them"); says != (clusters == 0) {
			t.Errorf("%s: got %q", kubeContext, out)
		}
	}
}

// What stays in the cluster must not be forgotten.
func TestDownBesideANeighbourNeedsTheDestroy(t *testing.T) {
	for name, change := range map[string]func([]reply){
		"destroying stack dev": func(r []reply) { r[4].fails = "error: deleting failed" },
		"not running":          func(r []reply) { r[9].out = controlPlane(false) },
	} {
		replies := downReplies()
		change(replies)
		d, host, _ := downDriver(t, withNeighbour("kind-scaleout", replies))
		wantError(t, d.down(context.Background()), name)
		if len(host.asked("pulumi stack rm"))+len(host.asked("go -C"))+len(host.asked("docker rm")) > 0 {
			t.Errorf("%s: got %q, want nothing removed", name, host.asked(""))
		}
	}
}
