package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// controlPlane is the container of a cluster that `up` created in the driver's folder.
func controlPlane(running bool) string {
	return fmt.Sprintf(`[{"Id":"made-here","State":{"Running":%t}}]`, running)
}

// machine is what `down` finds; newDownDriver sets the defaults. A container without JSON does not exist.
type machine struct {
	*driver
	stacks, controlPlane, nodes, registry, namespaces, otherNodes, containers, mark, active string
	destroy, update                                                                         reply
}

// newDownDriver returns a driver on a machine where `up` created everything, with a change of that.
func newDownDriver(t *testing.T, change func(*machine)) (*driver, *fakeRunner, *bytes.Buffer) {
	d, host, out := newTestDriver(t)
	m := &machine{driver: d, stacks: `[{"name":"dev","resourceCount":9},{"name":"docker","resourceCount":0}]`,
		controlPlane: controlPlane(true), nodes: runningNodes, registry: registryJSON(5001, d.root), mark: "made-here",
		namespaces: "namespace/scaleout\nnamespace/traefik\n"}
	change(m)
	m.destroy.command, m.update.command = "pulumi destroy", "pulumi up"
	inspect := func(name, out string) reply {
		none := map[bool]string{true: noContainer}
		return reply{command: "docker container inspect " + name, out: out, fails: none[out == ""]}
	}
	ask := reply{command: getNamespaces, out: m.namespaces}
	if m.namespaces == "no answer" {
		ask.fails = "connection refused"
	}
	host.replies = []reply{
		{command: "docker info", out: "28.0.0 daemon linux/x86_64"},
		inspect("kind-registry", m.registry), inspect("scaleout-control-plane", m.controlPlane),
		{command: "docker ps --all --format {{.Names}} --filter label=io.x-k8s.kind.cluster=scaleout", out: m.nodes},
		{command: "docker ps --all --format {{.Names}} --filter label=io.x-k8s.kind.cluster", out: m.otherNodes},
		{command: "docker ps --all --format {{.Names}} --filter label=scaleout.network", out: m.containers},
		ask, {command: "docker exec"}, {command: "docker start"},
		{command: "docker container ls", out: "left\n"}, {command: "docker network ls"},
		{command: "docker container rm --force --volumes left"}, {command: "docker rm --force --volumes kind-registry"},
		{command: "pulumi stack ls", out: m.stacks}, {command: "pulumi stack rm --yes " + d.Stack},
		{command: "pulumi stack export", out: stateJSON()}, m.destroy, m.update,
	}
	ok(t, errors.Join(d.setMark(markCluster, d.Cluster, m.mark), d.setMark(markActive, d.Stack, m.active)))
	return d, host, out
}

