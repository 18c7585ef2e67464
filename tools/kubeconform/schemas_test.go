// Package kubeconform tests the Kubernetes objects among the golden files with kubeconform, against the API of each
// supported version of Kubernetes. A server-side apply rejects a field that is misspelled or newer than the cluster,
// which would otherwise be detected only in a cluster of each version.
//
// kubeconform fetches its schemas from a public site. Here they are generated from files in the Go modules of
// Kubernetes, Karpenter and the Prometheus Operator, so that the check needs only a Go module proxy.
//
// What it cannot detect: the OpenAPI document has no permitted values of strings (restartPolicy: Alway), no fields
// that a feature gate disables, and nothing that an API server computes, e.g. that a selector must match the labels.
package kubeconform

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/yaml"
)

// versions are the versions of Kubernetes whose API is checked, in ascending order: the minimum that is supported,
// and the defaults of clusters. Patch releases do not change the API.
var versions = []string{
	"1.30.0", // the minimum: the first with preStop.sleep in every cluster (feature gate PodLifecycleSleepAction)
	"1.34.2", // the nodes of make up (nodeImages in cmd/scaleout)
	"1.35.0", // kubernetesVersion in cluster/Pulumi.yaml
}

const (
	// AWS does not document the Karpenter of EKS Auto Mode, which started in December 2024 with at least this version.
	karpenter = "sigs.k8s.io/karpenter@v1.1.0"
	operator  = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

type source struct{ module, file string }

// definitions are the CustomResourceDefinitions of other kinds.
var definitions = []source{
	{karpenter, "pkg/apis/crds/karpenter.sh_nodepools.yaml"},
	{operator, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	{operator, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
}

// withoutSchema are the kinds of EKS Auto Mode, for which AWS publishes no definition. They are skipped; any other
// kind without a schema is a finding.
var withoutSchema = map[string]struct{}{
	"eks.amazonaws.com/v1/NodeClass":          {},
	"eks.amazonaws.com/v1/IngressClassParams": {},
}

// schema is a JSON schema of draft 4, the closest one to OpenAPI 2 and 3.0.
type schema = map[string]any

const (
	// placeholder matches the text that golden files have in place of a secret or unknown value of any type (secretText
	// and Unknown in offline).
	placeholder = `^[[](secret|unknown(: .+)?)[]]$`
	// quantity is an amount such as 500m or 64Mi: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity
	quantity = `^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`

	// schemaFile is the file in which kubeconform looks for the schema of a kind. For an API version without a group,
	// such as v1, the group is the version.
	schemaFile = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
)

// newValidator returns a validator for a version of Kubernetes and all definitions, whose schemas it writes into dir.
func newValidator(ctx context.Context, version, dir string) (validator.Validator, error) {
	schemas := map[string]schema{}
	openAPI := source{"k8s.io/kubernetes@v" + version, "api/openapi-spec/swagger.json"}
	for _, d := range append([]source{openAPI}, definitions...) {
		content, err := read(ctx, d.module, d.file)
		switch {
		case err != nil:
		case d == openAPI:
			err = addOpenAPI(schemas, content)
		default:
			err = addDefinition(schemas, content)
		}
		if err != nil {
			return nil, fmt.Errorf("making schemas of %s in %s: %w", d.file, d.module, err)
		}
	}
	for file, content := range schemas {
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			return nil, err
		}
	}
	return validator.New([]string{filepath.Join(dir, schemaFile)}, validator.Opts{SkipKinds: withoutSchema, Strict: true})
}

var errDownload = errors.New("downloading")

// read returns a file of a module, e.g. k8s.io/kubernetes@v1.30.0, which it downloads unless the module cache has it.
func read(ctx context.Context, module, file string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil || answer.Error != "" { // no JSON if it did not start
		return nil, fmt.Errorf("%w %s: %s (%w)", errDownload, module, answer.Error, cmp.Or(err, jsonErr))
	}
	return os.ReadFile(filepath.Join(answer.Dir, filepath.FromSlash(file)))
}

// check returns the problem of the object in a golden file, or its kind if there is no schema for it.
func check(v validator.Validator, file string, content []byte) (finding, skipped string) {
	result := v.ValidateResource(resource.Resource{Path: file, Bytes: content})
	switch result.Status {
	case validator.Valid:
		return "", ""
	case validator.Skipped:
		kind, _ := result.Resource.Signature() // it was skipped for its kind
		return "", kind.GroupVersionKind()
	}
	// Remove kubeconform's text before the findings (addKind has an allOf), and the pattern of a placeholder.
	finding = fmt.Sprint(result.Err)
	if _, after, ok := strings.Cut(finding, "'allOf' failed"); ok {
		finding = strings.TrimSpace(after)
	}
	return strings.ReplaceAll(finding, "does not match pattern '"+placeholder+"'", "is not a placeholder"), ""
}

// addOpenAPI adds schemas for all kinds of an OpenAPI 2 document of Kubernetes. Each definition is a file that others
// reference by its name, so that only the definitions of a kind are compiled: compiling all would take 0.2 s for each
// kind.
func addOpenAPI(to map[string]schema, openAPI []byte) error {
	var document struct{ Definitions map[string]schema }
	openAPI = bytes.ReplaceAll(openAPI, []byte(`"$ref": "#/definitions/`), []byte(`"$ref": "`))
	if err := json.Unmarshal(openAPI, &document); err != nil {
		return err
	}
	for name, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			kind := k.(schema)
			addKind(to, kind["group"].(string), kind["version"].(string), kind["kind"].(string), schema{"$ref": name})
		}
		if strings.HasSuffix(name, ".api.resource.Quantity") {
			definition["type"], definition["pattern"] = []string{"string", "number"}, quantity
		}
		tighten(definition)
		to[name] = definition
	}
	return nil
}

// addDefinition adds schemas for all versions of a CustomResourceDefinition, given as YAML.
func addDefinition(to map[string]schema, crd []byte) error {
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
		return err
	}
	for _, version := range document.Spec.Versions {
		tighten(version.Schema.OpenAPIV3Schema)
		addKind(to, document.Spec.Group, version.Name, document.Spec.Names.Kind, version.Schema.OpenAPIV3Schema)
	}
	return nil
}

// addKind adds the schema of a kind where kubeconform finds it. kubeconform looks for the kind in lower case, so the
// schema requires the correct case.
func addKind(to map[string]schema, group, version, kind string, of schema) {
	file := strings.NewReplacer("{{ .Group }}", cmp.Or(group, version), "{{ .ResourceAPIVersion }}", version,
		"{{ .ResourceKind }}", strings.ToLower(kind)).Replace(schemaFile)
	to[file] = schema{"allOf": []schema{of, {"properties": schema{"kind": schema{"enum": []string{kind}}}}}}
}

// tighten makes a schema reject unknown fields and null, which an API server drops, and accept a placeholder for each
// value.
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

// takePlaceholder makes a schema accept a placeholder, too. For objects and arrays it uses one schema, because a
// pattern applies only to strings, so that a problem in a part is not reported for each alternative.
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
