package offline

import "reflect"

// blind hides everything that differs from the same program run with another placeholder for its secrets: such a value
// follows from the placeholder, so it would be invented. What the program did not mark as secret is Exposed too.
func (r *Result) blind(other *Result) {
	others := map[string]map[string]any{}
	for _, resource := range other.Resources {
		others[resource.URN] = resource.Inputs
	}
	for i := range r.Resources {
		resource := &r.Resources[i]
		title, inputs := resource.title(), resource.Inputs
		resource.Inputs = blindMap(inputs, others[resource.URN])
		r.expose(title, inputs, resource.Inputs)
	}
	exports := r.Exports
	r.Exports = blindMap(exports, other.Exports)
	r.expose("output", exports, r.Exports)
}

func blindMap(a, b map[string]any) map[string]any {
	blinded := make(map[string]any, len(a))
	for key := range a {
		blinded[key] = blind(a[key], b[key])
	}
	return blinded
}

// blind returns a, with a Secret in place of every part that is not the same in b.
func blind(a, b any) any {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			return blindMap(a, b)
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			list := make([]any, len(a))
			for i := range a {
				list[i] = blind(a[i], b[i])
			}
			return list
		}
	case Secret:
		if b, ok := b.(Secret); ok {
			return blindSecret(a, b)
		}
	}
	if reflect.DeepEqual(a, b) {
		return a
	}
	return Secret{}
}

// blindSecret keeps the form of a secret map, whose values may be known in part.
func blindSecret(a, b Secret) any {
	inner := blind(a.Value, b.Value)
	if hidden, ok := inner.(Secret); ok {
		return hidden
	}
	return Secret{inner}
}

// expose notes the leaves that blind hid and that were not secret before.
func (r *Result) expose(title string, before, after map[string]any) {
	secret := map[string]bool{}
	visit(before, "", func(path string, leaf any) {
		_, secret[path] = leaf.(Secret)
	})
	visit(after, "", func(path string, leaf any) {
		if hidden, ok := leaf.(Secret); ok && hidden.Value == nil && !secret[path] {
			r.Exposed = append(r.Exposed, title+" "+path)
		}
	})
}
