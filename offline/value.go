package offline

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Values have the types of decoded JSON (nil, bool, int64, float64, string, []any, map[string]any) or one of these two.
type (
	// Secret is a value that the program marked as secret.
	Secret struct {
		Value any // nil if it is unavailable offline, because it depends on a secret that is encrypted or not set
	}
	// Unknown is a value that is known only after an `up`.
	Unknown struct {
		From string // the possible sources, e.g. "docker image app"; empty if unavailable
	}
)

// String returns the printed form of an unknown value.
func (u Unknown) String() string {
	if u.From == "" {
		return "[unknown]"
	}
	return "[unknown: " + u.From + "]"
}

// String returns the text that replaces a secret, as in the Pulumi CLI.
func (Secret) String() string { return "[secret]" }

// MarshalText returns the printed form, for YAML and JSON.
func (u Unknown) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// MarshalText returns the text that replaces a secret, for YAML and JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// fromProperty converts a property of the SDK. from names the source of its unknown values.
func fromProperty(v resource.PropertyValue, from string) any {
	return v.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return Secret{fromProperty(v.SecretValue().Element, from)}, true
		case v.IsComputed():
			return Unknown{from}, true
		case v.IsNumber():
			// A whole number becomes an integer, so that a million is not printed as 1e+06. Beyond 2^53 a float64 has gaps.
			if f := v.NumberValue(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
				return int64(f), true
			}
		case v.IsResourceReference():
			return string(v.ResourceReferenceValue().URN), true
		}
		return nil, false
	})
}

// Lookup returns the value at a path of keys (string) and indexes (int), also inside secrets, or nil if there is none.
func Lookup(v any, path ...any) any {
	for _, step := range path {
		if secret, ok := v.(Secret); ok {
			v = secret.Value
		}
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[step]
		case int:
			list, _ := v.([]any)
			if step < 0 || step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// text is Lookup for strings; empty if there is none.
func text(v any, path ...any) string {
	s, _ := Lookup(v, path...).(string)
	return s
}

// elements is Lookup for lists; empty if there is none.
func elements(v any, path ...any) []any {
	list, _ := Lookup(v, path...).([]any)
	return list
}

// walk returns a copy of a value with f applied to its leaves, in the order of the keys, each with its path, e.g.
// spec.containers[0].image, and the value at the same path of other. An empty list or map is also a leaf.
func walk(path string, v, other any, f func(path string, leaf, other any) any) any {
	list, _ := v.([]any)
	object, _ := v.(map[string]any)
	if len(list)+len(object) == 0 {
		return f(path, v, other)
	}
	if list != nil {
		list = slices.Clone(list)
		for i := range list {
			list[i] = walk(path+"["+strconv.Itoa(i)+"]", list[i], Lookup(other, i), f)
		}
		return list
	}
	object = maps.Clone(object)
	for _, key := range sortedKeys(object) {
		object[key] = walk(strings.TrimPrefix(path+"."+key, "."), object[key], Lookup(other, key), f)
	}
	return object
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
