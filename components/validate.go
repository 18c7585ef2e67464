package components

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// joinProblems makes one error of all that is wrong with subject, or nil. The Kubernetes field errors name the field,
// the value and the accepted form.
func joinProblems(subject string, problems field.ErrorList) error {
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = "  " + p.Error()
	}
	return errors.New("invalid arguments of " + subject + ":\n" + strings.Join(lines, "\n"))
}

// checkRange wants min <= value <= max; max is math.MaxInt where only the lower end matters.
func checkRange(name string, value, min, max int) field.ErrorList {
	switch {
	case value >= min && value <= max:
		return nil
	case max == math.MaxInt:
		return invalid(name, value, fmt.Sprintf("must be at least %d", min))
	}
	return invalid(name, value, fmt.Sprintf("must be from %d to %d", min, max))
}

// checkQuantity wants a positive Kubernetes quantity such as 100m, 0.5 or 64Mi.
func checkQuantity(name, value string) field.ErrorList {
	if q, err := resource.ParseQuantity(value); err != nil || q.Sign() <= 0 {
		return invalid(name, value, "must be a positive Kubernetes quantity such as 250m (CPU) or 64Mi (memory)")
	}
	return nil
}

// checkLabel wants a name that Kubernetes takes for objects, namespaces and label values alike.
func checkLabel(name, value string) field.ErrorList {
	if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
		return invalid(name, value, strings.Join(problems, "; "))
	}
	return nil
}

// checkName wants a name that Kubernetes takes for classes, which may have dots.
func checkName(name, value string) field.ErrorList {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return invalid(name, value, strings.Join(problems, "; "))
	}
	return nil
}

// checkOneOf wants one of a few words.
func checkOneOf(name, value string, words ...string) field.ErrorList {
	for _, w := range words {
		if value == w {
			return nil
		}
	}
	return invalid(name, value, "must be one of "+strings.Join(words, ", "))
}

// checkCIDR wants a block of IP addresses.
func checkCIDR(name, value string) field.ErrorList {
	if _, err := netip.ParsePrefix(value); err != nil {
		return invalid(name, value, "must be a CIDR such as 10.0.0.0/16")
	}
	return nil
}

// checkSet wants an input to be given; what it will hold is not known yet.
func checkSet(name string, set bool) field.ErrorList {
	if set {
		return nil
	}
	return field.ErrorList{field.Required(field.NewPath(name), "must be set")}
}

// ValidateImage reports an image reference whose version is not pinned, for those that reach a component as a build
// argument.
func ValidateImage(name, value string) field.ErrorList { return checkImage(name, value) }

// checkImage wants an image reference whose version is pinned: `latest`, said or implied, would let two nodes run
// different programs under one name.
func checkImage(name, value string) field.ErrorList {
	tag := value[strings.LastIndex(value, "/")+1:]
	if _, version, found := strings.Cut(tag, ":"); !found || version == "latest" || version == "" {
		return invalid(name, value, "must end in a tag other than latest, or in a digest (@sha256:...)")
	}
	return nil
}

func invalid(name string, value any, want string) field.ErrorList {
	return field.ErrorList{field.Invalid(field.NewPath(name), value, want)}
}
