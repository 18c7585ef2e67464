package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tree lists the resources below their parents the way `pulumi preview` does, those of one parent by type and name.
func (r *Result) Tree() string {
	children := map[string][]*Resource{}
	for i := range r.Resources {
		resource := &r.Resources[i]
		children[resource.Parent] = append(children[resource.Parent], resource)
	}
	lines := [][2]string{{"Type", "Name"}, {"pulumi:pulumi:Stack", r.Project + "-" + r.Stack}}
	lines = append(lines, branch(children, "", "")...)

	width := 0
	for _, line := range lines {
		width = max(width, utf8.RuneCountInString(line[0]))
	}
	var out strings.Builder
	for _, line := range lines {
		padding := width - utf8.RuneCountInString(line[0])
		fmt.Fprintf(&out, "%s%s  %s\n", line[0], strings.Repeat(" ", padding), line[1])
	}
	return out.String()
}

// branch lists what is below one parent; each line is a type, drawn as part of the tree, and a name.
func branch(children map[string][]*Resource, parent, indent string) [][2]string {
	siblings := children[parent]
	slices.SortFunc(siblings, func(a, b *Resource) int {
		return cmp.Or(cmp.Compare(displayType(a.Type), displayType(b.Type)), cmp.Compare(a.Name, b.Name))
	})
	var lines [][2]string
	for i, resource := range siblings {
		fork, below := "├─ ", "│  "
		if i == len(siblings)-1 {
			fork, below = "└─ ", "   "
		}
		lines = append(lines, [2]string{indent + fork + displayType(resource.Type), resource.Name})
		lines = append(lines, branch(children, resource.URN, indent+below)...)
	}
	return lines
}
