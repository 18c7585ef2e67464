package offline

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Values are those of decoded JSON (nil, bool, int64, float64, string, []any, map[string]any), and these two.
type (
	// Secret is a value that the program marked as secret.
	Secret struct {
		// Value is nil if it cannot be known offline: it depends on a secret that is encrypted or not set.
		Value any
	}
	// Unknown is a value that is known only once something exists.
	Unknown struct {
		// From names what it may come from, e.g. "docker image app"; empty if that cannot be told.
		From string
	}
)

// String is how an unknown value is printed.
func (u Unknown) String() string {
	if u.From == "" {
		return "[unknown]"
	}
	return "[unknown: " + u.From + "]"
}

// String is printed in place of a secret, as by the Pulumi CLI.
func (Secret) String() string { return "[secret]" }

// fromProperty converts a property of the SDK. from names the source of the unknown values in it.
func fromProperty(v resource.PropertyValue, from string) any {
	return v.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return Secret{fromProperty(v.SecretValue().Element, from)}, true
		case v.IsComputed():
			return Unknown{from}, true
		case v.IsNumber():
			return number(v.NumberValue()), true
		case v.IsResourceReference():
			return string(v.ResourceReferenceValue().URN), true
		}
		return nil, false
	})
}

// number makes whole numbers integers, so that a million is not printed as 1e+06. Beyond 2^53 a float64 has gaps.
func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

// printable replaces secrets and unknown values by text.
func printable(v any) any {
	return walk("", v, func(_ string, leaf any) any {
		if text, ok := leaf.(fmt.Stringer); ok {
			return text.String()
		}
		return leaf
	})
}

// Lookup follows keys (string) and indexes (int) into a value, and through secrets. It returns nil if there is nothing.
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

// text is Lookup for strings: empty if there is none.
func text(v any, path ...any) string {
	s, _ := Lookup(v, path...).(string)
	return s
}

// elements is Lookup for lists: empty if there is none.
func elements(v any, path ...any) []any {
	list, _ := Lookup(v, path...).([]any)
	return list
}

// walk returns a value with what f makes of its leaves, which it meets in the order of the keys; a path is e.g.
// spec.containers[0].image. An empty list or map is a leaf too.
func walk(path string, v any, f func(path string, leaf any) any) any {
	list, _ := v.([]any)
	object, _ := v.(map[string]any)
	if len(list)+len(object) == 0 {
		return f(path, v)
	}
	if list != nil {
		list = slices.Clone(list)
		for i := range list {
			list[i] = walk(path+"["+strconv.Itoa(i)+"]", list[i], f)
		}
		return list
	}
	object = maps.Clone(object)
	for _, key := range sortedKeys(object) {
		object[key] = walk(strings.TrimPrefix(path+"."+key, "."), object[key], f)
	}
	return object
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
