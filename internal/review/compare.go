package review

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"example.com/scaleout/internal/rendered"
)

// change is the difference of one resource between two versions of a stack.
type change struct {
	before, after *rendered.Resource // nil if added, or removed
	fields        []field
	renamed       bool            // another URN, and no alias for the old one
	alone         bool            // a container without another one that serves in its place
	stack         *rendered.Stack // afterwards
	previous      *rendered.Stack // nil for a new stack
}

// field is a difference of an input. A value is nil if it is not set.
type field struct {
	path          string
	before, after any
	within        string // the largest part around it that is only added, or only removed
}

func (c *change) resource() *rendered.Resource { return cmp.Or(c.after, c.before) }

// title names the resource; of one that is replaced, the one that is lost.
func (c *change) title() string {
	if len(c.replacing()) > 0 {
		return c.before.Title()
	}
	return c.resource().Title()
}

// pair matches the resources of two versions as the engine does: by URN, then by aliases. Of the rest, those that are
// the same object are renamed.
func pair(before, after *rendered.Stack) []*change {
	former := map[string]*rendered.Resource{} // by URN, as far as no resource has taken it
	var changes []*change
	if before != nil {
		for _, r := range before.Resources {
			former[r.URN] = r
		}
	}
	take := func(urn string) *rendered.Resource {
		r := former[urn]
		delete(former, urn)
		return r
	}
	var added []*rendered.Resource
	for _, r := range after.Resources {
		if old := take(r.URN); old != nil {
			changes = append(changes, &change{before: old, after: r})
		} else {
			added = append(added, r)
		}
	}
	// First the exact matches, so that an alias takes no resource that another one still is.
	objects := map[string][]string{} // the URNs of what is left, by object
	for _, urn := range slices.Sorted(maps.Keys(former)) {
		objects[identity(former[urn])] = append(objects[identity(former[urn])], urn)
	}
	for _, r := range added {
		c := &change{after: r}
		for _, alias := range r.Aliases { // the engine takes the first one that exists
			if c.before = take(alias); c.before != nil {
				break
			}
		}
		if urns := objects[identity(r)]; c.before == nil && len(urns) > 0 { // it would create the same object again
			c.before, objects[identity(r)] = take(urns[0]), urns[1:]
			// The SDK adds the other API versions of a type as aliases.
			c.renamed = c.before != nil && withoutVersion(c.before) != withoutVersion(r)
		}
		changes = append(changes, c)
	}
	for _, urn := range slices.Sorted(maps.Keys(former)) {
		changes = append(changes, &change{before: former[urn]})
	}
	return changes
}

// compare returns the changed resources of a stack, by URN. Before is nil for a new stack.
func compare(before, after *rendered.Stack) []*change {
	changes, serving := pair(before, after), map[string]int{}
	for _, r := range after.Resources {
		if r.Type == container {
			serving[address(r)]++
		}
	}
	for _, c := range changes {
		c.stack, c.previous = after, before
		if c.resource().Type == container {
			others := serving[address(c.resource())]
			if c.after != nil {
				others-- // itself
			}
			c.alone = others == 0
		}
		if c.before != nil && c.after != nil && !c.before.Same(c.after) {
			c.fields = differences(c.before.Inputs, c.after.Inputs, c.after.Options.IgnoreChanges)
		}
	}
	follow(changes)
	restart(changes)
	changes = slices.DeleteFunc(changes, func(c *change) bool {
		return c.before != nil && c.after != nil && !c.renamed && len(c.fields) == 0 &&
			reflect.DeepEqual(c.before.Options, c.after.Options)
	})
	slices.SortFunc(changes, func(a, b *change) int { return cmp.Compare(a.resource().URN, b.resource().URN) })
	return changes
}

// address identifies the containers that serve for each other: those of a component type with the same names in the
// network. A URN has the type of its parent and not the name, so two components of a type differ only there.
func address(r *rendered.Resource) string {
	return fmt.Sprintln(r.Parent(), r.Get("networksAdvanced"))
}

// withoutVersion returns the URN without the API version of a Kubernetes type.
func withoutVersion(r *rendered.Resource) string {
	kind := r.Type[strings.LastIndexByte(r.Type, ':')+1:]
	if !isObject(r.Type) {
		kind = r.Type
	}
	return r.Parent() + " " + kind + " " + r.Name
}

// identity identifies what exists in a cluster or an account: the object, or type and name of the resource.
func identity(r *rendered.Resource) string { return cmp.Or(r.Object(), r.Type+" "+r.Name) }

