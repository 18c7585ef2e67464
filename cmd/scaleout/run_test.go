package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	live := must(os.Create(filepath.Join(t.TempDir(), "live")))
	returned := must(shell(command{live: live}, "echo a; echo ü >&2"))
	if shown := read(t, live.Name()); shown != "a\nü\n" || returned != "" {
		t.Errorf("got %q and %q, want both streams live only", shown, returned)
	}
	_, err := shell(command{}, "echo first >&2; echo last >&2; exit 3\n# more lines")
	if want := "`sh -c echo first >&2; echo last >&2; exit 3`: exit status 3: first\nlast"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	_, err = shell(command{}, "seq 20 >&2; exit 3")
	if text := fmt.Sprint(err); !strings.HasSuffix(text, ": exit status 3: 11\n12\n13\n14\n15\n16\n17\n18\n19\n20") {
		t.Errorf("got %q, want the last lines", text)
	}
	_, err = shell(command{live: live}, "echo last >&2; exit 3")
	wantError(t, err, "exit status 3: last")
	if _, err = shell(command{}, "exit 3"); fmt.Sprint(err) != "`sh -c exit 3`: exit status 3" {
		t.Errorf("got %q for a program that says nothing", err)
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
