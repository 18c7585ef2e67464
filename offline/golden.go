package offline

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Golden returns the result as golden files, by name: tree.txt, outputs.yaml, and the inputs, options, aliases and
// URN of each custom resource. Tags of built images are replaced by zeros, since they change with every source change.
func (r *Result) Golden() (map[string]string, error) {
	outputs, err := toYAML(r.Exports)
	if err != nil {
		return nil, err
	}
	files, tags := map[string]string{"tree.txt": r.Tree(), "outputs.yaml": outputs}, []string{}
	for _, resource := range r.Resources {
		if !resource.Custom {
			continue // a component appears in the tree, its inputs in its children
		}
		body, err := resource.body()
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", resource.title(), err)
		}
		name := resource.fileName()                  // without rank: another kind in kindOrder would rename the golden files
		for n := 2; files[name+".yaml"] != ""; n++ { // same type and name, different parent
			name = fmt.Sprintf("%s-%d", resource.fileName(), n)
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

// body returns the inputs of a resource as YAML, followed by its URN, options and aliases as comments.
func (r Resource) body() (string, error) {
	body, err := r.inputsYAML()
	if err != nil {
		return "", err
	}
	about := map[string]any{"urn": r.URN}
	if len(r.Options) > 0 {
		about["options"] = r.Options
	}
	if len(r.Former) > 0 {
		about["aliases"] = r.Former
	}
	comment, err := toYAML(about)
	return body + "# " + strings.ReplaceAll(strings.TrimSuffix(comment, "\n"), "\n", "\n# ") + "\n", err
}

// inputsYAML returns the inputs; those of an object have their top-level keys in the usual order.
func (r Resource) inputsYAML() (string, error) {
	inputs := r.printed()
	if _, ok := r.Object(); !ok {
		return toYAML(inputs)
	}
	rest := maps.Clone(inputs)
	maps.DeleteFunc(rest, func(key string, _ any) bool {
		return slices.Contains([]string{"apiVersion", "kind", "metadata"}, key)
	})
	return toYAML(struct {
		APIVersion any `yaml:"apiVersion"`
		Kind       any
		Metadata   any
		Rest       map[string]any `yaml:",inline"`
	}{inputs["apiVersion"], inputs["kind"], inputs["metadata"], rest})
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
