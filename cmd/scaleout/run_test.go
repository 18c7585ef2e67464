package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunErrorIsOneLine(t *testing.T) {
	script := "echo first >&2; echo last >&2; exit 3\n# more lines"
	_, err := new(execRunner).Run(context.Background(), command{name: "sh", args: []string{"-c", script}})
	var failed *commandError
	if !errors.As(err, &failed) || !strings.Contains(failed.output, "first") {
		t.Fatalf("got %v, want a commandError with all output kept", err)
	}
	if want := "`sh -c echo first >&2; echo last >&2; exit 3`: exit status 3: last"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestRunPassesInputDirectoryAndEnvironment(t *testing.T) {
	dir := t.TempDir()
	got, err := new(execRunner).Run(context.Background(), command{name: "sh", args: []string{"-c", `pwd; echo "$A"; cat`},
		dir: dir, env: []string{"A=b"}, stdin: "secret"})
	if want := dir + "\nb\nsecret"; err != nil || got != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

func TestLiveOutputIsPrefixed(t *testing.T) {
	var out bytes.Buffer
	c := command{name: "sh", args: []string{"-c", "echo a; echo ü >&2"}, live: &indented{out: &out}}
	_, err := new(execRunner).Run(context.Background(), c)
	if want := "    | a\n    | ü\n"; err != nil || out.String() != want {
		t.Errorf("got %q and %v, want %q", out.String(), err, want)
	}
}

// TestCancelInterruptsTheWholeGroup: a child gets the chance to end well, and so does what it started.
func TestCancelInterruptsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	live := &cancelOnReady{cancel: cancel}
	_, err := new(execRunner).Run(ctx, command{name: "sh", live: live, args: []string{"-c",
		`trap 'echo parent ended; exit 1' INT
		 sh -c 'trap "echo child ended; exit" INT; echo ready; while :; do sleep 0.05; done'`}})
	if err == nil || !strings.Contains(live.String(), "child ended") || !strings.Contains(live.String(), "parent ended") {
		t.Errorf("got %v and %q, want both interrupted", err, live)
	}
}

// cancelOnReady cancels once the program has printed "ready".
type cancelOnReady struct {
	mu     sync.Mutex
	text   bytes.Buffer
	cancel context.CancelFunc
}

func (w *cancelOnReady) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if bytes.Contains(p, []byte("ready")) {
		w.cancel()
	}
	return len(p), nil
}

func (w *cancelOnReady) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d := &driver{out: &out, began: time.Now()}
		takes := func(result string, err error) func() (string, error) {
			return func() (string, error) { time.Sleep(1500 * time.Millisecond); return result, err }
		}
		_ = d.do("first", takes("exists\ntwice", nil))
		_ = d.do("second", takes("", errors.New("no")))
		d.total("up")
		want := "==> first\n    exists\n    twice (1.5 s)\n==> second\n    failed after 1.5 s\n==> up in 3.0 s\n"
		if got := out.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		40 * time.Millisecond: "0.0 s", 9940 * time.Millisecond: "9.9 s", 95 * time.Second: "95 s",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
