package offline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// Preview returns the output of `preview`: the resource tree and summaries, in 120 columns.
func (r *Result) Preview() string {
	secrets := [][]string{}
	for _, key := range r.MissingSecrets {
		secrets = append(secrets, []string{key, fmt.Sprintf("pulumi config set --secret %s --stack %s", key, r.Stack)})
	}
	autoscalers, ranges := r.scaling()
	return r.Tree() +
		section("Autoscalers", autoscalers) +
		section("Pods", r.sizes(ranges)) +
		section("Known only after `pulumi up`", r.unknowns()) +
		section("Outputs", r.outputs()) +
		section("Secrets that are not set yet", table(secrets)) +
		section("Values that depend on a secret but are not marked as one", table(slices.Collect(slices.Chunk(r.Exposed, 1))))
}

// section returns a text with a title, or nothing if there is no text.
func section(title, text string) string {
	if text == "" {
		return ""
	}
	return "\n" + title + ":\n" + text
}

// table aligns columns and indents them by two spaces.
func table(rows [][]string) string { return align("  ", rows) }

func align(indent string, rows [][]string) string {
	var out strings.Builder
	writer := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(writer, indent+strings.Join(row, "\t"))
	}
	_ = writer.Flush() // a strings.Builder never fails
	return padding.ReplaceAllString(out.String(), "")
}

// padding matches the blanks at the end of a line whose last column is empty.
var padding = regexp.MustCompile(`(?m) +$`)

// Tree returns the resource tree like `pulumi preview`, siblings sorted by type and name.
func (r *Result) Tree() string {
	children := map[string][]Resource{}
	for _, resource := range r.Resources {
		children[resource.Parent] = append(children[resource.Parent], resource)
	}
	rows := [][]string{{"Type", "Name"}, {"pulumi:pulumi:Stack", r.Project + "-" + r.Stack}}
	var branch func(parent, indent string)
	branch = func(parent, indent string) {
		siblings := children[parent]
		slices.SortFunc(siblings, func(a, b Resource) int {
			return cmp.Or(cmp.Compare(a.displayType(), b.displayType()), cmp.Compare(a.Name, b.Name))
		})
		for i, resource := range siblings {
			fork, below := "├─ ", "│  "
			if i == len(siblings)-1 {
				fork, below = "└─ ", "   "
			}
			rows = append(rows, []string{indent + fork + resource.displayType(), resource.Name})
			branch(resource.URN, indent+below)
		}
	}
	branch("", "")
	return align("", rows)
}

// unknowns returns a table of the unknown values and their sources.
func (r *Result) unknowns() string {
	rows := [][]string{}
	note := func(title string, values map[string]any) {
		walk("", values, nil, func(path string, leaf, _ any) any {
			unknown, ok := leaf.(Unknown)
			all, last := indexForm.ReplaceAllString(path, "[]"), len(rows)-1
			switch {
			case !ok:
			case last >= 0 && rows[last][0] == title && rows[last][2] == unknown.String() &&
				indexForm.ReplaceAllString(rows[last][1], "[]") == all:
				rows[last][1] = all // one row for a list with the same source
			default:
				rows = append(rows, []string{title, path, unknown.String()})
			}
			return leaf
		})
	}
	for _, resource := range r.Resources {
		if resource.Custom { // a component's inputs are those of its children
			note(resource.title(), resource.printed())
		}
	}
	note("output", r.Exports)
	return table(rows)
}

// indexForm matches an index in a path, or [] for several.
var indexForm = regexp.MustCompile(`\[[0-9]*\]`)

// outputs returns a table of the outputs. Lists and maps have one element per line, so that commands can be copied.
func (r *Result) outputs() string {
	rows := [][]string{}
	for _, name := range sortedKeys(r.Exports) {
		var lines []string
		switch value := r.Exports[name].(type) {
		case []any:
			for _, element := range value {
				lines = append(lines, inline(element))
			}
		case map[string]any:
			for _, key := range sortedKeys(value) {
				lines = append(lines, key+": "+inline(value[key]))
			}
		default:
			lines = []string{inline(value)}
		}
		for _, line := range lines {
			rows, name = append(rows, []string{name, line}), "" // only the first line has the name
		}
	}
	return table(rows)
}

// inline returns texts unchanged and other values as JSON.
func inline(v any) string {
	switch v := v.(type) {
	case string, Secret, Unknown:
		return fmt.Sprint(v)
	}
	encoded, _ := json.Marshal(v) // cannot fail: it was decoded
	return string(encoded)
}
