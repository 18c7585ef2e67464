package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	shell := func(c command, script string) (string, error) {
		c.name, c.args = "sh", []string{"-c", script}
		return execRunner{}.Run(t.Context(), c)
	}
	c := command{env: []string{"A=b"}, stdin: strings.NewReader("secret")}
	if got := must(shell(c, `echo "$A"; cat`)); got != "b\nsecret" {
		t.Errorf("got %q, want the environment and the input", got)
	}
	var live bytes.Buffer
	if got := must(shell(command{live: &live}, "echo a; echo ü >&2")); live.String() != "a\nü\n" || got != "" {
		t.Errorf("got %q and %q, want both streams live only", live.String(), got)
	}
	_, err := shell(command{}, "echo first >&2; echo last >&2; exit 3\n# more lines")
	var failed *commandError
	if !errors.As(err, &failed) || !strings.Contains(failed.output, "first") {
		t.Fatalf("got %v, want a commandError with the whole output", err)
	}
	if want := "`sh -c echo first >&2; echo last >&2; exit 3`: exit status 3: last"; err.Error() != want {
		t.Errorf("got %q, want the one line %q", err, want)
	}
}

// TestCancelInterrupts checks that the program of a canceled context can shut down gracefully.
func TestCancelInterrupts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, live := io.Pipe()
	rest := make(chan string)
	go func() {
		lines := bufio.NewReader(read)
		_, _ = lines.ReadString('\n')
		cancel()
		text, _ := io.ReadAll(lines)
		rest <- string(text)
	}()
	_, err := execRunner{}.Run(ctx, command{name: "sh", live: live, args: []string{"-c",
		`trap 'echo interrupted; exit 1' INT; echo ready; while :; do sleep 0.05; done`}})
	_ = live.Close()
	if said := <-rest; err == nil || said != "interrupted\n" {
		t.Errorf("got %v and %q, want the program interrupted", err, said)
	}
}

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d := &driver{out: &out, began: time.Now()}
		takes := func(result string, err error) func(context.Context) (string, error) {
			return func(context.Context) (string, error) { time.Sleep(1540 * time.Millisecond); return result, err }
		}
		failed := errors.New("no")
		err := d.do(t.Context(), step{"first", takes("exists\ntwice", nil)}, step{"second", takes("", failed)},
			step{"third", takes("", nil)})
		d.total("up")
		want := "==> first\n    exists\n    twice (1.5s)\n==> second\n    failed after 1.5s\n==> up in 3s\n"
		if got := out.String(); got != want || !errors.Is(err, failed) {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	})
}
