package offline

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// size is how much of something a pod asks for, or many pods do.
type size struct {
	quantity resource.Quantity
	// unlimited if one of the containers has no limit; unknown if part of the sum is known only after an `up`.
	unlimited, unknown bool
}

// measure is one of the numbers that a container gives: resources.<field>.<name>.
type measure struct{ field, name, heading string }

// measures are the columns of a preview.
var measures = []measure{
	{"requests", "cpu", "CPU request"},
	{"limits", "cpu", "CPU limit"},
	{"requests", "memory", "Memory request"},
	{"limits", "memory", "Memory limit"},
}

// of adds up the containers of a pod the way the scheduler does: init containers run one after the other before the
// others, except those that keep running beside them ("sidecars").
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
func (m measure) of(podSpec any) size {
	var sidecars, peak size
	initContainers, _ := Lookup(podSpec, "initContainers").([]any)
	for _, container := range initContainers {
		if text(container, "restartPolicy") == "Always" {
			sidecars = sidecars.plus(m.ofContainer(container))
		} else {
			peak = peak.atLeast(sidecars.plus(m.ofContainer(container)))
		}
	}
	total := sidecars
	containers, _ := Lookup(podSpec, "containers").([]any)
	for _, container := range containers {
		total = total.plus(m.ofContainer(container))
	}
	return total.atLeast(peak)
}

// ofContainer is nothing for a request that is not given, unless there is a limit: that is then the request too.
func (m measure) ofContainer(container any) size {
	value := Lookup(container, "resources", m.field, m.name)
	if value == nil && m.field == "requests" {
		value = Lookup(container, "resources", "limits", m.name)
	}
	if value == nil {
		return size{unlimited: m.field == "limits"}
	}
	quantity, err := resource.ParseQuantity(fmt.Sprint(value))
	return size{quantity: quantity, unknown: err != nil}
}

// plus is the size of both together.
func (s size) plus(other size) size {
	sum := s
	sum.quantity = s.quantity.DeepCopy()
	sum.quantity.Add(other.quantity)
	sum.unlimited = s.unlimited || other.unlimited
	sum.unknown = s.unknown || other.unknown
	return sum
}

// atLeast is the larger size, of what is needed at different times.
func (s size) atLeast(other size) size {
	larger := s
	if other.quantity.Cmp(s.quantity) > 0 {
		larger.quantity = other.quantity
	}
	larger.unlimited = s.unlimited || other.unlimited
	larger.unknown = s.unknown || other.unknown
	return larger
}

// times is the size of n equal ones.
func (s size) times(n int64) size {
	product := s
	product.quantity = s.quantity.DeepCopy()
	product.quantity.Mul(n)
	return product
}

// String is the quantity as Kubernetes writes it, "none" without a limit.
func (s size) String() string {
	switch {
	case s.unlimited:
		return "none"
	case s.unknown && s.quantity.IsZero():
		return "[unknown]"
	case s.unknown:
		return s.quantity.String() + " + [unknown]"
	}
	return s.quantity.String()
}
