package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lock keeps a second `up` or `down` out of this folder, since the two would meet half-way, at the cluster or in
// Pulumi's state. The kernel drops the lock with the process that holds it, however that ends.
func (d *driver) lock(what string) (release func(), err error) {
	if err := os.MkdirAll(d.local(), 0o700); err != nil {
		return nil, fmt.Errorf("creating %s: %w", localDir, err)
	}
	f, err := os.OpenFile(d.local("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", localDir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, readErr := os.ReadFile(f.Name())
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) || readErr != nil {
			return nil, fmt.Errorf("locking %s: %w", localDir, errors.Join(err, readErr))
		}
		return nil, fmt.Errorf("another run is under way in this folder (%s): wait for it, or interrupt it",
			strings.TrimSpace(string(holder)))
	}
	content := fmt.Sprintf("%s of stack %s, process %d\n", what, d.Stack, os.Getpid())
	if err := errors.Join(f.Truncate(0), writeAt(f, content)); err != nil {
		return nil, fmt.Errorf("locking %s: %w", localDir, errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil // the file stays: who has it open would lock one that is gone
}

func writeAt(f *os.File, content string) error {
	_, err := f.WriteAt([]byte(content), 0)
	return err
}
