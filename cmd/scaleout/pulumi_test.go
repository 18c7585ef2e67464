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
		d.pulumi = nil
		path := t.TempDir()
		t.Setenv("PATH", path)
		for folder, version := range map[string]string{path: tt.onPath, d.local("bin"): tt.own} {
			if version != "" {
				installCLI(t, folder, version)
			}
		}
		err := d.findPulumi()
		if (err == nil) != (tt.want != "") || err == nil && d.pulumi.Version().String() != tt.want {
			t.Errorf("%q on PATH and %q in .local: got %+v and %v, want %q", tt.onPath, tt.own, d.pulumi, err, tt.want)
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
	s, transport := must(d.openStack(d.Stack)), http.DefaultTransport
	t.Setenv("PATH", t.TempDir()+":/usr/bin:/bin")
	t.Cleanup(func() { http.DefaultTransport = transport })
	d.pulumi, http.DefaultTransport = nil, download("")
	_, err := d.ensurePulumi(t.Context(), s)
	wantError(t, err, "needs the Pulumi CLI", sdk.Version.String(), "resolve get.pulumi.com", ".local/bin", "HTTPS_PROXY")

	installCLI(t, d.root, sdk.Version.String())
	// The arguments are --no-edit-path --install-root <folder> --version <version>.
	script := "#!/bin/sh\nmkdir -p \"$3/bin\" && cp '" + d.root + "/pulumi' \"$3/bin\"\n"
	d.pulumi, http.DefaultTransport = nil, download(script)
	if got := must(d.ensurePulumi(t.Context(), s)); got != "v"+sdk.Version.String() || !isFile(d.local("bin", "pulumi")) {
		t.Errorf("got %q, want it installed into %s", got, localDir)
	}
	wantParts(t, out, "installing "+sdk.Version.String()+" into .local/bin")
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"passphrase", "error: getting secrets manager: incorrect passphrase", "encrypted with another passphrase"},
		{"lock", "error: the stack is currently locked by 1 lock(s)", "pulumi cancel --stack qa"},
		{"taken port", "Bind for 127.0.0.1:8090 failed: port is already allocated", "set HTTP_PORT"},
		{"lost object", `error: deployments.apps "web" already exists`, "scaleout:namespace"},
		{"lost object of an upsert", "error: resource already exists", "scaleout:namespace"},
		{"lost container", `error: the name "/web" is already in use by container "a"`, "scaleout:namespace"},
		{"lost network", "error: network with name scaleout already exists", "scaleout:namespace"},
		{"anything else", "layer: Layer already exists\nerror: update failed", "`make status STACK=qa`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t, reply{command: "pulumi up", fails: tt.output})
			opened := must(openTestStack(t, d).open(t.Context(), d.Stack))
			_, cause := opened.Up(t.Context())
			cause = brief(cause)
			if text := cause.Error(); strings.Contains(text, "\n") || !strings.HasSuffix(text, lastLine(tt.output)) {
				t.Errorf("got %q, want one line that ends with the last of Pulumi", text)
			}
			err := explain("qa", cause)
			wantError(t, err, "failed to run update", "exit status 255", tt.want)
			if !errors.Is(err, cause) {
				t.Error("got an error without its cause, want it wrapped")
			}
		})
	}
	if err := explain("dev", errors.New("resource already exists")); err.Error() != "resource already exists" {
		t.Errorf("got %v for an error of another program", err)
	}
}

// TestInterruptedPulumi checks that a canceled run interrupts the CLI, with all that it started, exactly once: Pulumi
// abandons its operations at a second interrupt.
func TestInterruptedPulumi(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pulumi")
	writeProgram(t, path, `trap 'echo parent interrupted' INT
sh -c 'trap "echo child interrupted; exit" INT; echo ready; while :; do sleep 0.05; done'
sleep 0.3 # long enough for a second interrupt
echo state written`)
	ctx, cancel := context.WithCancel(t.Context())
	ready := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("ready")) {
			cancel()
		}
		return len(p), nil
	})
	out, _, _, _ := pulumiCLI{path: path}.Run(ctx, t.TempDir(), nil, []io.Writer{ready}, nil, nil, "up")
	if want := "ready\nchild interrupted\nparent interrupted\nstate written\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
