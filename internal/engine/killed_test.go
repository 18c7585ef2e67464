//go:build e2e

package engine

import (
	"bytes"
	"testing"
	"time"
)

// TestKilledUpdate follows docs/operations.md after an update that was killed on a shared backend: the lock, the
// operation that did not complete, and the object that the state lacks are removed by hand.
func TestKilledUpdate(t *testing.T) {
	const interrupted = "Deployment web"
	p := existing(t)
	p.substitute.interrupted = interrupted
	update := p.command(".", "up", "--yes", "--skip-preview")
	var out bytes.Buffer
	update.Stdout, update.Stderr = &out, &out
	if err := update.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.substitute.reached:
	case <-time.After(2 * time.Minute):
		t.Errorf("the update does not create %s", interrupted)
	}
	if err := update.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err := update.Wait()
	if bySignal := update.ProcessState.ExitCode() == -1; !bySignal || t.Failed() {
		t.Fatalf("the update that was to be killed ended with %v:\n%s", err, &out)
	}

	p.refused("currently locked by", ".", "up", "--yes", "--skip-preview", "--color", "never")
	p.must(".", "cancel", "--yes")
	p.must(".", "refresh", "--yes", "--skip-preview", "--clear-pending-creates")
	p.refused("already exists", ".", "up", "--yes", "--skip-preview", "--color", "never")
	p.substitute.remove(interrupted)
	p.must(".", "up", "--yes", "--skip-preview")
	p.must(".", "preview", "--expect-no-changes")
}
