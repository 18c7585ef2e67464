// Package kubeconform checks the Kubernetes objects among the golden files with kubeconform, against the API of each
// version of Kubernetes that is supported. A misspelt field, or one that is newer than the cluster, makes pulumi up fail,
// since a server-side apply refuses it; other clients get a warning, and the field is not set. Without a cluster of each
// version nobody sees that before.
//
// kubeconform fetches its schemas from a public site. Here they are made of the OpenAPI document in Kubernetes' own Go
// module, and of CustomResourceDefinitions in those of Karpenter and the Prometheus Operator, so that a Go module proxy
// is all that the check needs.
//
// What it cannot find: the OpenAPI document lists no permitted values of texts (restartPolicy: Alway), no fields that a
// feature gate switches off, and nothing that an API server computes, e.g. that a selector has to match the labels.
package kubeconform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// schema is a JSON schema of draft 4, the one that OpenAPI 2 and 3.0 have most in common with.
type schema = map[string]any

const (
	// placeholder is what golden files have in place of a value that is secret or not known yet, whatever its type
	// is (secretText and Unknown in offline).
	placeholder = `^[[](secret|unknown(: .+)?)[]]$`
	// quantity is an amount such as 500m or 64Mi: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity
	quantity = `^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`

	// schemaFile is where kubeconform looks for the schema of a kind. For an API version without a group, such as v1,
	// the group is the version.
	schemaFile = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
)

// writeSchemas writes schemas for all kinds of an OpenAPI 2 document of Kubernetes into dir. Each definition is a file
// that others refer to by its name, so that only what a kind consists of is compiled: all would take 0.2 s for each.
func writeSchemas(openAPI []byte, dir string) error {
	var document struct{ Definitions map[string]schema }
	openAPI = bytes.ReplaceAll(openAPI, []byte(`"$ref": "#/definitions/`), []byte(`"$ref": "`))
	if err := json.Unmarshal(openAPI, &document); err != nil {
		return fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	for name, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			kind := kind.(schema)
			err := writeKind(dir, kind["group"].(string), kind["version"].(string), kind["kind"].(string), schema{"$ref": name})
			if err != nil {
				return err
			}
		}
		if strings.HasSuffix(name, ".api.resource.Quantity") {
			definition["type"], definition["pattern"] = []string{"string", "number"}, quantity
		}
		tighten(definition)
		if err := writeJSON(filepath.Join(dir, name), definition); err != nil {
			return err
		}
	}
	return nil
}

// writeDefinition writes schemas for all versions of a CustomResourceDefinition, given as YAML, into dir.
func writeDefinition(crd []byte, dir string) error {
	var document struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema schema }
			}
		}
	}
	if err := yaml.Unmarshal(crd, &document); err != nil {
		return fmt.Errorf("reading a CustomResourceDefinition: %w", err)
	}
	for _, version := range document.Spec.Versions {
		tighten(version.Schema.OpenAPIV3Schema)
		err := writeKind(dir, document.Spec.Group, version.Name, document.Spec.Names.Kind, version.Schema.OpenAPIV3Schema)
		if err != nil {
			return err
		}
	}
	return nil
}

// writeKind writes the schema of a kind where kubeconform finds it. It looks for the kind in lower case, so the schema
// says what the case has to be.
func writeKind(dir, group, version, kind string, of schema) error {
	if group == "" {
		group = version
	}
	file := strings.NewReplacer("{{ .Group }}", group, "{{ .ResourceAPIVersion }}", version,
		"{{ .ResourceKind }}", strings.ToLower(kind)).Replace(schemaFile)
	named := schema{"properties": schema{"kind": schema{"enum": []string{kind}}}}
	return writeJSON(filepath.Join(dir, file), schema{"allOf": []schema{of, named}})
}

// tighten makes a schema refuse fields that it does not name, and null, which an API server drops like them; and makes
// it take a placeholder for each value.
func tighten(s schema) {
	properties, named := s["properties"].(schema)
	for _, property := range properties {
		tighten(property.(schema))
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := s[key].(schema); ok {
			tighten(inner)
		}
	}
	_, free := s["additionalProperties"]
	if keep, _ := s["x-kubernetes-preserve-unknown-fields"].(bool); named && !free && !keep {
		s["additionalProperties"] = false
	}
	if mixed, _ := s["x-kubernetes-int-or-string"].(bool); mixed || s["format"] == "int-or-string" {
		s["type"] = []string{"integer", "string"}
	}
	delete(s, "format") // the others are date-time, byte and the sizes of numbers
	delete(s, "description")
	takePlaceholder(s)
}

// takePlaceholder makes a schema take a placeholder too. It keeps to one schema where a value has parts, so that what
// is wrong with a part is not told for each alternative: a pattern applies to texts only.
func takePlaceholder(s schema) {
	_, pattern := s["pattern"]
	_, enum := s["enum"]
	switch kind := s["type"]; {
	case kind == "object", kind == "array":
		s["type"], s["pattern"] = []any{kind, "string"}, placeholder
	case pattern, enum, kind != nil && kind != "string":
		value := maps.Clone(s)
		clear(s)
		s["anyOf"] = []schema{value, {"type": "string", "pattern": placeholder}}
	}
}

func writeJSON(file string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("writing a schema: %w", err)
	}
	return os.WriteFile(file, text, 0o600)
}
