package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// quietPulumi is set for every Pulumi command: no question of an update server, whose answer changes nothing here.
func quietPulumi() []string { return []string{"PULUMI_SKIP_UPDATE_CHECK=true"} }

// backend is where Pulumi keeps the state and how it encrypts secrets.
type backend struct {
	// env is what to add to the environment of Pulumi commands.
	env []string
	// words describe it.
	words string
	// local is true for the state inside the project, which nobody else uses.
	local bool
}

// chooseBackend keeps the user's choice as far as the environment has one, and otherwise takes a folder and a
// passphrase file inside the project: no account is needed, and no login on this machine is touched.
func (d *driver) chooseBackend() (backend, error) {
	b := backend{env: quietPulumi()}
	if err := os.MkdirAll(d.local("state"), 0o700); err != nil {
		return b, fmt.Errorf("creating the folder for Pulumi's state: %w", err)
	}
	switch {
	case d.getenv("PULUMI_BACKEND_URL") != "":
		b.words = "PULUMI_BACKEND_URL"
	case d.getenv("PULUMI_ACCESS_TOKEN") != "":
		b.words = "Pulumi Cloud (PULUMI_ACCESS_TOKEN)"
	default:
		b.env = append(b.env, "PULUMI_BACKEND_URL=file://"+filepath.ToSlash(d.local("state")))
		b.words, b.local = localDir+"/state", true
	}
	if d.getenv("PULUMI_CONFIG_PASSPHRASE") != "" || d.getenv("PULUMI_CONFIG_PASSPHRASE_FILE") != "" {
		b.words += ", passphrase from the environment"
		return b, nil
	}
	file := d.local("passphrase")
	if err := ensurePassphrase(file); err != nil {
		return b, err
	}
	b.env = append(b.env, "PULUMI_CONFIG_PASSPHRASE_FILE="+file)
	b.words += ", passphrase in " + localDir + "/passphrase"
	return b, nil
}

// ensurePassphrase creates the file with a random passphrase. An existing one is never overwritten: what it encrypted
// could not be read again.
func ensurePassphrase(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the passphrase file: %w", err)
	}
	if _, err := f.WriteString(rand.Text() + "\n"); err != nil {
		return fmt.Errorf("writing the passphrase file: %w", errors.Join(err, f.Close(), os.Remove(file)))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the passphrase file: %w", err)
	}
	return nil
}

// env prints the variables that `up` gives to Pulumi, as shell commands: eval "$(make -s env)".
func (d *driver) env(context.Context) error {
	s, err := d.openStack()
	if err != nil {
		return err
	}
	for _, v := range s.backend.env {
		key, value, _ := strings.Cut(v, "=")
		d.steps.printf("export %s=%s\n", key, shellQuote(value))
	}
	if isFile(d.local("bin", "pulumi")) {
		d.steps.printf("export PATH=%s:\"$PATH\"\n", shellQuote(d.local("bin")))
	}
	return nil
}

// shellQuote makes one word of s for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
