package main

import (
	"context"
	"fmt"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
)

// findPulumi looks for a Pulumi CLI that is new enough: on PATH, then among the project's own tools. It returns what
// it found in words, or false. A CLI that is older than the SDK in go.mod may lack what that asks of the engine.
func (d *driver) findPulumi(ctx context.Context) (string, bool) {
	for _, place := range []struct{ path, words string }{
		{"pulumi", "on PATH"}, {d.local("bin", "pulumi"), "in " + localDir + "/bin"},
	} {
		out, err := d.host.Run(ctx, command{name: place.path, args: []string{"version"}, env: quietPulumi()})
		if err != nil { // it is not there
			continue
		}
		if newEnough(lastLine(out)) {
			d.pulumi = place.path
			return lastLine(out) + " " + place.words, true
		}
		d.note("pulumi %s %s is not used: needs 3.x, at least %s", lastLine(out), place.words, sdk.Version)
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

// installPulumi runs Pulumi's own installer, which leaves shell profiles alone. The script is saved before it runs, so
// that a broken download runs nothing; it needs curl itself.
func (d *driver) installPulumi(ctx context.Context) error {
	script := d.local("install-pulumi.sh")
	args := []string{"-fsSL", "--max-time", "30", "--output", script, "https://get.pulumi.com/install.sh"}
	_, err := d.host.Run(ctx, command{name: "curl", args: args})
	if err == nil {
		args = []string{script, "--version", sdk.Version.String(), "--install-root", d.local(), "--no-edit-path"}
		_, err = d.host.Run(ctx, command{name: "sh", args: args})
	}
	return err
}
