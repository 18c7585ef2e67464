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

// localDir holds what belongs to this checkout on this machine: tools, Pulumi's state and project of local stacks, the
// passphrase, the kubeconfig of kind clusters. It is not in git.
const localDir = ".local"

// Marks are files in localDir for facts that no other program keeps.
const (
	// markCluster holds the container ID of the control plane of a cluster that `up` created, or unfinished. `down`
	// deletes no other cluster.
	markCluster = "cluster-"
	// markDaemon holds the ID of the Docker daemon that a stack runs on.
	markDaemon = "docker-daemon-"
	// markActive exists while Pulumi changes a stack, and stays if that is interrupted.
	markActive = "active-"
	// markRollback holds the image of a rollback that has not finished.
	markRollback = "rolling-back-"
)

// local returns a path below localDir.
func (d *driver) local(elem ...string) string {
	return filepath.Join(append([]string{d.root, localDir}, elem...)...)
}

// committed returns the committed settings file of a stack.
func (d *driver) committed(stack string) string { return filepath.Join(d.root, stackFileName(stack)) }

// setMark writes a mark. A stack name may have organization and project in front.
func (d *driver) setMark(mark, name, content string) error {
	return os.WriteFile(d.local(mark+path.Base(name)), []byte(content), 0o600)
}

func (d *driver) clearMark(mark, name string) error {
	if err := os.Remove(d.local(mark + path.Base(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mark returns the content of a mark, or "".
func (d *driver) mark(mark, name string) string {
	content, _ := os.ReadFile(d.local(mark + path.Base(name)))
	return string(content)
}

// lock refuses a second command that changes something in this checkout. The kernel releases the lock when the process
// ends, however it ends.
func (d *driver) lock(what string) (release func(), err error) {
	f, err := os.OpenFile(d.local("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		_ = f.Close()
		return nil, fmt.Errorf("another run is active in this folder (%s): wait for it, or interrupt it (%w)",
			strings.TrimSpace(string(holder)), err)
	}
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%s of stack %s, process %d\n", what, d.Stack, os.Getpid())
	return func() { _ = f.Close() }, nil // the file stays, since a lock on a removed file protects nothing
}
