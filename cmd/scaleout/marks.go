package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Marks are files in localDir that say what is unfinished, or what is where, and so outlive an interruption.
const (
	// markCreating is there while Kind creates the cluster. If a later run finds it, Kind never finished, and half a
	// cluster is easier replaced than repaired.
	markCreating = "creating-cluster-"
	// markUnderWay holds what Pulumi was doing to a stack when it was interrupted.
	markUnderWay = "under-way-"
	// markDeployed holds the ID of the control plane's container of the cluster that has a stack's objects. Any other has
	// not, whatever the state says: the cluster may have been deleted behind Pulumi's back.
	markDeployed = "deployed-"
	// markPushed holds the ID of the registry's container that has a stack's images, in the same way.
	markPushed = "pushed-"
	// markRollback holds the image that a rollback goes to, until it is there.
	markRollback = "rolling-back-"
)

// creating tells whether the creation of a cluster was begun and not seen to end.
func (d *driver) creating(cluster string) bool {
	_, err := os.Stat(d.local(markCreating + cluster))
	return err == nil
}

// markFile is the file of a mark; a stack's name may have organization and project before it.
func (d *driver) markFile(mark, name string) string { return d.local(mark + path.Base(name)) }

func (d *driver) setMark(mark, name, content string) error {
	if err := os.MkdirAll(d.local(), 0o700); err != nil {
		return fmt.Errorf("creating %s: %w", localDir, err)
	}
	if err := os.WriteFile(d.markFile(mark, name), []byte(content), 0o600); err != nil {
		return fmt.Errorf("noting what is unfinished: %w", err)
	}
	return nil
}

func (d *driver) clearMark(mark, name string) error {
	if err := os.Remove(d.markFile(mark, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("noting what is finished: %w", err)
	}
	return nil
}

// mark returns what a mark holds, or nothing.
func (d *driver) mark(mark, name string) string {
	content, err := os.ReadFile(d.markFile(mark, name))
	if err != nil {
		return "" // as good as a mark that says so: what depends on it is done once too often
	}
	return string(content)
}