// differences returns the leaves that differ, except those that the engine ignores.
func differences(before, after any, ignored []string) []field {
	var fields []field
	differ(field{before: before, after: after}, func(f field) {
		if !covered(f.path, ignored, false) {
			fields = append(fields, f)
		}
	})
	return fields
}

// differ calls report for each leaf that differs. Elements of lists with names (rendered.Children) are compared by
// name, and then their order.
func differ(f field, report func(field)) {
	x, y := rendered.Children(f.path, f.before), rendered.Children(f.path, f.after)
	if len(x)+len(y) == 0 || len(x) == 0 && !empty(f.before) || len(y) == 0 && !empty(f.after) {
		if !reflect.DeepEqual(f.before, f.after) {
			report(f)
		}
		return
	}
	afterwards, before := map[string]any{}, []string{}
	for _, child := range y {
		afterwards[child.Path] = child.Value
	}
	for _, child := range x {
		value, kept := afterwards[child.Path]
		differ(f.child(child.Path, child.Value, value), report)
		if delete(afterwards, child.Path); kept {
			before = append(before, child.Path)
		}
	}
	after := []string{}
	for _, child := range y {
		if _, added := afterwards[child.Path]; added {
			differ(f.child(child.Path, nil, child.Value), report)
		} else {
			after = append(after, child.Path)
		}
	}
	if !slices.Equal(before, after) {
		report(field{f.path, names(f.path, before), names(f.path, after), ""})
	}
}

// child returns the values of an element.
func (f field) child(path string, before, after any) field {
	c := field{path, before, after, f.within}
	if c.within == "" && (before == nil || after == nil) {
		c.within = path
	}
	return c
}

// names returns the order of the elements of a list, from their paths.
func names(path string, paths []string) string {
	var names []string
	for _, child := range paths {
		names = append(names, strings.Trim(strings.TrimPrefix(child, path), "[]"))
	}
	return strings.Join(names, ", ")
}

// empty reports whether a value is nil, or a map or list without elements.
func empty(v any) bool {
	return v == nil || len(rendered.Children("", v)) == 0 && (reflect.TypeOf(v).Kind() == reflect.Map ||
		reflect.TypeOf(v).Kind() == reflect.Slice)
}

