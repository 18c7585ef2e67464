package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// installScript is Pulumi's own installer. Its version, its folder and that it leaves shell profiles alone are given.
const installScript = "https://get.pulumi.com/install.sh"

// installPulumi runs the official installer with the project's folder as its root. The script is saved before it
// runs, so that a broken download runs nothing.
func (d *driver) installPulumi(ctx context.Context) error {
	script := d.local("install-pulumi.sh")
	if err := d.download(ctx, installScript, script); err != nil {
		return err
	}
	args := []string{script, "--version", pulumiVersion, "--install-root", d.local(), "--no-edit-path"}
	if _, err := d.host.Run(ctx, command{name: "sh", args: args}); err != nil {
		return fmt.Errorf("running Pulumi's installer: %w", err)
	}
	return nil
}

// download saves a small file.
func download(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("downloading %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("downloading: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("downloading %s: %s", url, res.Status)
	}
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("downloading %s: %w", url, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("saving %s: %w", url, err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("saving %s: %w", url, err)
	}
	return nil
}

// compilePulumi builds the CLI from the modules that tools/pulumi pins.
func (d *driver) compilePulumi(ctx context.Context) error {
	const version = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
	args := []string{"-C", filepath.Join(d.root, "tools", "pulumi"), "build", "-trimpath", "-o", d.local("bin", "pulumi"),
		"-ldflags", "-s -w -X " + version + "=v" + pulumiVersion, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"}
	build := command{name: "go", args: args, env: []string{"CGO_ENABLED=0"}, live: d.steps.stream()}
	if _, err := d.host.Run(ctx, build); err != nil {
		return fmt.Errorf("compiling the Pulumi CLI: %w", err)
	}
	return nil
}

// needLanguageHost checks for the plugin that runs Go programs. The installer brings it, but it is no Go module, so
// it cannot be compiled along with the CLI.
func (d *driver) needLanguageHost() error {
	const plugin = "pulumi-language-go"
	if isFile(d.local("bin", plugin)) {
		return nil
	}
	if _, err := d.host.LookPath(plugin); err == nil {
		return nil
	}
	return errors.New("needs " + plugin + ", which comes with Pulumi's release archives only: put it on PATH or into " +
		localDir + "/bin")
}
