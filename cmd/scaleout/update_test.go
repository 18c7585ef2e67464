package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// deadPID is above the largest process id that Linux gives out (PID_MAX_LIMIT, 2^22).
const deadPID = 1<<22 + 1

func lockedBy(host string, pid int) error {
	return fmt.Errorf("updating: %w", &commandError{command: "pulumi up", cause: errors.New("exit status 1"),
		output: fmt.Sprintf("error: the stack is currently locked by 1 lock(s). Either wait for the others to end\n"+
			"  file:///x/.pulumi/locks/a.json: created by me@%s (pid %d) at 2026-01-01T00:00:00Z", host, pid)})
}

func TestStaleLock(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, program string
		err           error
		want          bool
	}{
		{"its process is gone", "", lockedBy(here, deadPID), true},
		{"its process has ended, and nobody asked how", "Z pulumi <defunct>", lockedBy(here, os.Getpid()), true},
		{"its process runs", "S pulumi", lockedBy(here, os.Getpid()), false},
		{"another process has its number since", "S bash", lockedBy(here, os.Getpid()), true},
		{"of another machine, whose processes cannot be seen", "", lockedBy("elsewhere", deadPID), false},
		{"another failure", "", &commandError{output: "error: update failed"}, false},
		{"no failure", "", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t, reply{command: "ps -o state=,comm= -p", out: tt.program + "\n"})
			if got := d.staleLock(context.Background(), tt.err); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestStaleLockIsRemoved: only a state of this folder is locked by a process of this machine.
func TestStaleLockIsRemoved(t *testing.T) {
	for _, local := range []bool{true, false} {
		here, _ := os.Hostname()
		var locked *commandError
		errors.As(lockedBy(here, deadPID), &locked)
		d, host, _ := newTestDriver(t, reply{command: "pulumi cancel"})
		host.replies = append(host.replies, reply{command: "pulumi destroy", fails: locked.output})
		s := openTestStack(t, d)
		s.backend.local = local
		if err := d.change(context.Background(), s, "destroy"); err == nil {
			t.Error("got no error, want the second failure returned")
		}
		if got := len(host.asked("pulumi cancel")); (got == 1) != local || len(host.asked("pulumi destroy")) != 1+got {
			t.Errorf("local %t: got %q", local, host.asked(""))
		}
	}
}

func TestUpdateFlags(t *testing.T) {
	for target, want := range map[string]bool{"kind": true, "docker": true, "eks": false} {
		d, host, _ := newTestDriver(t, reply{command: "pulumi up"})
		s := openTestStack(t, d)
		s.set(keyTarget, target)
		if _, err := d.update(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(host.asked("pulumi up")[0], "--skip-preview"); got != want {
			t.Errorf("%s: got preview skipped %t, want %t", target, got, want)
		}
	}
}

func TestExplainPulumi(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"passphrase", "error: getting secrets manager: incorrect passphrase", "encrypted with another passphrase"},
		{"lock", "the stack is currently locked by 1 lock(s)", "pulumi cancel --stack dev"},
		{"language host", "error: no language plugin 'pulumi-language-go' found", "put pulumi-language-go on PATH"},
		{"lost state", `error: deployments.apps "web" already exists`, "not in the state"},
		{"anything else", "layer: Layer already exists\nerror: update failed", "`make status`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cause := &commandError{command: "pulumi up --yes", cause: errors.New("exit status 255"), output: tt.output}
			err := explainPulumi("dev", cause)
			wantError(t, err, tt.want, "exit status 255")
			if !errors.Is(err, cause) {
				t.Error("got an error without its cause, want it wrapped")
			}
		})
	}
}
