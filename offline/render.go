package offline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// renderedBy begins every file that Render writes, and so identifies them.
const renderedBy = "# Rendered by `scaleout render`; changes will be overwritten. Stack: "

// Render writes one file per Kubernetes object into dir, for `kubectl apply --server-side -f dir`, and returns their
// names. The number at the beginning of a name determines the order in which kubectl creates the objects. Render
// replaces the files of an earlier Render; if dir contains any other file, it changes nothing.
func (r *Result) Render(dir string) ([]string, error) {
	files := map[string]string{}
	for _, resource := range r.objects() {
		object, _ := resource.Object()
		content, err := resource.file(r.Stack)
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", object, err)
		}
		name := fmt.Sprintf("%02d-%s.yaml", object.rank(), resource.fileName())
		if files[name] != "" { // e.g. the same kind in two API groups
			return nil, fmt.Errorf("rendering %s: two objects have the file name %s", object, name)
		}
		files[name] = content
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("stack %s has no Kubernetes objects to render; `preview` shows its resources", r.Stack)
	}
	if err := clearRendered(dir); err != nil {
		return nil, err
	}
	names := sortedKeys(files)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return names, nil
}

// file returns the content of a file: the marker, comments for unknown and secret values, and the object.
func (r Resource) file(stack string) (string, error) {
	body, err := r.inputsYAML()
	var unknown, secret strings.Builder
	walk("", r.printed(), nil, func(path string, leaf, _ any) any {
		switch leaf := leaf.(type) {
		case Unknown:
			fmt.Fprintf(&unknown, "# Known only after `pulumi up`: %s %s\n", path, leaf)
		case Secret:
			fmt.Fprintf(&secret, "# Secret, not shown: %s\n", path)
		}
		return leaf
	})
	return renderedBy + stack + ".\n" + unknown.String() + secret.String() + body, err
}

// clearRendered creates dir, or removes the files of an earlier Render from it.
func clearRendered(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating the output folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the output folder: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		content, _ := os.ReadFile(path) // empty for unreadable entries, e.g. a folder
		if !strings.HasPrefix(string(content), renderedBy) {
			return fmt.Errorf("%s was not written by `render`; use a new or empty folder, or the folder of an earlier `render`",
				path)
		}
	}
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
	}
	if err != nil {
		return fmt.Errorf("clearing the output folder: %w", err)
	}
	return nil
}

// rendered returns a summary of the files and of the resources that only an `up` can create.
func (r *Result) rendered(dir string, files []string) string {
	rows := [][]string{}
	for _, resource := range r.Resources {
		if _, ok := resource.Object(); !ok && resource.Custom {
			rows = append(rows, []string{resource.displayType(), resource.Name})
		}
	}
	return fmt.Sprintf("%d files in %s\n", len(files), dir) +
		section("Not Kubernetes objects, so not rendered", table(rows)) +
		section("Known only after `pulumi up`", r.unknowns())
}
