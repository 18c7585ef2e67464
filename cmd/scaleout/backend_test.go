package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestChooseBackend(t *testing.T) {
	tests := []struct {
		name          string
		env           map[string]string
		state, phrase bool // whether the project's own are used
	}{
		{"nothing chosen", nil, true, true},
		{"a backend", map[string]string{"PULUMI_BACKEND_URL": "s3://bucket"}, false, true},
		{"Pulumi Cloud", map[string]string{"PULUMI_ACCESS_TOKEN": "x"}, false, true},
		{"a passphrase", map[string]string{"PULUMI_CONFIG_PASSPHRASE": "x"}, true, false},
		{"a passphrase file", map[string]string{"PULUMI_CONFIG_PASSPHRASE_FILE": "/x"}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t)
			d.getenv = func(k string) string { return tt.env[k] }
			b, err := d.chooseBackend()
			if err != nil {
				t.Fatal(err)
			}
			env := strings.Join(b.env, "\n")
			if got := strings.Contains(env, "PULUMI_BACKEND_URL="); got != tt.state || b.local != tt.state {
				t.Errorf("got own state %t in %q, want %t", got, env, tt.state)
			}
			if got := strings.Contains(env, "PULUMI_CONFIG_PASSPHRASE_FILE="); got != tt.phrase {
				t.Errorf("got own passphrase %t in %q, want %t", got, env, tt.phrase)
			}
		})
	}
}

func TestPassphraseFile(t *testing.T) {
	d, _, _ := newTestDriver(t)
	if _, err := d.chooseBackend(); err != nil {
		t.Fatal(err)
	}
	first := read(t, d.local("passphrase"))
	info, err := os.Stat(d.local("passphrase"))
	if err != nil || info.Mode().Perm() != 0o600 || len(first) < 20 {
		t.Errorf("got mode %v, %d characters and %v, want 0600 and a long passphrase", info.Mode(), len(first), err)
	}
	if _, err := d.chooseBackend(); err != nil || read(t, d.local("passphrase")) != first {
		t.Errorf("got another passphrase (%v), want the first kept", err)
	}
}

// TestEnvIsShell feeds what `env` prints to a shell.
func TestEnvIsShell(t *testing.T) {
	d, _, out := newTestDriver(t)
	d.root += "/it's here"
	write(t, filepath.Join(d.root, "Pulumi.yaml"), projectYAML)
	write(t, filepath.Join(d.root, "Pulumi.dev.yaml"), devYAML)
	write(t, d.local("state", "meta.yaml"), "")
	if err := d.env(context.Background()); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("sh", "-c", out.String()+"printf %s \"$PULUMI_BACKEND_URL\"").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "file://" + d.local("state"); !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPulumiInShell: plain commands get the settings of the stack that they are about, unless they change the committed ones.
func TestPulumiInShell(t *testing.T) {
	d, _, out := newTestDriver(t)
	write(t, d.local("Pulumi.dev.yaml"), "")
	write(t, d.local("bin", "pulumi"), "#!/bin/sh\necho \"$@\"\n")
	if err := os.Chmod(d.local("bin", "pulumi"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.env(context.Background()); err != nil {
		t.Fatal(err)
	}
	file := " --config-file " + d.local("Pulumi.dev.yaml")
	for typed, want := range map[string]string{
		"up": "up" + file, "preview --diff": "preview" + file + " --diff", "up --stack dev": "up" + file + " --stack dev",
		"up --stack prod": "up --stack prod", "up --stack=prod": "up --stack=prod", "destroy -s prod": "destroy -s prod",
		"up --stack organization/scaleout/dev": "up" + file + " --stack organization/scaleout/dev",
		"config get target":                    "config" + file + " get target", "config set maxReplicas 5": "config set maxReplicas 5",
		"stack output": "stack output", "config": "config" + file, "": "",
	} {
		got, err := exec.Command("bash", "-c", out.String()+"pulumi "+typed).Output()
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s: got %q and %v, want %q", typed, got, err, want)
		}
	}
}

// TestNamesBelowLocalhost: they are this machine's, whether or not its resolver knows them, and choose the Ingress.
func TestNamesBelowLocalhost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host)
	}))
	defer server.Close()
	host := fmt.Sprintf("beside.localhost:%d", server.Listener.Addr().(*net.TCPAddr).Port)
	status, said, err := get(context.Background(), "http://"+host+"/")
	if err != nil || status != http.StatusOK || said != "200 OK\n"+host {
		t.Errorf("got %q and %v, want the answer for %s", said, err, host)
	}
}

// elsewhere is the environment of someone who keeps the state in a bucket.
func elsewhere(name string) string {
	return map[string]string{"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "x"}[name]
}

// What runs elsewhere is looked for where pulumi is logged in, and neither made nor destroyed from here.
func TestStackElsewhere(t *testing.T) {
	d, host, _ := newTestDriver(t)
	d.Stack = "prod"
	write(t, filepath.Join(d.root, "Pulumi.prod.yaml"), "config:\n  scaleout:target: eks\n")
	wantError(t, d.up(context.Background()), "not on this machine", "pulumi up --stack prod")
	wantError(t, d.down(context.Background()), "not on this machine", "pulumi destroy --stack prod")
	if s := openTestStack(t, d); strings.Contains(strings.Join(s.backend.env, " "), "PULUMI_BACKEND_URL") || len(host.ran) > 0 {
		t.Errorf("got the backend %q after %q", s.backend.env, host.asked(""))
	}
}
