package main

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeCommand puts a docker on PATH that is a script.
func fakeCommand(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestDockerCommand(t *testing.T) {
	fakeCommand(t, `case "$1" in
create) cat; echo " $*" ;;
logs) echo out; echo err >&2 ;;
start) echo pull access denied >&2; echo; exit 1 ;;
wait) exec sleep 60 ;;
*) echo; echo first >&2; echo "Error: no such thing" >&2; exit 3 ;;
esac`)
	d := dockerCLI{}
	if out, err := d.run(t.Context(), "A=b", "create", "x"); err != nil || out != "A=b create x" {
		t.Errorf("got %q, %v, want what was sent and the arguments", out, err)
	}
	if out, err := d.run(t.Context(), "", "logs", "x"); err != nil || out != "out\nerr" {
		t.Errorf("got %q, %v, want both streams", out, err)
	}
	if _, err := d.run(t.Context(), "", "rm", "x"); err == nil ||
		!strings.HasSuffix(err.Error(), "`docker rm x`: exit status 3: Error: no such thing") {
		t.Errorf("got %v, want the command and the last thing it said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.run(ctx, "", "create", "x"); err != nil {
		t.Errorf("got %v, want a command that creates something to be waited for", err)
	}
	if _, err := d.run(ctx, "", "wait", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a command that waits to end with the context", err)
	}
}

// Files in the archive are in its root, for everyone to read.
func TestArchive(t *testing.T) {
	content, err := archive(map[string]string{"/run/secrets/app/redis": "word"})
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(strings.NewReader(content))
	h, err := r.Next()
	if err != nil || h.Name != "redis" || h.Mode != 0o444 {
		t.Fatalf("got %+v, %v, want the file redis with mode 0444", h, err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "word" {
		t.Errorf("got %q, %v, want the content", got, err)
	}
}

// The last line of a log is the reason of an end, and says if it was for want of memory.
func TestEnded(t *testing.T) {
	for want, s := range map[string]containerState{
		"exit code 1, last line: b":                                     {ExitCode: 1},
		"exit code 137, killed for using too much memory, last line: b": {ExitCode: 137, OOMKilled: true},
	} {
		if got := s.ended("a\nb\n\n"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (containerState{}).ended(""); got != "exit code 0" {
		t.Errorf("got %q, want no last line", got)
	}
}
