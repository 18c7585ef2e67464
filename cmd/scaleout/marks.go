package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Marks are files in localDir that say what is unfinished, and so outlive an interruption.
const (
	// markCreating is there while Kind creates the cluster. If a later run finds it, Kind never finished, and half a
	// cluster is easier replaced than repaired.
	markCreating = "creating-cluster-"
	// markNewCluster is there from the creation of a cluster to the first update that went well. Until then the state
	// may list objects of a cluster that was deleted behind Pulumi's back.
	markNewCluster = "new-cluster-"
	// markPushed holds the ID of the registry's container that has a stack's images. Any other has not, whatever the state
	// says.
	markPushed = "pushed-"
)

func (d *driver) marked(mark, name string) bool {
	_, err := os.Stat(d.local(mark + name))
	return err == nil
}

func (d *driver) setMark(mark, name, content string) error {
	if err := os.MkdirAll(d.local(), 0o700); err != nil {
		return fmt.Errorf("creating %s: %w", localDir, err)
	}
	if err := os.WriteFile(d.local(mark+name), []byte(content), 0o600); err != nil {
		return fmt.Errorf("noting what is unfinished: %w", err)
	}
	return nil
}

func (d *driver) clearMark(mark, name string) error {
	if err := os.Remove(d.local(mark + name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("noting what is finished: %w", err)
	}
	return nil
}

// mark returns what a mark holds, or nothing.
func (d *driver) mark(mark, name string) string {
	content, err := os.ReadFile(d.local(mark + name))
	if err != nil {
		return "" // as good as a mark that says so: what depends on it is done once too often
	}
	return string(content)
}
