package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestLock(t *testing.T) {
	d, host, _ := newTestDriver(t)
	release, err := d.lock("down")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(d.root)
	err = start(context.Background(), subcommands()[0], d.lookupEnv, host, d.out)
	wantError(t, err, "another run is under way", "down of stack dev", fmt.Sprintf("process %d", os.Getpid()))
	if len(host.ran) > 0 {
		t.Errorf("got %q, want nothing done beside another run", host.asked(""))
	}
	release()
	if release, err = d.lock("up"); err != nil {
		t.Fatal(err)
	}
	release()
}

// TestLockDiesWithItsProcess kills a process that holds the lock.
func TestLockDiesWithItsProcess(t *testing.T) {
	if root := os.Getenv("HOLD_LOCK_IN"); root != "" { // this is that process
		if _, err := (&driver{root: root}).lock("up"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		select {}
	}
	d, _, _ := newTestDriver(t)
	holder := exec.Command(os.Args[0], "-test.run=^TestLockDiesWithItsProcess$")
	holder.Env = append(os.Environ(), "HOLD_LOCK_IN="+d.root)
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("got %q and %v, want the lock taken", line, err)
	}
	_, err = d.lock("up")
	wantError(t, err, fmt.Sprintf("process %d", holder.Process.Pid))
	_ = holder.Process.Kill()
	_ = holder.Wait()
	if _, err := d.lock("up"); err != nil {
		t.Errorf("got %v, want the lock free", err)
	}
}
