package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
)

// findPulumi looks for a Pulumi CLI that is new enough: on PATH, then among the project's own tools. It returns what
// it found in words, or false. A CLI that is older than the SDK in go.mod may lack what that asks of the engine.
func (d *driver) findPulumi(ctx context.Context) (string, bool) {
	onPath, _ := d.host.LookPath("pulumi")
	for _, place := range []struct{ path, words string }{
		{onPath, "on PATH"}, {d.local("bin", "pulumi"), "in " + localDir + "/bin"},
	} {
		if place.path == "" || place.path != onPath && !isFile(place.path) {
			continue
		}
		out, err := d.host.Run(ctx, command{name: place.path, args: []string{"version"}, env: quietPulumi()})
		if err != nil {
			continue
		}
		if newEnough(lastLine(out)) {
			d.pulumi = place.path
			return lastLine(out) + " " + place.words, true
		}
		d.steps.note("pulumi %s %s is not used: needs 3.x, at least %s", lastLine(out), place.words, sdk.Version)
	}
	return "", false
}

// newEnough tells whether a version of the CLI has the SDK's major version and is not older.
func newEnough(version string) bool {
	v, err := semver.ParseTolerant(version)
	return err == nil && v.Major == sdk.Version.Major && v.GE(sdk.Version)
}

// ensurePulumi finds the Pulumi CLI or installs it into the project.
func (d *driver) ensurePulumi(ctx context.Context) (string, error) {
	if found, ok := d.findPulumi(ctx); ok {
		return "found " + found, nil
	}
	err := d.installPulumi(ctx)
	if found, ok := d.findPulumi(ctx); ok {
		return "installed " + found, nil
	}
	return "", fmt.Errorf("needs the Pulumi CLI, 3.x, at least %s: none on PATH, and the installer failed (%w); put one on PATH "+
		"or into %s/bin, or set HTTPS_PROXY to a way out", sdk.Version, err, localDir)
}

// installScript is Pulumi's own installer. Its version, its folder and that it leaves shell profiles alone are given.
const installScript = "https://get.pulumi.com/install.sh"

// installPulumi runs the official installer with the project's folder as its root. The script is saved before it
// runs, so that a broken download runs nothing.
func (d *driver) installPulumi(ctx context.Context) error {
	script := d.local("install-pulumi.sh")
	if err := d.download(ctx, installScript, script); err != nil {
		return fmt.Errorf("downloading %s: %w", installScript, err)
	}
	args := []string{script, "--version", sdk.Version.String(), "--install-root", d.local(), "--no-edit-path"}
	_, err := d.host.Run(ctx, command{name: "sh", args: args})
	return err
}

// download saves a small file.
func download(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", res.Status)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// ensureKind makes Go compile the pinned kind, so that the time for it shows here and an error is seen early.
func (d *driver) ensureKind(ctx context.Context) (string, error) {
	args := []string{"-C", filepath.Join(d.root, "tools"), "tool", "kind", "version", "--quiet"}
	version, err := d.host.Run(ctx, command{name: "go", args: args})
	if err != nil {
		return "", fmt.Errorf("needs kind, which Go compiles from the modules in tools/go.mod; set GOPROXY to a module "+
			"proxy that this machine reaches: %w", err)
	}
	return "version " + lastLine(version), nil
}
