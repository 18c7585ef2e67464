package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Golden returns the result as files for a folder of golden files, by name: tree.txt, outputs.yaml, and for each
// Kubernetes object and each other custom resource what it is and which options it has. replace are pairs of texts, old
// and new, for what may change without anyone wanting to look at it, such as the hash of a build context.
func (r *Result) Golden(replace ...string) (map[string]string, error) {
	files := map[string]string{"tree.txt": r.Tree()}
	outputs, err := toYAML(printable(r.Exports, false))
	if err != nil {
		return nil, err
	}
	files["outputs.yaml"] = outputs
	for i := range r.Resources {
		resource := &r.Resources[i]
		if !resource.Custom {
			continue // its name and place are in the tree, its inputs in its children
		}
		body, err := resource.body()
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", resource.title(), err)
		}
		name := resource.goldenName("")
		for n := 2; files[name] != ""; n++ { // of the same type and name, but below another parent
			name = resource.goldenName(fmt.Sprintf("-%d", n))
		}
		files[name] = body
	}
	replacer := strings.NewReplacer(replace...)
	for name := range files {
		files[name] = replacer.Replace(files[name])
	}
	return files, nil
}

// ImageTags are the tags of the images that the program builds, each followed by zeros, for Golden: they would otherwise
// change the golden files with every change of a source.
func (r *Result) ImageTags() []string {
	var pairs []string
	for _, resource := range r.Resources {
		if tag := text(resource.Inputs, "build", "args", "VERSION"); tag != "" && resource.Type == imageType {
			pairs = append(pairs, tag, strings.Repeat("0", len(tag)))
		}
	}
	return pairs
}

const imageType = "docker:index/image:Image"

// goldenName has no rank in it, unlike the name of a rendered file: nobody applies golden files, and a new kind in the
// order would rename them all.
func (r *Resource) goldenName(suffix string) string {
	if object, ok := r.Object(); ok {
		return strings.TrimSuffix(object.fileName(), ".yaml") + suffix + ".yaml"
	}
	typ := strings.NewReplacer(":", "-", "/", "-").Replace(displayType(r.Type))
	return strings.ToLower(typ) + "-" + safeName(r.Name) + suffix + ".yaml"
}

// WriteGolden makes dir hold exactly these files.
func WriteGolden(dir string, files map[string]string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing old golden files: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of golden files: %w", err)
	}
	for _, name := range sortedKeys(files) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			return fmt.Errorf("writing a golden file: %w", err)
		}
	}
	return nil
}

// CompareGolden reports how dir differs from these files, one finding for each file that is missing, differs or should
// not be there. A difference is shown as a unified diff, from the golden file to what it should be.
func CompareGolden(dir string, files map[string]string) ([]string, error) {
	var findings []string
	for _, name := range sortedKeys(files) {
		golden, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			findings = append(findings, "missing: "+name)
		case err != nil:
			return nil, fmt.Errorf("reading a golden file: %w", err)
		case string(golden) != files[name]:
			findings = append(findings, "stale: "+name+" (- golden, + now)\n"+unified(string(golden), files[name]))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the golden files: %w", err)
	}
	for _, entry := range entries {
		if _, wanted := files[entry.Name()]; !wanted {
			findings = append(findings, "extra: "+entry.Name())
		}
	}
	return findings, nil
}

// unified is a diff in unified format without file names. The library is the diff of the Go toolchain, published by
// one of its maintainers: small, and a dependency of the SDK already.
func unified(before, after string) string {
	const headers = 3 // diff, --- and +++
	lines := strings.SplitAfterN(string(diff.Diff("before", []byte(before), "after", []byte(after))), "\n", headers+1)
	return lines[len(lines)-1]
}
