package main

import (
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSetting(t *testing.T) {
	d, _, _ := newTestDriver(t)
	write(t, d.committed("dev"), devYAML+"  scaleout:paths: [/shop, /api]\n")
	s := openTestStack(t, d)
	for key, want := range map[string]string{
		"target": "kind", "publicPort": "8080", "namespace": "scaleout", "imagePlatform": "linux/amd64", "redisHost": "",
		"unknown": "", "readyPath": "/readyz", "paths": `["/shop","/api"]`,
	} {
		if got := s.setting(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if !s.onKind() || s.onDocker() {
		t.Errorf("got onKind %t, onDocker %t", s.onKind(), s.onDocker())
	}
	_, err := d.openStack("qa")
	wantError(t, err, "stack qa", "copy Pulumi.dev.yaml or Pulumi.docker.yaml to Pulumi.qa.yaml", "scaleout:namespace")
}

// TestStackElsewhere checks that a stack elsewhere uses the backend of `pulumi login`, and is not created or destroyed
// from here.
func TestStackElsewhere(t *testing.T) {
	d, host, _ := newTestDriver(t)
	d.Stack = "prod"
	write(t, d.committed("prod"), "config:\n  scaleout:target: eks\n")
	wantError(t, d.up(t.Context()), "does not run on this machine", "pulumi up --stack prod")
	wantError(t, d.down(t.Context()), "does not run on this machine", "pulumi destroy --stack prod")
	if len(host.ran) > 0 {
		t.Errorf("got %q, want nothing done", host.asked(""))
	}
	s := openTestStack(t, d)
	if _, set := s.env["PULUMI_BACKEND_URL"]; set || isFile(d.local("Pulumi.prod.yaml")) {
		t.Errorf("got the backend %q, want no change of it and no copy of the settings", s.env)
	}
}

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
		{"a login", true, map[string]string{"PULUMI_ACCESS_TOKEN": "x"}, "own", "own"},
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
			s := openTestStack(t, d)
			if !tt.local {
				s.set("target", "eks")
			}
			d.root += "/a b#1%20?" // characters that URLs escape
			ok(t, os.MkdirAll(d.local(), 0o700))
			state := neturl.URL{Scheme: "file", Path: d.local("state"), RawQuery: "metadata=skip"}
			own := map[string]string{url: state.String(), file: d.local("passphrase")}
			for name, value := range tt.env {
				tt.env[name] = strings.ReplaceAll(value, "OWN", own[name])
			}
			d.lookupEnv = environment(tt.env)
			if ok(t, d.chooseBackend(d.stack)); s.ownState != (tt.state == "own") {
				t.Fatalf("got own state %t", s.ownState)
			}
			for name, want := range map[string]string{url: tt.state, file: tt.phrase} {
				got, set := s.env[name]
				if set && got == "" {
					got = "none"
				} else if got == own[name] {
					got = "own"
				}
				if got != want {
					t.Errorf("%s: got %q in %q, want %q", name, got, s.env, want)
				}
			}
			if created := isFile(d.local("passphrase")); created != (tt.phrase == "own") {
				t.Errorf("created a passphrase: %t", created)
			}
		})
	}
}

func TestPassphraseFile(t *testing.T) {
	d, _, _ := newTestDriver(t)
	openTestStack(t, d)
	first, info := read(t, d.local("passphrase")), must(os.Stat(d.local("passphrase")))
	if info.Mode().Perm() != 0o600 || len(first) < 20 {
		t.Errorf("got mode %v and %d characters, want 0600 and a long passphrase", info.Mode(), len(first))
	}
	if ok(t, d.chooseBackend(d.stack)); read(t, d.local("passphrase")) != first {
		t.Error("got another passphrase, want the first kept")
	}
}

// TestEnvIsShell evaluates the output of `env` in a shell.
func TestEnvIsShell(t *testing.T) {
	d, _, out := newTestDriver(t, reply{command: "docker context inspect", out: "unix:///run/user/1/docker.sock"})
	d.root, d.exclusive = d.root+"/it's here", false
	write(t, filepath.Join(d.root, "Pulumi.yaml"), projectYAML)
	write(t, d.committed("dev"), devYAML)
	write(t, d.local("bin", "pulumi"), "")
	write(t, d.local("Pulumi.dev.yaml"), "config:\n  scaleout:publicPort: 9090\n  scaleout:adoptExisting: true\n")
	ok(t, d.printEnv(t.Context()))
	const variables = `"$PULUMI_STACK" "$PULUMI_OPTION_CWD" "$KUBECONFIG" "$DOCKER_HOST" "${PATH%%:*}" ` +
		`"$PULUMI_BACKEND_URL"`
	got := must(exec.Command("sh", "-c", out.String()+"printf '%s\\n' "+variables).Output())
	state := (&neturl.URL{Scheme: "file", Path: d.local("state"), RawQuery: "metadata=skip"}).String()
	want := []string{"dev", d.local(), d.local("kubeconfig"), "unix:///run/user/1/docker.sock", d.local("bin"), state, ""}
	if string(got) != strings.Join(want, "\n") {
		t.Errorf("got %s\nwant %q", got, want)
	}
	// Plain commands run in .local, with the settings that the last `up` computed.
	wantParts(t, read(t, d.local("Pulumi.dev.yaml")), `publicPort: "9090"`, `adoptExisting: "true"`)
	wantParts(t, read(t, d.local("Pulumi.yaml")), "main: ..")

	d.Stack = "prod"
	write(t, d.committed("prod"), "config:\n  scaleout:target: eks\n")
	out.Reset()
	ok(t, d.printEnv(t.Context()))
	wantParts(t, out, "export PULUMI_OPTION_CWD=''\n", "export PULUMI_STACK='prod'\n")
}
