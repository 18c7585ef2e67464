package offline

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// manifestYAML is the object as YAML, its keys in the order that people expect. Secrets that are not shown move to
// stringData, since the text that stands for them is no base64.
func manifestYAML(manifest map[string]any, showSecrets bool) (string, error) {
	if manifest["kind"] == "Secret" {
		manifest = unencoded(manifest, showSecrets)
	}
	return toYAML(printable(manifest, showSecrets), "apiVersion", "kind", "metadata")
}

// unencoded moves what is not shown from data to stringData. A field that is unknown as a whole stays: kubectl refuses
// such a file, where it would accept one that lacks the field.
func unencoded(manifest map[string]any, showSecrets bool) map[string]any {
	data, isMap := manifest["data"].(map[string]any)
	if !isMap {
		return manifest
	}
	encoded, plain := map[string]any{}, map[string]any{}
	if given, ok := manifest["stringData"].(map[string]any); ok {
		plain = maps.Clone(given)
	}
	for key, value := range data {
		if base64, known := printable(value, showSecrets).(string); known && base64 != secretText {
			encoded[key] = value
		} else {
			plain[key] = value
		}
	}
	secret := maps.Clone(manifest)
	for field, values := range map[string]map[string]any{"data": encoded, "stringData": plain} {
		delete(secret, field)
		if len(values) > 0 {
			secret[field] = values
		}
	}
	return secret
}

// toYAML writes a value with sorted keys, those in first ahead of the others.
func toYAML(v any, first ...string) (string, error) {
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	if node.Kind == yaml.MappingNode {
		moveFirst(&node, first)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return "", fmt.Errorf("encoding YAML: %w", err)
	}
	return out.String(), nil
}

// moveFirst reorders a mapping, whose content alternates between keys and values.
func moveFirst(node *yaml.Node, first []string) {
	place := func(pair []*yaml.Node) int {
		if i := slices.Index(first, pair[0].Value); i >= 0 {
			return i
		}
		return len(first)
	}
	pairs := slices.Collect(slices.Chunk(node.Content, 2))
	slices.SortStableFunc(pairs, func(a, b []*yaml.Node) int { return cmp.Compare(place(a), place(b)) })
	node.Content = slices.Concat(pairs...)
}

// body is how a resource is compared and kept as a golden: what it is, and the options that change what happens to it.
func (r *Resource) body() (string, error) {
	manifest, ok := r.Manifest()
	body, err := "", error(nil)
	if ok {
		body, err = manifestYAML(manifest, false)
	} else {
		body, err = toYAML(printable(r.Inputs, false))
	}
	if err != nil || len(r.Options) == 0 {
		return body, err
	}
	options, err := toYAML(map[string]any{"options": printable(r.Options, false)})
	if err != nil {
		return "", err
	}
	return body + "# " + strings.ReplaceAll(strings.TrimSuffix(options, "\n"), "\n", "\n# ") + "\n", nil
}
