package offline

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Golden returns the result as golden files, by name: tree.txt, outputs.yaml, and the inputs and options of each custom
// resource. Tags of built images are replaced by zeros, since they change with every source change.
func (r *Result) Golden() (map[string]string, error) {
	outputs, err := toYAML(printable(r.Exports))
	if err != nil {
		return nil, err
	}
	files, tags := map[string]string{"tree.txt": r.Tree(), "outputs.yaml": outputs}, []string{}
	for i := range r.Resources {
		resource := &r.Resources[i]
		if !resource.Custom {
			continue // a component appears in the tree, its inputs in its children
		}
		body, err := resource.body()
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", resource.title(), err)
		}
		name := resource.goldenName()
		for n := 2; files[name+".yaml"] != ""; n++ { // same type and name, different parent
			name = fmt.Sprintf("%s-%d", resource.goldenName(), n)
		}
		files[name+".yaml"] = body
		tag := text(resource.Inputs, "build", "args", "VERSION")
		if tag != "" && resource.Type == "docker:index/image:Image" {
			tags = append(tags, tag, strings.Repeat("0", len(tag)))
		}
	}
	replacer := strings.NewReplacer(tags...)
	for name := range files {
		files[name] = replacer.Replace(files[name])
	}
	return files, nil
}

// goldenName has no rank, unlike the name of a rendered file: adding a kind to kindOrder would rename the golden files.
func (r *Resource) goldenName() string {
	if object, ok := r.Object(); ok {
		return object.fileName()
	}
	return fileName(strings.NewReplacer(":", "-", "/", "-").Replace(displayType(r.Type)), r.Name)
}

// body returns the inputs of a resource as YAML, followed by its options as comments.
func (r *Resource) body() (string, error) {
	body, err := toYAML(printable(r.Inputs))
	if manifest, ok := r.Manifest(); ok {
		body, err = manifestYAML(manifest)
	}
	if err != nil || len(r.Options) == 0 {
		return body, err
	}
	options, err := toYAML(map[string]any{"options": printable(r.Options)})
	return body + "# " + strings.ReplaceAll(strings.TrimSuffix(options, "\n"), "\n", "\n# ") + "\n", err
}

// manifestYAML returns an object as YAML, with its top-level keys in the usual order.
func manifestYAML(manifest map[string]any) (string, error) {
	rest := maps.Clone(manifest)
	maps.DeleteFunc(rest, func(key string, _ any) bool {
		return slices.Contains([]string{"apiVersion", "kind", "metadata"}, key)
	})
	return toYAML(struct {
		APIVersion any `yaml:"apiVersion"`
		Kind       any
		Metadata   any
		Rest       map[string]any `yaml:",inline"`
	}{manifest["apiVersion"], manifest["kind"], printable(manifest["metadata"]), printable(rest).(map[string]any)})
}

// toYAML writes a value with sorted keys.
func toYAML(v any) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	return out.String(), nil
}