// within reports whether a path is one of the given ones or below one.
func within(path string, of []string) bool {
	return slices.ContainsFunc(of, func(parent string) bool {
		rest, found := strings.CutPrefix(path, parent)
		return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// segment matches a part of a path: a key, a key in brackets and quotes, an element of a list.
var segment = regexp.MustCompile(`\["[^"]*"\]|\[[^\]]*\]|[^.\[]+`)

// covered reports whether one of the property paths of an option, in which * is any key or element, contains a path.
// Elements of our paths have names in place of indexes (rendered.Children); loosely, any index means them.
// https://www.pulumi.com/docs/iac/concepts/options/ignorechanges/#examples
func covered(path string, options []string, loosely bool) bool {
	plain := func(part string) string { return strings.Trim(part, `[]"`) }
	parts := segment.FindAllString(path, -1)
	return slices.ContainsFunc(options, func(option string) bool {
		for i, wanted := range segment.FindAllString(option, -1) {
			if i >= len(parts) {
				return false
			}
			element := strings.HasPrefix(parts[i], "[") && !strings.HasPrefix(parts[i], `["`)
			if matches := plain(wanted) == "*" || plain(wanted) == plain(parts[i]) || loosely && element; !matches {
				return false
			}
		}
		return true
	})
}

// source matches the sources of an unknown value, as offline writes them: "[unknown: aws vpc network]", with "or" and
// another one, or with "or 2 others", which are then not named but mostly of the same type.
var source = regexp.MustCompile(`\[unknown: (\S+ \S+) (\S+?)(?: or (?:(\S+ \S+) (\S+?)|(\d+ others)))?\]`)

// sources returns the replaced resources that are among the sources of an unknown value.
func sources(text string, replaced map[string]string) (found []string) {
	for _, m := range source.FindAllStringSubmatch(text, -1) {
		for _, name := range []string{m[1] + " " + m[2], m[3] + " " + m[4]} {
			if title := replaced[name]; title != "" {
				found = append(found, title)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(replaced)) {
			if m[5] != "" && strings.HasPrefix(name, m[1]+" ") && !slices.Contains(found, replaced[name]) {
				found = append(found, replaced[name])
			}
		}
	}
	return found
}

// follow adds the fields that change because their value is an output of a replaced resource, until there are no more:
// another VPC has other subnets, which have another cluster. Golden files have the same text for such values.
func follow(changes []*change) {
	for again := true; again; {
		again = false
		replaced := map[string]string{}
		for _, c := range changes {
			if c.before != nil && c.after != nil && len(c.replacing()) > 0 {
				pkg, _, _ := strings.Cut(c.after.Type, ":")
				kind := c.after.Type[strings.LastIndexByte(c.after.Type, ':')+1:]
				replaced[strings.ToLower(pkg+" "+kind)+" "+c.after.Name] = c.after.Title()
			}
		}
		for _, c := range changes {
			if len(replaced) == 0 || c.before == nil || c.after == nil {
				continue
			}
			rendered.Leaves("", c.after.Inputs, func(path string, leaf any) {
				text, _ := leaf.(string)
				of := slices.DeleteFunc(sources(text, replaced), func(title string) bool { return title == c.after.Title() })
				if len(of) == 0 ||
					slices.ContainsFunc(c.fields, func(f field) bool { return f.path == path }) ||
					covered(path, c.after.Options.IgnoreChanges, false) {
					return
				}
				c.fields = append(c.fields, field{path, leaf, fmt.Sprintf("[of the new %s]", of[0]), ""})
				again = true
			})
		}
	}
}

// restart adds to workloads that their pods restart, if a ConfigMap or Secret that they use changes and its checksum in
// their template is known only after an update. Golden files have the same text for such a checksum.
func restart(changes []*change) {
	changed := map[string]bool{} // by kind, namespace and name
	for _, c := range changes {
		kind := c.resource().Kind()
		if (kind == "ConfigMap" || kind == "Secret") && slices.ContainsFunc(c.fields, func(f field) bool {
			return within(f.path, []string{"data", "stringData", "binaryData"})
		}) {
			changed[c.after.Object()] = true
		}
	}
	for _, c := range changes {
		if len(changed) == 0 || c.before == nil || c.after == nil {
			continue
		}
		rendered.Leaves("spec.template.metadata.annotations",
			c.after.Get("spec", "template", "metadata", "annotations"), func(path string, leaf any) {
				if text, _ := leaf.(string); !strings.Contains(text, "[unknown") {
					return
				}
				if of := configOf(c.after, changed); of != "" {
					c.fields = append(c.fields, field{path, leaf, fmt.Sprintf("[of the changed %s]", of), ""})
				}
			})
	}
}

// configOf returns the first of some ConfigMaps and Secrets that the pods of a workload use, or "".
func configOf(workload *rendered.Resource, among map[string]bool) (found string) {
	namespace := workload.Get("metadata", "namespace")
	rendered.Leaves("", workload.Get("spec", "template", "spec"), func(path string, leaf any) {
		kind := ""
		switch {
		case strings.HasSuffix(path, ".configMap.name"), strings.HasSuffix(path, ".configMapRef.name"),
			strings.HasSuffix(path, ".configMapKeyRef.name"):
			kind = "ConfigMap"
		case strings.HasSuffix(path, ".secret.secretName"), strings.HasSuffix(path, ".secretRef.name"),
			strings.HasSuffix(path, ".secretKeyRef.name"), strings.HasSuffix(path, ".secret.name"):
			kind = "Secret"
		}
		object := fmt.Sprintf("%s %v/%v", kind, namespace, leaf)
		if kind != "" && found == "" && among[object] {
			found = object
		}
	})
	return found
}

// replacing returns why an update replaces the object, as phrases.
func (c *change) replacing() []string {
	if c.before == nil || c.after == nil {
		return nil
	}
	var reasons, immutable, listed []string
	if c.renamed {
		reasons = append(reasons, "its URN, and no alias has the old one")
	}
	for _, f := range c.fields {
		switch {
		case Replaces(c.after.Type, f.path) || replacesValue(c.before, f):
			immutable = append(immutable, code(f.path))
		case covered(f.path, c.after.Options.ReplaceOnChanges, true):
			listed = append(listed, code(f.path))
		}
	}
	if len(immutable) > 0 {
		reasons = append(reasons, "immutable "+enumerate(immutable))
	}
	if len(listed) > 0 {
		reasons = append(reasons, enumerate(listed)+" (`replaceOnChanges`)")
	}
	return reasons
}
