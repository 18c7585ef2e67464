package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// pulumiVersion is the version of the SDK in go.mod. Older CLIs may lack what that SDK asks of the engine; newer ones
// of the same major version are compatible.
const pulumiVersion = "3.276.0"

// findPulumi looks for a Pulumi CLI that is new enough: on PATH, then among the project's own tools. It returns what
// it found in words, or false.
func (d *driver) findPulumi(ctx context.Context) (string, bool) {
	type place struct{ path, words string }
	var places []place
	if path, err := d.host.LookPath("pulumi"); err == nil {
		places = append(places, place{path, "on PATH"})
	}
	if path := d.local("bin", "pulumi"); isFile(path) {
		places = append(places, place{path, "in " + localDir + "/bin"})
	}
	for _, p := range places {
		version, ok := d.pulumiVersionOf(ctx, p.path)
		if ok {
			d.pulumi = p.path
			return version + " " + p.words, true
		}
		if version != "" {
			d.steps.note("pulumi %s %s is not used: needs 3.x, at least %s", version, p.words, pulumiVersion)
		}
	}
	return "", false
}

// pulumiVersionOf returns the version of a CLI and whether this project can use it; "" if it does not run.
func (d *driver) pulumiVersionOf(ctx context.Context, path string) (version string, ok bool) {
	out, err := d.host.Run(ctx, command{name: path, args: []string{"version"}, env: quietPulumi()})
	if err != nil {
		return "", false
	}
	return lastLine(out), newEnough(lastLine(out), pulumiVersion)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// semver finds the numbers of versions such as v3.260.0-alpha.x.
var semver = regexp.MustCompile(`^v?(\d+)\.(\d+)\.(\d+)`)

// newEnough tells whether got has the same major version as want and is not older.
func newEnough(got, want string) bool {
	g, w := semver.FindStringSubmatch(got), semver.FindStringSubmatch(want)
	if g == nil || w == nil || g[1] != w[1] {
		return false
	}
	for i := 2; i <= 3; i++ {
		a, _ := strconv.Atoi(g[i]) // digits only
		b, _ := strconv.Atoi(w[i])
		if a != b {
			return a > b
		}
	}
	return true
}

// ensurePulumi finds the Pulumi CLI or installs it into the project.
func (d *driver) ensurePulumi(ctx context.Context) (string, error) {
	if found, ok := d.findPulumi(ctx); ok {
		return "found " + found, nil
	}
	installErr := d.installPulumi(ctx)
	if found, ok := d.findPulumi(ctx); ok {
		return "installed " + found, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	d.steps.note("the installer did not work (%v)", installErr)
	d.steps.note("compiling the CLI from its Go modules instead; that takes some minutes, once")
	compileErr := d.compilePulumi(ctx)
	if found, ok := d.findPulumi(ctx); ok {
		return "compiled " + found, d.needLanguageHost()
	}
	return "", fmt.Errorf("needs the Pulumi CLI, 3.x, at least %s: none on PATH, the installer failed (%v), and so did "+
		"compiling it (%w); put one on PATH, or set HTTPS_PROXY or GOPROXY to a way out",
		pulumiVersion, installErr, compileErr)
}

// ensureKind makes Go compile the pinned Kind, so that the time for it shows here and an error is seen early.
func (d *driver) ensureKind(ctx context.Context) (string, error) {
	args := []string{"-C", filepath.Join(d.root, "tools"), "tool", "kind", "version", "--quiet"}
	version, err := d.host.Run(ctx, command{name: "go", args: args})
	if err != nil {
		return "", fmt.Errorf("needs Kind, which Go compiles from the modules in tools/go.mod; set GOPROXY to a module "+
			"proxy that this machine reaches: %w", err)
	}
	return "version " + lastLine(version), nil
}
