package offline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// renderedBy is the first line of every file that Render writes. It marks them as its own.
const renderedBy = "# Rendered by `scaleout render`; changes will be overwritten. Stack: "

// Render writes one file per Kubernetes object into dir, for `kubectl apply --server-side -f dir`, and returns their
// names. The number that a name begins with makes kubectl create the objects in an order that works. Files that an
// earlier Render wrote are replaced; if there is anything else in dir, nothing is touched.
func (r *Result) Render(dir string) ([]string, error) {
	files := map[string]string{}
	for _, resource := range r.objects() {
		object, _ := resource.Object()
		content, err := resource.file(r.Stack)
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", object, err)
		}
		name := fmt.Sprintf("%02d-%s.yaml", object.rank(), object.fileName())
		if files[name] != "" { // kinds of the same name in two API groups
			return nil, fmt.Errorf("rendering %s: two objects would be in the file %s", object, name)
		}
		files[name] = content
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("stack %s has no Kubernetes objects, so there is nothing to render; `preview` shows what there is", r.Stack)
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

// file is the content of one file: the marker, what cannot be applied as it is, and the object.
func (r *Resource) file(stack string) (string, error) {
	manifest, _ := r.Manifest()
	body, err := manifestYAML(manifest)
	var unknown, secret strings.Builder
	walk("", manifest, func(path string, leaf any) any {
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

// clearRendered makes dir, or removes the files of an earlier Render from it.
func clearRendered(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the output folder: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		content, _ := os.ReadFile(path) // none if it cannot be read: a folder, another user's file
		if !strings.HasPrefix(string(content), renderedBy) {
			return fmt.Errorf("%s is not ours: give a new or empty folder, or one that only `render` has written to", path)
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

// rendered sums up what was written, and what there is besides: only an `up` can make that.
func (r *Result) rendered(dir string, files []string) string {
	rows := [][]string{}
	for i := range r.Resources {
		if _, ok := r.Resources[i].Object(); !ok && r.Resources[i].Custom {
			rows = append(rows, []string{displayType(r.Resources[i].Type), r.Resources[i].Name})
		}
	}
	return fmt.Sprintf("%d files in %s\n", len(files), dir) + sections([]section{
		{"Not Kubernetes objects, so not rendered", table(rows)}, {"Known only after `pulumi up`", r.unknowns()},
	})
}
