package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestChooseBackend(t *testing.T) {
	const url, file = "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"
	tests := []struct {
		name          string
		local         bool
		env           map[string]string // OWN is what `env` exports
		state, phrase string            // what Pulumi gets: own, none, or what it would have anyway
	}{
		{"nothing chosen", true, nil, "own", "own"},
		{"a backend", true, map[string]string{url: "s3://bucket"}, "", "own"},
		{"Pulumi Cloud", true, map[string]string{"PULUMI_ACCESS_TOKEN": "x"}, "", "own"},
		{"a passphrase", true, map[string]string{"PULUMI_CONFIG_PASSPHRASE": "x"}, "own", ""},
		{"an empty passphrase", true, map[string]string{"PULUMI_CONFIG_PASSPHRASE": ""}, "own", ""},
		{"a passphrase file", true, map[string]string{file: "/x"}, "own", ""},
		{"what env exports", true, map[string]string{url: "OWN", file: "OWN"}, "own", "own"},
		{"elsewhere", false, nil, "", ""},
		{"a backend elsewhere", false, map[string]string{url: "s3://bucket"}, "", ""},
		{"what env exports for another stack", false, map[string]string{url: "OWN", file: "OWN"}, "none", "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t)
			d.root += "/a b#1%20?" // none of which ends the path
			if err := os.MkdirAll(d.local(), 0o700); err != nil {
				t.Fatal(err)
			}
			own := map[string]string{url: (&neturl.URL{Scheme: "file", Path: d.local("state")}).String(), file: d.local("passphrase")}
			for name, value := range tt.env {
				tt.env[name] = strings.ReplaceAll(value, "OWN", own[name])
			}
			d.lookupEnv = environment(tt.env)
			b, err := d.chooseBackend(tt.local)
			if err != nil || b.local != (tt.state == "own") {
				t.Fatalf("got own state %t and %v", b.local, err)
			}
			for name, want := range map[string]string{url: tt.state, file: tt.phrase} {
				got := ""
				for _, v := range b.env {
					if value, found := strings.CutPrefix(v, name+"="); found && value == "" {
						got = "none"
					} else if found && value == own[name] {
						got = "own"
					} else if found {
						got = value
					}
				}
				if got != want {
					t.Errorf("%s: got %q in %q, want %q", name, got, b.env, want)
				}
			}
			if made := isFile(d.local("passphrase")); made != (tt.phrase == "own") {
				t.Errorf("made a passphrase: %t", made)
			}
		})
	}
}

func TestPassphraseFile(t *testing.T) {
	d, _, _ := newTestDriver(t)
	if _, err := d.chooseBackend(true); err != nil {
		t.Fatal(err)
	}
	first := read(t, d.local("passphrase"))
	info, err := os.Stat(d.local("passphrase"))
	if err != nil || info.Mode().Perm() != 0o600 || len(first) < 20 {
		t.Errorf("got mode %v, %d characters and %v, want 0600 and a long passphrase", info.Mode(), len(first), err)
	}
	if _, err := d.chooseBackend(true); err != nil || read(t, d.local("passphrase")) != first {
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
	if address, err := neturl.Parse(string(got)); err != nil || address.Path != d.local("state") {
		t.Errorf("got %s and %v, want the path %s", got, err, d.local("state"))
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

// TestAnswers: what an app says to a stranger is up to it, but a 404 may be of an ingress controller that does not know it.
func TestAnswers(t *testing.T) {
	for status, want := range map[int]bool{200: true, 204: true, 302: true, 401: true, 403: true, 404: false, 500: false, 503: false} {
		if got := appAnswers(status); got != want {
			t.Errorf("%d: got %t, want %t", status, got, want)
		}
	}
}

// TestSelfSigned: on this machine nobody could have signed it.
func TestSelfSigned(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Host) }))
	defer server.Close()
	host := fmt.Sprintf("shop.localhost:%d", server.Listener.Addr().(*net.TCPAddr).Port)
	if status, said, err := get(t.Context(), "https://"+host+"/"); err != nil || status != http.StatusOK || !strings.Contains(said, host) {
		t.Errorf("got %d %q and %v", status, said, err)
	}
}

// elsewhere is the environment of someone who keeps the state in a bucket.
var elsewhere = environment(map[string]string{"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "x"})

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
