package kubeconform

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
)

// goldenFiles are those of both projects, below the root of the repository: <variant>/<file>.
var goldenFiles = []string{"testdata/golden/*/*.yaml", "cluster/testdata/golden/*/*.yaml"}

// object matches a golden file of a Kubernetes object. The others hold resources of other providers, the stack's
// outputs, and files of Prometheus. One of the two fields is enough, so that the lack of the other is found.
var object = regexp.MustCompile(`(?m)^(apiVersion|kind):`)

// newValidator returns a validator with the schemas in dir, which lets pass the kinds of withoutSchema.
func newValidator(dir string) (validator.Validator, error) {
	skip := map[string]struct{}{}
	for kind := range withoutSchema {
		skip[kind] = struct{}{}
	}
	return validator.New([]string{filepath.Join(dir, schemaFile)}, validator.Opts{SkipKinds: skip, Strict: true})
}

// result is what a validator says of golden files.
type result struct {
	// valid are the files whose objects are right.
	valid []string
	// skipped are the kinds that were let pass, each as often as it was there.
	skipped []string
	// findings are what is wrong with the others, by file.
	findings map[string]string
}

// check validates the objects in files that match patterns.
func check(v validator.Validator, root fs.FS, patterns ...string) (result, error) {
	found := result{findings: map[string]string{}}
	for _, pattern := range patterns {
		files, err := fs.Glob(root, pattern)
		if err != nil {
			return found, err
		}
		for _, file := range files {
			content, err := fs.ReadFile(root, file)
			if err != nil {
				return found, fmt.Errorf("reading a golden file: %w", err)
			}
			if object.Match(content) {
				found.add(file, v.ValidateResource(resource.Resource{Path: file, Bytes: content}))
			}
		}
	}
	return found, nil
}

func (r *result) add(file string, of validator.Result) {
	switch of.Status {
	case validator.Valid:
		r.valid = append(r.valid, file)
	case validator.Skipped:
		kind, _ := of.Resource.Signature() // it was skipped for its kind
		r.skipped = append(r.skipped, kind.GroupVersionKind())
	default: // invalid, of a kind without a schema, or not to be read
		r.findings[file] = message(of.Err)
	}
}

// message leaves out what kubeconform says before the findings (writeKind has an allOf at the top), and the form of a
// placeholder.
func message(err error) string {
	text := fmt.Sprint(err)
	if _, findings, ok := strings.Cut(text, "'allOf' failed"); ok {
		text = strings.TrimSpace(findings)
	}
	return strings.ReplaceAll(text, "does not match pattern '"+placeholder+"'", "is no placeholder")
}
