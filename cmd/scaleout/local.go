package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Marks are files in localDir that hold what no one can be asked for, and so outlive an interruption.
const (
	// markCluster holds the ID of the control plane's container of a cluster that `up` made, or unfinished. `down`
	// removes no other cluster.
	markCluster = "cluster-"
	// markDaemon holds the ID of the Docker daemon that a stack is on.
	markDaemon = "docker-daemon-"
	// markUnderWay is there while Pulumi changes a stack, and stays if that is interrupted.
	markUnderWay = "under-way-"
	// markRollback holds the image that a rollback goes to, until it is there.
	markRollback = "rolling-back-"
)

// local returns a path below localDir.
func (d *driver) local(elem ...string) string {
	return filepath.Join(append([]string{d.root, localDir}, elem...)...)
}

// setMark writes a mark. The name of a stack may have organization and project before it.
func (d *driver) setMark(mark, name, content string) error {
	return os.WriteFile(d.local(mark+path.Base(name)), []byte(content), 0o600)
}

func (d *driver) clearMark(mark, name string) error {
	if err := os.Remove(d.local(mark + path.Base(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mark returns what a mark holds, or nothing.
func (d *driver) mark(mark, name string) string {
	content, _ := os.ReadFile(d.local(mark + path.Base(name)))
	return string(content)
}

// lock keeps a second command that changes something out of this folder. The kernel drops the lock with the process that
// holds it, however that ends.
func (d *driver) lock(what string) (release func(), err error) {
	f, err := os.OpenFile(d.local("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		_ = f.Close()
		return nil, fmt.Errorf("another run is under way in this folder (%s): wait for it, or interrupt it (%w)",
			strings.TrimSpace(string(holder)), err)
	}
	_ = f.Truncate(0) // what it says is for people
	_, _ = fmt.Fprintf(f, "%s of stack %s, process %d\n", what, d.Stack, os.Getpid())
	return func() { _ = f.Close() }, nil // the file stays: who has it open would lock one that is gone
}
