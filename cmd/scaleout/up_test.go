package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestUp runs all steps on a machine without anything, and checks their order. The second run fails.
func TestUp(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "visit ", r.URL.Path)
	}))
	defer app.Close()
	d, host := newCluster(t, initWrites(t), reply{command: "docker info", out: "28.0.0 id linux/x86_64"},
		reply{command: "docker container inspect kind-registry", out: registryJSON(listen(t, 200), "")},
		reply{command: "docker start"}, reply{command: "docker network connect"},
		reply{command: "pulumi config set"},
		reply{command: "pulumi up"},
		reply{command: "pulumi stack output --json --stack", out: `{"url":"` + app.URL + `","nextCommands":["make load"]}`})
	write(t, d.committed("dev"), devYAML+"  scaleout:paths: [/shop]\n")
	out := new(bytes.Buffer)
	d.out = out
	ok(t, d.up(t.Context()))
	var steps []string
	for l := range strings.Lines(out.String()) {
		if step, is := strings.CutPrefix(l, "==> "); is {
			steps = append(steps, strings.TrimSpace(step))
		}
	}
	want := []string{"Docker", "Pulumi CLI", "registry", "cluster scaleout", "nodes", "stack dev",
		"Redis password", "pulumi up", "GET " + app.URL + "/shop"}
	if len(steps) != len(want)+1 || !slices.Equal(steps[:len(want)], want) {
		t.Errorf("got the steps %q, want %q", steps, want)
	}
	wantParts(t, out, "200 OK\n    visit /shop", `eval "$(make -s env)"`,
		"    make load\n    make status\n    make logs\n    make down\n")

	host.replies = append([]reply{{command: "pulumi stack ls", out: `[{"name":"dev"}]`},
		{command: "pulumi up", fails: "error: update failed"}}, host.replies...)
	wantError(t, d.up(t.Context()), "updating stack dev", "update failed",
		"to return to the last image that succeeded", "make rollback")
}

// initWrites imitates `pulumi stack init`, which writes the salt into the stack file of its project.
func initWrites(t *testing.T) reply {
	return reply{command: "pulumi stack init dev", does: func(c command) {
		path := filepath.Join(envOf(c)["PULUMI_OPTION_CWD"], "Pulumi.dev.yaml")
		write(t, path, "encryptionsalt: v1:new=:v1:x\n"+read(t, path))
	}}
}

func TestEnsureStackCreates(t *testing.T) {
	getNamespace := "docker exec --interactive scaleout-control-plane kubectl get namespace scaleout --ignore-not-found"
	d, host, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: `[{"name":"prod"}]`}, initWrites(t),
		reply{command: getNamespace, out: "namespace/scaleout\n"})
	_, err := openTestStack(t, d).ensureStack(t.Context())
	wantError(t, err, "namespace/scaleout exists and does not belong to stack dev", "another scaleout:namespace")
	if got := host.asked("pulumi stack init"); len(got) > 0 {
		t.Errorf("got %q, want no stack whose recovery would take over what others have", got)
	}
	host.replies[2].out = ""
	wantParts(t, must(openTestStack(t, d).ensureStack(t.Context())), "created")
	if got := read(t, d.committed("dev")); got != devYAML {
		t.Errorf("got the committed file %q, want it unchanged", got)
	}
	wantParts(t, read(t, d.local("Pulumi.dev.yaml")), "encryptionsalt: v1:new=:v1:x\n", "\n  scaleout:target: kind\n",
		`scaleout:maxReplicas: "10"`, "# nothing follows the current context")
	wantParts(t, read(t, d.local("Pulumi.yaml")), "name: scaleout\n", "main: ..\n")
	env := envOf(host.ran[len(host.ran)-1])
	if env["PULUMI_BACKEND_URL"] != "file://"+d.local("state")+"?metadata=skip" ||
		env["KUBECONFIG"] != d.local("kubeconfig") ||
		env["PULUMI_CONFIG_PASSPHRASE_FILE"] != d.local("passphrase") || env["PULUMI_OPTION_CWD"] != d.local() {
		t.Errorf("got the environment %q, want the files in .local", env)
	}
}

// TestStaleEncryption covers settings of a deleted stack, and of another machine.
func TestStaleEncryption(t *testing.T) {
	d, _, _ := newTestDriver(t, initWrites(t), reply{command: "docker exec"})
	write(t, d.local("Pulumi.dev.yaml"), "encryptionsalt: v1:old\nconfig:\n  scaleout:redisPassword: {secure: v1:old}\n")
	s := openTestStack(t, d)
	if s.setting("redisPassword") == "" {
		t.Error("got no password from the copy")
	}
	must(d.ensureStack(t.Context()))
	if got := read(t, d.local("Pulumi.dev.yaml")); strings.Contains(got, "v1:old") || !strings.Contains(got, "v1:new=") {
		t.Errorf("got %q, want the old encryption replaced", got)
	}
	d, _, _ = newTestDriver(t, reply{command: "pulumi stack init", fails: "error: incorrect passphrase"},
		reply{command: "docker exec"})
	_, err := openTestStack(t, d).ensureStack(t.Context())
	wantError(t, err, "encrypted with another passphrase", ".local/passphrase", "encryptionsalt",
		"Pulumi.dev.yaml")
}

