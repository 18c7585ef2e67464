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

// fakeCommand puts a script named docker on PATH.
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
pull) exec sleep 60 ;;
*) echo; echo first >&2; echo "Error: no such thing" >&2; exit 3 ;;
esac`)
	if out, err := dockerCLI(t.Context(), "A=b", "create", "x"); err != nil || out != "A=b create x" {
		t.Errorf("got %q, %v, want standard input and the arguments", out, err)
	}
	if out, err := dockerCLI(t.Context(), "", "logs", "x"); err != nil || out != "out\nerr" {
		t.Errorf("got %q, %v, want both streams", out, err)
	}
	if _, err := dockerCLI(t.Context(), "", "rm", "x"); err == nil ||
		!strings.HasSuffix(err.Error(), "`docker rm x`: exit status 3: Error: no such thing") {
		t.Errorf("got %v, want the command and its last line of output", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dockerCLI(ctx, "", "create", "x"); err != nil {
		t.Errorf("got %v, want a command that creates something to ignore the cancellation", err)
	}
	if _, err := dockerCLI(ctx, "", "pull", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a pull to end with the context", err)
	}
}

// TestArchive: the file is in the root of the archive, readable by everyone.
func TestArchive(t *testing.T) {
	r := tar.NewReader(strings.NewReader(archive("redis", "word")))
	h, err := r.Next()
	if err != nil || h.Name != "redis" || h.Mode != 0o444 {
		t.Fatalf("got %+v, %v, want the file redis with mode 0444", h, err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "word" {
		t.Errorf("got %q, %v, want the content", got, err)
	}
}

// TestGone: the reason has the container's state and the last line of its log.
func TestGone(t *testing.T) {
	for want, test := range map[string]struct {
		state containerState
		log   string
	}{
		"exit code 1, last line: b":                                   {containerState{ExitCode: 1}, "a\nb\n\n"},
		"exit code 1, killed for using too much memory, last line: b": {containerState{ExitCode: 1, OOMKilled: true}, "b"},
		"exit code 1, no file":                                        {containerState{ExitCode: 1, Error: "no file"}, ""},
		"":                                                            {containerState{Running: true}, "a"},
	} {
		f := newFakeDocker(t, fakeApp{})
		f.containers["id"] = &fakeContainer{state: test.state, log: test.log}
		i := &instance{bench: newBench(&settings{}, f.run, nil, nil), id: "id"}
		if got := i.gone(t.Context()); got != want || i.err != nil {
			t.Errorf("got %q, %v, want %q", got, i.err, want)
		}
	}
}
