package offline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// renderedBy is the first line of every file that Render writes. It marks them as its own.
const renderedBy = "# Rendered by `scaleout render`; changes will be overwritten. Stack: "

// renderedName is the form of the file names. Their numbers make kubectl, which goes by name, create the objects in an
// order that works.
var renderedName = regexp.MustCompile(`^[0-9]{2}-[^/]+\.yaml$`)

// Render writes one file per Kubernetes object into dir, for `kubectl apply --server-side -f dir`, and returns their
// names. Files that an earlier Render wrote are replaced; if there is anything else in dir, nothing is touched. With
// showSecrets, secrets are in clear text as far as they can be known offline.
func (r *Result) Render(dir string, showSecrets bool) ([]string, error) {
	files := map[string]string{}
	for _, resource := range r.objects() {
		object, _ := resource.Object()
		content, err := resource.file(r.Stack, showSecrets)
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", object, err)
		}
		name := fmt.Sprintf("%02d-%s", object.rank(), object.fileName())
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
	mode := os.FileMode(0o644)
	if showSecrets {
		mode = 0o600
	}
	names := sortedKeys(files)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), mode); err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return names, nil
}

// file is the content of one file: the marker, what cannot be applied as it is, and the object.
func (r *Resource) file(stack string, showSecrets bool) (string, error) {
	manifest, _ := r.Manifest()
	body, err := manifestYAML(manifest, showSecrets)
	if err != nil {
		return "", err
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s%s.\n", renderedBy, stack)
	visit(manifest, "", func(path string, leaf any) {
		if u, ok := leaf.(Unknown); ok {
			fmt.Fprintf(&head, "# Known only after `pulumi up`: %s %s\n", path, u)
		}
	})
	visit(manifest, "", func(path string, leaf any) {
		if s, ok := leaf.(Secret); ok && printable(s, showSecrets) == secretText {
			fmt.Fprintf(&head, "# Secret, not shown: %s\n", path)
		}
	})
	return head.String() + body, nil
}

// clearRendered makes dir, or removes the files of an earlier Render from it.
func clearRendered(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the output folder: %w", err)
		}
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the output folder: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		content := []byte(nil)
		if entry.Type().IsRegular() && renderedName.MatchString(entry.Name()) {
			if content, err = os.ReadFile(path); err != nil {
				return fmt.Errorf("reading the output folder: %w", err)
			}
		}
		if !strings.HasPrefix(string(content), renderedBy) {
			return fmt.Errorf("%s is not ours: give a new or empty folder, or one that only `render` has written to", path)
		}
	}
	for _, entry := range entries {
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("clearing the output folder: %w", err)
		}
	}
	return nil
}

// rendered sums up what was written, and what there is besides: only an `up` can make that.
func (r *Result) rendered(dir string, files []string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d files in %s\n", len(files), dir)
	rows := [][]string{}
	for i := range r.Resources {
		if _, ok := r.Resources[i].Object(); !ok && r.Resources[i].Custom {
			rows = append(rows, []string{displayType(r.Resources[i].Type), r.Resources[i].Name})
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(&out, "\nNot Kubernetes objects, so not rendered:\n%s", table(rows))
	}
	if unknowns := r.unknowns(); unknowns != "" {
		fmt.Fprintf(&out, "\nKnown only after `pulumi up`:\n%s", unknowns)
	}
	return out.String()
}