func TestEnsurePassword(t *testing.T) {
	var password []byte
	const set = "pulumi config set --secret redisPassword --stack dev"
	d, host, out := newTestDriver(t, reply{command: set, does: func(c command) {
		path := filepath.Join(envOf(c)["PULUMI_OPTION_CWD"], "Pulumi.dev.yaml")
		write(t, path, read(t, path)+"  scaleout:redisPassword:\n    secure: v1:cipher=\n")
		password, _ = io.ReadAll(c.stdin)
	}})
	openTestStack(t, d)
	wantParts(t, must(d.ensurePassword(t.Context())), "generated")
	if secret := string(password); len(secret) < 20 || strings.Contains(line(host.ran[0])+out.String(), secret) {
		t.Errorf("got password %q in %q and %q, want a long one and only on standard input", secret, line(host.ran[0]), out)
	}
	wantParts(t, read(t, d.local("Pulumi.dev.yaml")), "v1:cipher=")
	if committed := read(t, d.committed("dev")); committed != devYAML {
		t.Errorf("got %q, want the ciphertext in the copy only", committed)
	}
	if got := must(d.ensurePassword(t.Context())); got != "exists" || len(host.ran) != 1 {
		t.Errorf("got %q and %d commands, want the second run to keep it", got, len(host.ran))
	}
	ok(t, os.Remove(d.local("Pulumi.dev.yaml")))
	write(t, d.committed("dev"), devYAML+"  scaleout:redis: false\n")
	d.stack = must(d.openStack("dev"))
	wantParts(t, must(d.ensurePassword(t.Context())), "not needed")
}

func TestPasswordOfAnotherRedis(t *testing.T) {
	d, host, _ := newTestDriver(t)
	write(t, d.committed("dev"), devYAML+"  scaleout:redisHost: redis.example\n")
	d.stack = must(d.openStack("dev"))
	_, err := d.ensurePassword(t.Context())
	wantError(t, err, "pulumi config set --secret redisPassword")
	if len(host.ran) > 0 {
		t.Errorf("got %q, want no password generated", host.asked(""))
	}
}

// TestSettingsOfThisMachine checks what `up` sets in the copy of the settings.
func TestSettingsOfThisMachine(t *testing.T) {
	for _, tt := range []struct {
		name, settings        string
		http, https, registry int
		platform, says        string
		want                  map[string]string
	}{
		{"no change", devYAML, 8080, 8443, 5001, "linux/amd64", "kubeContext is kind-dev here", map[string]string{
			"publicPort": "8080", "kubeContext": "kind-dev"}},
		{"other ports and platform", devYAML, 9090, 8443, 5002, "linux/arm64", "publicPort is 9090 here", map[string]string{
			"publicPort": "9090", "imageRepository": "localhost:5002/scaleout", "imagePlatform": "linux/arm64"}},
		{"HTTPS", devYAML + "  scaleout:tlsSecret: cert\n", 9090, 9443, 5001, "linux/amd64", "publicPort is 9443 here",
			map[string]string{"publicPort": "9443"}},
		{"a registry elsewhere", strings.ReplaceAll(devYAML, "localhost:5001", "ghcr.io"), 8080, 8443, 5002, "linux/amd64",
			"", map[string]string{"imageRepository": "ghcr.io/scaleout"}},
		{"Docker", dockerYAML, 0, 0, 5001, "linux/amd64", "", map[string]string{"publicPort": "8090", "kubeContext": ""}},
		{"Docker and HTTP_PORT", dockerYAML, 9090, 0, 5001, "linux/amd64", "9090", map[string]string{"publicPort": "9090"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: `[{"name":"organization/scaleout/dev"}]`})
			write(t, d.committed("dev"), tt.settings)
			d.Cluster, d.HTTPPort, d.HTTPSPort, d.RegistryPort, d.platform = "dev", tt.http, tt.https, tt.registry, tt.platform
			s := openTestStack(t, d)
			got := must(d.ensureStack(t.Context()))
			wantParts(t, got, "exists", tt.says)
			// Other commands read the copy, an `up` the committed file.
			again := must(d.openStack(d.Stack, machineKeys...))
			for key, want := range tt.want {
				if s.setting(key) != want || again.setting(key) != want {
					t.Errorf("%s: got %q, and %q in the copy, want %q", key, s.setting(key), again.setting(key), want)
				}
			}
			if read(t, d.committed("dev")) != tt.settings {
				t.Error("got another committed file")
			}
		})
	}
}

// TestUpdateFlags checks that only a stack elsewhere gets a preview, and only one on this machine a refresh. None is
// selected for the user's next command, and no update reads secrets.
func TestUpdateFlags(t *testing.T) {
	for target, local := range map[string]bool{"kind": true, "docker": true, "eks": false} {
		d, host, _ := newTestDriver(t, reply{command: "pulumi preview"}, reply{command: "pulumi up"})
		write(t, d.committed("dev"), "config:\n  scaleout:target: "+target+"\n")
		ok(t, d.setMark(markRollback, d.Stack, "x"))
		must(openTestStack(t, d).update(t.Context()))
		for name, got := range map[string]bool{
			"a refresh":  strings.Contains(host.asked("pulumi up")[0], "--refresh"),
			"no preview": len(host.asked("pulumi preview")) == 0,
		} {
			if got != local {
				t.Errorf("%s: got %s %t, want %t", target, name, got, local)
			}
		}
		if not := append(host.asked("pulumi stack select"), host.asked("pulumi stack output")...); len(not) > 0 ||
			strings.Contains(host.asked("pulumi stack history")[0], "--show-secrets") {
			t.Errorf("%s: got %q, want no selection and no secrets", target, host.asked("pulumi"))
		}
		if d.mark(markRollback, d.Stack)+d.mark(markActive, d.Stack) != "" {
			t.Errorf("%s: got marks after the update", target)
		}
		if host.replies[0].fails, host.ran = "error: wrong", nil; !local {
			_, err := d.update(t.Context())
			if wantError(t, err, "updating stack dev", "wrong"); len(host.asked("pulumi up")) > 0 {
				t.Error("got an update after a preview that failed")
			}
		}
	}
}
