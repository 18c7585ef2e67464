package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3"
)

// installCLI writes a Pulumi CLI that has a version and no stacks.
func installCLI(t *testing.T, folder, version string) {
	writeProgram(t, filepath.Join(folder, "pulumi"), "case $1 in version) echo v"+version+";; *) echo '[]';; esac")
}

// TestFindPulumi checks that a CLI that is older than the SDK is not used.
func TestFindPulumi(t *testing.T) {
	at := sdk.Version.String()
	for _, tt := range []struct{ onPath, own, want string }{ // versions, empty for none
		{"3.900.0", at, "3.900.0"}, {"3.100.0", at, at}, {"", at, at},
		{"", "", ""}, {"3.1.0", "2.0.0", ""}, {"4.0.0", "4.0.0", ""},
	} {
		d, _, _ := newTestDriver(t)
		d.cli, d.exclusive = nil, false
		path := t.TempDir()
		t.Setenv("PATH", path)
		for folder, version := range map[string]string{path: tt.onPath, d.local("bin"): tt.own} {
			if version != "" {
				installCLI(t, folder, version)
			}
		}
		err := d.findPulumi(t.Context())
		if (err == nil) != (tt.want != "") || err == nil && d.cli.Version().String() != tt.want {
			t.Errorf("%q on PATH and %q in .local: got %+v and %v, want %q", tt.onPath, tt.own, d.cli, err, tt.want)
		}
	}
}

// download is the transport of a machine that gets one file from the internet.
type download string

func (d download) RoundTrip(*http.Request) (*http.Response, error) {
	if d == "" {
		return nil, errors.New("could not resolve get.pulumi.com")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(d)))}, nil
}

func TestInstallPulumi(t *testing.T) {
	d, _, out := newTestDriver(t)
	transport := http.DefaultTransport
	d.stack = must(d.openStack(d.Stack))
	t.Setenv("PATH", t.TempDir()+":/usr/bin:/bin")
	t.Cleanup(func() { http.DefaultTransport = transport })
	d.cli, http.DefaultTransport = nil, download("")
	_, err := d.connect(t.Context())
	wantError(t, err, "needs the Pulumi CLI", sdk.Version.String(), "resolve get.pulumi.com", ".local/bin", "HTTPS_PROXY")

	installCLI(t, d.root, sdk.Version.String())
	// The arguments are --no-edit-path --install-root <folder> --version <version>.
	script := "#!/bin/sh\nmkdir -p \"$3/bin\" && cp '" + d.root + "/pulumi' \"$3/bin\"\n"
	d.cli, http.DefaultTransport = nil, download(script)
	if got := must(d.connect(t.Context())); got != "v"+sdk.Version.String() || !isFile(d.local("bin", "pulumi")) {
		t.Errorf("got %q, want it installed into %s", got, localDir)
	}
	wantParts(t, out, "installing "+sdk.Version.String()+" into .local/bin")
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"passphrase", "error: getting secrets manager: incorrect passphrase", "encrypted with another passphrase"},
		{"lock", "error: the stack is currently locked by 1 lock(s)", "pulumi cancel --stack qa"},
		{"lock of Pulumi Cloud", "error: [409] Conflict: Another update is currently in progress.",
			"pulumi cancel --stack qa"},
		{"anything else", "error: update failed", "`make status STACK=qa`"},
		{"the way back", "error: update failed", "make rollback STACK=qa"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t, reply{command: "pulumi up", fails: tt.output},
				reply{command: "docker exec"})
			d.Stack = "qa"
			write(t, d.committed("qa"), devYAML)
			openTestStack(t, d).existed = true
			_, err := d.update(t.Context())
			text := "updating stack qa: failed to run update: `pulumi up --yes --skip-preview --exec-kind=auto.local " +
				"--refresh --stack qa --non-interactive`: exit status 255: " + tt.output + "\n"
			wantError(t, err, text, tt.want)
			if got := strings.Count(err.Error(), tt.output); got != 1 {
				t.Errorf("got what Pulumi printed %d times in %q, want it once", got, err)
			}
		})
	}
}

// TestInterruptedPulumi checks that a canceled run interrupts the CLI, with all that it started, exactly once: Pulumi
// abandons its operations at a second interrupt.
func TestInterruptedPulumi(t *testing.T) {
	path := t.TempDir()
	t.Setenv("PATH", path+":/usr/bin:/bin")
	writeProgram(t, filepath.Join(path, "pulumi"), `trap 'echo parent interrupted' INT
sh -c 'trap "echo child interrupted; exit" INT; echo ready; while :; do sleep 0.05; done'
sleep 0.3 # long enough for a second interrupt
echo state written`)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	ready := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("ready")) {
			cancel()
		}
		return len(p), nil
	})
	live := []io.Writer{io.MultiWriter(&out, ready)}
	_, _, _, _ = pulumiCLI{host: execRunner{}}.Run(ctx, t.TempDir(), nil, live, nil, nil, "up")
	if want := "ready\nchild interrupted\nparent interrupted\nstate written\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
