package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// references maps each project file to the configuration reference generated from it.
var references = map[string]string{
	"Pulumi.yaml": "docs/configuration.md", "cluster/Pulumi.yaml": "docs/cluster-configuration.md",
}

// The configuration references match the project files.
func TestConfigurationReference(t *testing.T) {
	for project, document := range references {
		want, err := configurationDoc(project)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(document)
		if err != nil || string(got) != want {
			t.Errorf("%s does not match %s (%v); run: make docs", document, project, err)
		}
	}
}

// The program of the README is part of examples/minimal, whose test runs it.
func TestProgramOfTheReadme(t *testing.T) {
	_, rest, _ := strings.Cut(readFile(t, "README.md"), "```go\n")
	program, _, found := strings.Cut(rest, "```")
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	if !found || !strings.Contains(words(readFile(t, "examples/minimal/main.go")), words(program)) {
		t.Errorf("examples/minimal has no\n%s", program)
	}
}

// configurationDoc renders each section of the config block as a table; a comment `# --- title` starts a section.
func configurationDoc(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var file struct {
		Name   string
		Config yaml.Node
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return "", err
	}
	var doc strings.Builder
	titles := map[string]string{"scaleout": "Configuration", "scaleout-cluster": "Configuration of the cluster"}
	fmt.Fprintf(&doc, `# %[1]s

<!-- Generated from %[2]s by make docs. Do not edit. -->

Set a key with `+"`pulumi config set --stack <stack> <key> <value>`"+` (secrets with `+"`--secret`"+`, an element of a
list with `+"`--path '<key>[0]'`"+`), or edit `+"`Pulumi.<stack>.yaml` beside `%[2]s`"+`, where each key is prefixed
with `+"`%[3]s:`"+`. Unknown keys and malformed values are
refused before anything is touched, all in one message; Pulumi's own checks (types, required keys) come first.
A key without a default is required.

%[4]s
`, titles[file.Name], path, file.Name, providerKeys[file.Name])
	for i := 0; i < len(file.Config.Content); i += 2 {
		key, node := file.Config.Content[i], file.Config.Content[i+1]
		if _, title, found := strings.Cut(key.HeadComment, "# --- "); found {
			fmt.Fprintf(&doc, "\n## %s%s\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
				strings.ToUpper(title[:1]), title[1:])
		}
		fmt.Fprintln(&doc, configurationRow(key.Value, node))
	}
	return doc.String(), nil
}

// providerKeys describes the keys of the AWS provider that the programs also read.
var providerKeys = map[string]string{
	"scaleout": "Keys that only another target uses are ignored. Target eks also uses three keys of the AWS provider:\n" +
		"`aws:region`, `aws:defaultTags` (docs/production.md), and `aws:allowedAccountIds`, a list of the accounts\n" +
		"that may be changed, e.g. `[\"111122223333\"]`.",
	"scaleout-cluster": "Two keys of the AWS provider are also required: `aws:region`, and `aws:allowedAccountIds`,\n" +
		"a list with the one account of the cluster, e.g. `[\"111122223333\"]`.",
}

func configurationRow(key string, node *yaml.Node) string {
	fields := map[string]string{}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, node.Content[i+1]
		fields[name] = inline(value)
	}
	kind, fallback := fields["type"], "`"+fields["default"]+"`"
	if fields["secret"] == "true" {
		kind = "secret"
	}
	if value, set := fields["default"]; !set {
		fallback = "required"
	} else if value == "" {
		fallback = "empty"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", key, kind, fallback, fields["description"])
}

// inline formats a YAML value on one line.
func inline(node *yaml.Node) string {
	var parts []string
	switch node.Kind {
	case yaml.SequenceNode:
		for _, element := range node.Content {
			parts = append(parts, inline(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			parts = append(parts, node.Content[i].Value+": "+inline(node.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return node.Value
}
