package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
)

// localDir holds what belongs to this checkout on this machine: tools, Pulumi's state, the passphrase. Not in git.
const localDir = ".local"

// driver is one run of a subcommand.
type driver struct {
	settings
	root   string // absolute path of the project
	host   runner
	out    io.Writer
	getenv func(string) string
	steps  *steps
	pulumi string // path of the Pulumi CLI, once it is known
	// download saves the file at a URL.
	download func(ctx context.Context, url, file string) error
	// stdin is where a person answers, if it is a terminal.
	stdin    io.Reader
	terminal bool
}

// local returns a path below localDir.
func (d *driver) local(elem ...string) string {
	return filepath.Join(append([]string{d.root, localDir}, elem...)...)
}

// docker runs a docker command and returns what it printed, without the spaces around it.
func (d *driver) docker(ctx context.Context, args ...string) (string, error) {
	out, err := d.host.Run(ctx, command{name: "docker", args: args})
	return strings.TrimSpace(out), err
}

// kind runs the version of Kind that tools/go.mod pins; Go compiles it on first use and keeps it in its cache.
func (d *driver) kind(ctx context.Context, live io.Writer, stdin string, args ...string) error {
	args = append([]string{"-C", filepath.Join(d.root, "tools"), "tool", "kind"}, args...)
	_, err := d.host.Run(ctx, command{name: "go", args: args, stdin: stdin, live: live})
	return err
}
