package offline

import (
	"reflect"
	"strconv"
	"strings"
)

// blind hides everything that differs from the same program run with another placeholder for its secrets: such a value
// follows from the placeholder, so it would be invented. What the program did not mark as secret is Exposed too.
func (r *Result) blind(other *Result) {
	others := map[string]map[string]any{}
	for _, resource := range other.Resources {
		others[resource.URN] = resource.Inputs
	}
	for i := range r.Resources {
		resource := &r.Resources[i]
		resource.Inputs = r.blindMap(resource.title(), "", resource.Inputs, others[resource.URN])
	}
	r.Exports = r.blindMap("output", "", r.Exports, other.Exports)
}

func (r *Result) blindMap(title, path string, a, b map[string]any) map[string]any {
	blinded := make(map[string]any, len(a))
	for _, key := range sortedKeys(a) {
		blinded[key] = r.blindValue(title, strings.TrimPrefix(path+"."+key, "."), a[key], b[key])
	}
	return blinded
}

// blindValue returns a, with a Secret in place of every part that is not the same in b. A map that is secret as a whole
// keeps its form, since its values may be known in part.
func (r *Result) blindValue(title, path string, a, b any) any {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			return r.blindMap(title, path, a, b)
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			list := make([]any, len(a))
			for i := range a {
				list[i] = r.blindValue(title, path+"["+strconv.Itoa(i)+"]", a[i], b[i])
			}
			return list
		}
	case Secret:
		if b, ok := b.(Secret); ok {
			inner := (&Result{}).blindValue("", "", a.Value, b.Value) // what is in a secret is not exposed
			if hidden, ok := inner.(Secret); ok {
				return hidden
			}
			return Secret{inner}
		}
	}
	if reflect.DeepEqual(a, b) {
		return a
	}
	r.Exposed = append(r.Exposed, title+" "+path)
	return Secret{}
}
