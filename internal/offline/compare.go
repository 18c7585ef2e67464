package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// comparison is what changes in one stack.
type comparison struct {
	stack string
	// note says why there is nothing to compare with; empty if there is.
	note    string
	changes []change
	// counts of resources, components included.
	added, changed, removed, unchanged int
}

// change is a resource that differs.
type change struct {
	// action is "+", "~" or "-".
	action, title string
	// diff is a unified diff; empty for a component, whose name and type are all that is compared: what it holds is
	// in its children.
	diff string
}

// compare finds what changes from one result to the other. A nil result stands for a stack that does not exist. A
// resource is the same one as long as it has the same URN, as for the engine.
func compare(stack string, before, after *Result) (*comparison, error) {
	c := &comparison{stack: stack}
	old, err := bodies(before)
	if err != nil {
		return nil, err
	}
	current, err := bodies(after)
	if err != nil {
		return nil, err
	}
	for urn, b := range old {
		if _, kept := current[urn]; !kept {
			c.removed++
			c.changes = append(c.changes, change{"-", b.title, unified(b.text, "")})
		}
	}
	for urn, b := range current {
		previous, existed := old[urn]
		switch {
		case !existed:
			c.added++
			c.changes = append(c.changes, change{"+", b.title, unified("", b.text)})
		case previous.text != b.text:
			c.changed++
			c.changes = append(c.changes, change{"~", b.title, unified(previous.text, b.text)})
		default:
			c.unchanged++
		}
	}
	slices.SortFunc(c.changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.title, b.title), cmp.Compare(a.action, b.action))
	})
	if before == nil {
		c.note = "new stack"
	} else if after == nil {
		c.note = "removed stack"
	}
	return c, nil
}

// body is what of a resource is compared.
type body struct{ title, text string }

// bodies are by URN; the stack's outputs are among them.
func bodies(r *Result) (map[string]body, error) {
	all := map[string]body{}
	if r == nil {
		return all, nil
	}
	for i := range r.Resources {
		resource := &r.Resources[i]
		b := body{title: resource.title()}
		if resource.Custom {
			var err error
			if b.text, err = resource.body(); err != nil {
				return nil, fmt.Errorf("rendering %s: %w", resource.title(), err)
			}
		}
		all[resource.URN] = b
	}
	outputs, err := toYAML(printable(r.Exports, false))
	all["outputs"] = body{"Stack outputs", outputs}
	return all, err
}

// unified is a diff in unified format without file names. The library is the diff of the Go toolchain, published by
// one of its maintainers: small, and a dependency of the SDK already.
func unified(before, after string) string {
	const headers = 3 // diff, --- and +++
	lines := strings.SplitAfterN(string(diff.Diff("before", []byte(before), "after", []byte(after))), "\n", headers+1)
	return lines[len(lines)-1]
}
