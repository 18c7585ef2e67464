// Package podsize adds up what pods request, from manifests as maps.
package podsize

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Measure is a resource field of a container: resources.<Field>.<Name>, e.g. requests and cpu.
type Measure struct{ Field, Name string }

// The requests, by which pods are scheduled.
var (
	CPU    = Measure{"requests", "cpu"}
	Memory = Measure{"requests", "memory"}
)

// Size is the request or limit of a pod, or a sum of them.
type Size struct {
	resource.Quantity
	Unlimited bool // a container has no limit
	Unknown   bool // part of the sum is known only after an `up`
}

// Of returns the size of a pod, computed like in the scheduler: init containers run sequentially before the others,
// except sidecars, which continue to run.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
func (m Measure) Of(podSpec any) Size {
	var total, peak Size
	for _, container := range list(get(podSpec, "initContainers")) {
		during := total.Plus(m.ofContainer(container), 1)
		if get(container, "restartPolicy") == "Always" {
			total = during
		}
		peak = peak.AtLeast(during)
	}
	for _, container := range list(get(podSpec, "containers")) {
		total = total.Plus(m.ofContainer(container), 1)
	}
	return total.AtLeast(peak)
}

// ofContainer returns the size of a container. A missing request defaults to the limit, as in Kubernetes, or else to 0.
func (m Measure) ofContainer(container any) Size {
	resources := get(container, "resources")
	value := cmp.Or(get(get(resources, m.Field), m.Name), get(get(resources, "limits"), m.Name))
	if value == nil && m.Field != "limits" {
		return Size{}
	}
	return Limit(value)
}

// Parse returns the size of a value in a manifest: text, or a number.
func Parse(value any) Size {
	quantity, err := resource.ParseQuantity(fmt.Sprint(value))
	return Size{Quantity: quantity, Unknown: err != nil}
}

// Limit is Parse for a limit, which may be missing.
func Limit(value any) Size {
	if value == nil {
		return Size{Unlimited: true}
	}
	return Parse(value)
}

// Plus returns s + n * other.
func (s Size) Plus(other Size, n int64) Size {
	sum, product := s.DeepCopy(), other.DeepCopy()
	product.Mul(n)
	sum.Add(product)
	return Size{sum, s.Unlimited || other.Unlimited, s.Unknown || other.Unknown}
}

// Exceeds reports whether a size is larger than a limit that is known.
func (s Size) Exceeds(limit Size) bool {
	return !limit.Unlimited && !limit.Unknown && s.Cmp(limit.Quantity) > 0
}

// AtLeast returns the larger of two sizes that are needed at different times.
func (s Size) AtLeast(other Size) Size {
	larger := s.Plus(other, 0)
	if other.Cmp(s.Quantity) > 0 {
		larger.Quantity = other.Quantity
	}
	return larger
}

// String returns the quantity in Kubernetes notation, or "none" without a limit.
func (s Size) String() string {
	switch {
	case s.Unlimited:
		return "none"
	case s.Unknown && s.IsZero():
		return "[unknown]"
	case s.Unknown:
		return s.Quantity.String() + " + [unknown]"
	}
	return s.Quantity.String()
}

// get returns a value of a map, or nil.
func get(v any, key string) any {
	object, _ := v.(map[string]any)
	return object[key]
}

// list returns a list, or nil.
func list(v any) []any {
	elements, _ := v.([]any)
	return elements
}
