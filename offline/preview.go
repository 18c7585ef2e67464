package offline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Preview is the text that `preview` prints: the tree of resources and what is worth knowing about them. It is made for
// 120 columns and has no colours.
func (r *Result) Preview() string {
	var out strings.Builder
	out.WriteString(r.Tree())
	for _, section := range []struct{ title, text string }{
		{"Resources", r.counts()},
		{"Autoscalers", r.scaling()},
		{"Pods", r.sizes()},
		{"Containers", r.containers()},
		{"Known only after `pulumi up`", r.unknowns()},
		{"Outputs", r.outputs()},
		{"Secrets that are not set yet", r.missingSecrets()},
		{"Values that depend on a secret but are not marked as one", lines(r.Exposed)},
	} {
		if section.text != "" {
			fmt.Fprintf(&out, "\n%s:\n%s", section.title, section.text)
		}
	}
	return out.String()
}

// counts says how many resources there are of each kind.
func (r *Result) counts() string {
	objects, components, others := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range r.Resources {
		resource := &r.Resources[i]
		if object, ok := resource.Object(); ok {
			objects[object.Kind]++
		} else if resource.Custom {
			others[displayType(resource.Type)]++
		} else {
			components[resource.Type[strings.LastIndex(resource.Type, ":")+1:]]++
		}
	}
	rows := [][]string{}
	for _, group := range []struct {
		name   string
		counts map[string]int
	}{{"components", components}, {"Kubernetes objects", objects}, {"others", others}} {
		total, list := 0, []string{}
		for _, name := range sortedKeys(group.counts) {
			total += group.counts[name]
			list = append(list, fmt.Sprintf("%d %s", group.counts[name], name))
		}
		if total > 0 {
			rows = append(rows, wrapped(fmt.Sprint(total), group.name, list)...)
		}
	}
	return table(rows)
}

// scaling says how far each autoscaler may go, and by what.
func (r *Result) scaling() string {
	rows := [][]string{}
	for _, s := range r.scalers() {
		rows = append(rows, []string{
			s.object.String(), s.replicas.String() + " replicas of " + s.target.String(), strings.Join(s.metrics, "; "),
		})
	}
	return table(rows)
}

// unknowns lists every value that cannot be shown, and where it comes from.
func (r *Result) unknowns() string {
	rows := [][]string{}
	note := func(title string, values map[string]any) {
		visit(values, "", func(path string, leaf any) {
			u, ok := leaf.(Unknown)
			if !ok {
				return
			}
			elements := indexForm.ReplaceAllString(path, "[]")
			if last := len(rows) - 1; last >= 0 && rows[last][0] == title && rows[last][2] == u.String() &&
				indexForm.ReplaceAllString(rows[last][1], "[]") == elements {
				rows[last][1] = elements // a list of the same says it once
				return
			}
			rows = append(rows, []string{title, path, u.String()})
		})
	}
	for i := range r.Resources {
		resource := &r.Resources[i]
		if manifest, ok := resource.Manifest(); ok {
			note(resource.title(), manifest)
		} else if resource.Custom { // a component's inputs are those of its children
			note(resource.title(), resource.Inputs)
		}
	}
	note("output", r.Exports)
	return table(rows)
}

// indexForm is an index in a path, or what stands for several.
var indexForm = regexp.MustCompile(`\[[0-9]*\]`)

// outputs shows lists and maps one element a line, so that commands can be copied.
func (r *Result) outputs() string {
	rows := [][]string{}
	for _, name := range sortedKeys(r.Exports) {
		switch value := printable(r.Exports[name], false).(type) {
		case []any:
			for i, element := range value {
				rows = append(rows, []string{name, inline(element)})
				if i == 0 {
					name = ""
				}
			}
		case map[string]any:
			for _, key := range sortedKeys(value) {
				rows = append(rows, []string{name, key + ": " + inline(value[key])})
				name = ""
			}
		default:
			rows = append(rows, []string{name, inline(value)})
		}
	}
	return table(rows)
}

// inline is text as it is and anything else as JSON.
func inline(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(encoded)
}

// missingSecrets gives the command for each.
func (r *Result) missingSecrets() string {
	rows := [][]string{}
	for _, key := range r.MissingSecrets {
		rows = append(rows, []string{key, fmt.Sprintf("pulumi config set --secret %s --stack %s", key, r.Stack)})
	}
	return table(rows)
}