// TestDown checks what is removed: the registry only with the cluster, and the cluster only if nobody else may use it.
// Then a destroy is not needed. If the cluster is kept it is, and only what it has destroyed is forgotten.
func TestDown(t *testing.T) {
	const all, kept = "rm cluster registry", "destroy rm"
	shared := func(m *machine) { m.namespaces += "namespace/shop\n" }
	adopts := func(m *machine) func(command) {
		return func(command) { wantParts(t, read(t, m.local("Pulumi.dev.yaml")), "adoptExisting") }
	}
	backend := func(m *machine) {
		m.lookupEnv = environment(map[string]string{"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "x"})
	}
	onDocker := func(m *machine) {
		m.Stack, m.stacks = "docker", `[{"name":"docker","resourceCount":9}]`
		write(t, m.committed("docker"), dockerYAML)
	}
	for _, tt := range []struct {
		name   string
		change func(*machine)
		did    string
		says   string // printed, or in the error
		fails  bool
	}{
		{"everything exists", func(*machine) {}, all, "==> down in", false},
		{"the cluster is gone", func(m *machine) { m.controlPlane, m.nodes = "", "" }, all, "", false},
		{"the cluster is stopped", func(m *machine) { m.controlPlane = controlPlane(false) }, all, "", false},
		{"the cluster does not answer", func(m *machine) { m.namespaces = "no answer" }, "", "connection refused", true},
		{"the cluster is another one", func(m *machine) { m.Cluster = "second" }, "", "add CLUSTER=scaleout", true},
		{"the stack is gone", func(m *machine) { m.stacks = "[]" }, "cluster registry", "==> stack dev\n    none (", false},
		{"the creation was interrupted", func(m *machine) { m.mark, m.namespaces = unfinished, "" }, all, "", false},
		{"the registry of another folder", func(m *machine) { m.registry = registryJSON(5001, "/elsewhere") },
			"rm cluster", "kept kind-registry, which `up` in this folder did not create", false},
		{"a registry without a label", func(m *machine) { m.registry = `[{"Id":"x"}]` }, "rm cluster",
			"kept kind-registry", false},
		{"no registry", func(m *machine) { m.registry = "" }, "rm cluster", "==> registry\n    none", false},
		{"another cluster uses the registry", func(m *machine) { m.otherNodes = "two-control-plane\n" },
			"rm cluster", "whose images two-control-plane may need", false},
		{"the cluster of another folder", func(m *machine) { m.controlPlane = `[{"Id":"x","State":{"Running":true}}]` },
			kept, "kept: `up` in this folder did not create it", false},
		{"a cluster without a mark", func(m *machine) { m.mark = "" }, kept, "did not create it", false},
		{"another stack in the cluster", shared, kept, "another stack has namespace/shop in it", false},
		{"another folder finished the creation", func(m *machine) { m.mark = unfinished },
			kept, "another stack has namespace/scaleout namespace/traefik in it", false},
		{"another stack, and the cluster is stopped", func(m *machine) { shared(m); m.controlPlane = controlPlane(false) },
			kept, "another stack has namespace/shop in it", false},
		{"a stack on Docker uses the registry", func(m *machine) { m.containers = "scaleout-web-1\n" },
			"rm cluster", "whose images scaleout-web-1 may need", false},
		{"the destroy fails beside another stack", func(m *machine) { shared(m); m.destroy.fails = "error: deleting failed" },
			"destroy", "destroying stack dev: failed to destroy stack: `pulumi destroy --exec-kind=auto.local --yes " +
				"--skip-preview --stack dev --non-interactive`: exit status 255: error: deleting failed", true},

		// What an interrupted update created without recording it is recorded before the destroy.
		{"interrupted, and the cluster is kept", func(m *machine) { shared(m); m.active, m.update.does = "up", adopts(m) },
			"up destroy rm", "taking over what it left", false},
		{"interrupted, and the update fails", func(m *machine) {
			shared(m)
			m.active, m.update.does, m.update.fails = "up", adopts(m), "error: no image"
		}, "up destroy rm", "takes another image)\n    continuing with the destroy", false},
		{"interrupted, and the cluster is deleted", func(m *machine) { m.active = "up" }, all, "", false},
		{"interrupted in a destroy", func(m *machine) { shared(m); m.active = "destroy" }, kept, "", false},

		// Where its cluster is not on this machine, the record of a stack would be all that `down` finds.
		{"the stack of a colleague", func(m *machine) { backend(m); m.controlPlane, m.nodes = "", "" },
			"", "run `make down` where one did", true},
		{"a stack of this folder on a shared backend", func(m *machine) {
			backend(m)
			ok(t, m.setMark(markDaemon, "dev", "daemon"))
		}, all, "", false},

		{"on Docker", onDocker, "destroy containers rm registry", "--refresh", false},
		{"on Docker, beside a cluster", func(m *machine) { onDocker(m); m.otherNodes = "one-control-plane\n" },
			"destroy containers rm", "whose images one-control-plane may need", false},
		{"on Docker, and the destroy fails", func(m *machine) { onDocker(m); m.destroy.fails = "error: deleting failed" },
			"destroy", "destroying stack docker", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, host, out := newDownDriver(t, tt.change)
			err := d.down(t.Context())
			if (err != nil) != tt.fails {
				t.Errorf("got the error %v", err)
			}
			wantParts(t, fmt.Sprint(out, err, host.asked("pulumi destroy")), tt.says)
			var did []string
			for _, c := range host.ran {
				for prefix, name := range map[string]string{"pulumi up": "up", "pulumi destroy": "destroy", "pulumi stack rm": "rm",
					"kind delete": "cluster", "docker rm": "registry", "docker container rm": "containers"} {
					if strings.HasPrefix(line(c), prefix) {
						did = append(did, name)
					}
				}
			}
			if got := strings.Join(did, " "); got != tt.did {
				t.Errorf("got %q, want %q", got, tt.did)
			}
			left := d.mark(markDaemon, d.Stack) + d.mark(markActive, d.Stack)
			if strings.Contains(tt.did, "rm") && (isFile(d.local(stackFileName(d.Stack))) || left != "") {
				t.Errorf("got the marks %q, want none, and no copy of the settings", left)
			}
			if strings.Contains(tt.did, "cluster") && d.mark(markCluster, d.Cluster) != "" {
				t.Error("got the mark of a cluster that was deleted")
			}
		})
	}
}
