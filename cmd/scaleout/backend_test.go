package main

import (
	"bytes"
	"context"
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

// elsewhere is the environment of someone who keeps the state in a bucket.
func elsewhere(name string) string {
	return map[string]string{"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "x"}[name]
}

// A second, empty state of production in a folder of this machine would say that nothing is there.
func TestStateOfAStackElsewhereIsNotHere(t *testing.T) {
	d, _, _ := newTestDriver(t)
	d.Stack = "prod"
	write(t, filepath.Join(d.root, "Pulumi.prod.yaml"), "config:\n  scaleout:target: eks\n")
	_, err := d.openStack()
	wantError(t, err, "export PULUMI_BACKEND_URL")
	wantError(t, d.env(context.Background()), "export PULUMI_BACKEND_URL")
	d.getenv = elsewhere
	if _, err := d.openStack(); err != nil {
		t.Error(err)
	}
}
