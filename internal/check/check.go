// Package check has the checks of arguments that all components share. Each returns what is wrong as field errors of
// Kubernetes, which name the field, the value and the accepted form.
package check

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Join makes one error of all that is wrong with subject, or nil. The lines are sorted, since some come from maps.
func Join(subject string, problems field.ErrorList) error {
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = "  " + p.Error()
	}
	slices.Sort(lines)
	return errors.New("invalid arguments of " + subject + ":\n" + strings.Join(lines, "\n"))
}

// In puts the problems of a part under the field that holds the part: the problem of max becomes that of scaling.max.
func In(parent string, problems field.ErrorList) field.ErrorList {
	for _, p := range problems {
		p.Field = parent + "." + p.Field
	}
	return problems
}

// Invalid is one value that cannot be used, and what is wanted in its place.
func Invalid(name string, value any, want string) field.ErrorList {
	return field.ErrorList{field.Invalid(field.NewPath(name), value, want)}
}

// That is Invalid unless a value is ok.
func That(ok bool, name string, value any, want string) field.ErrorList {
	if ok {
		return nil
	}
	return Invalid(name, value, want)
}

// Set wants an input to be given; what it will hold is not known yet.
func Set(name string, set bool) field.ErrorList {
	if set {
		return nil
	}
	return field.ErrorList{field.Required(field.NewPath(name), "must be set")}
}

// Range wants min <= value <= max; max is math.MaxInt where only the lower end matters.
func Range(name string, value, min, max int) field.ErrorList {
	want := fmt.Sprintf("must be from %d to %d", min, max)
	if max == math.MaxInt {
		want = fmt.Sprintf("must be at least %d", min)
	}
	return That(min <= value && value <= max, name, value, want)
}

// CPU wants a share of CPUs: at least the API's unit, and so few that a size of memory is refused.
func CPU(name, value string) field.ErrorList {
	return Quantity(name, value, "1m", "1000", "250m")
}

// Memory wants a size of memory, which a forgotten unit (64 is 64 bytes) or a share of CPUs is not. 6Mi is the least
// that Docker takes: https://docs.docker.com/engine/containers/resource_constraints/
func Memory(name, value string) field.ErrorList {
	return Quantity(name, value, "6Mi", "32Ti", "64Mi")
}

// Storage wants the size of a volume.
func Storage(name, value string) field.ErrorList {
	return Quantity(name, value, "1Mi", "64Ti", "1Gi")
}

// quantityForm has room for every size that could be meant. ParseQuantity multiplies a number such as 1e999999999 out,
// which takes minutes and then all memory.
var quantityForm = regexp.MustCompile(`^[0-9.+-]{1,20}([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})$`)

// Quantity wants a Kubernetes quantity that lies between two others.
func Quantity(name, value, least, most, example string) field.ErrorList {
	q, err := resource.Quantity{}, resource.ErrFormatWrong
	if quantityForm.MatchString(value) {
		q, err = resource.ParseQuantity(value)
	}
	within := err == nil && q.Cmp(resource.MustParse(least)) >= 0 && q.Cmp(resource.MustParse(most)) <= 0
	return That(within, name, value,
		fmt.Sprintf("must be a Kubernetes quantity from %s to %s, such as %s", least, most, example))
}

// Label wants a name that Kubernetes takes for objects, namespaces and label values alike.
func Label(name, value string) field.ErrorList {
	return That(len(validation.IsDNS1123Label(value)) == 0, name, value,
		"must be up to 63 lower case letters, digits and -, with a letter or digit at both ends")
}

// maxObjectName leaves room for what is appended: -config and the like in the names of this library, and in labels of
// Kubernetes, which have 63 characters, the eleven of a StatefulSet's revision.
const maxObjectName = 52

// ObjectName wants the name of a component's main object, from which others are derived.
func ObjectName(value string) field.ErrorList {
	return That(len(value) <= maxObjectName && len(Label("name", value)) == 0, "name", value, fmt.Sprintf(
		"must be up to %d lower case letters, digits and -, with a letter or digit at both ends", maxObjectName))
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Variable wants the name of an environment variable that every shell and language can read.
func Variable(name, value string) field.ErrorList {
	return That(variableForm.MatchString(value), name, value,
		"must be the name of a variable: letters, digits and _, beginning with no digit, such as LOG_LEVEL")
}

// Name wants a name that Kubernetes takes for classes, which may have dots.
func Name(name, value string) field.ErrorList {
	return That(len(validation.IsDNS1123Subdomain(value)) == 0, name, value,
		"must be up to 253 lower case letters, digits, - and ., with a letter or digit at both ends of each part")
}

// OneOf wants one of a few words.
func OneOf(name, value string, words ...string) field.ErrorList {
	return That(slices.Contains(words, value), name, value, "must be one of "+strings.Join(words, ", "))
}

// Match wants a value of a form, and says what that is in words.
func Match(name, value string, form *regexp.Regexp, want string) field.ErrorList {
	return That(form.MatchString(value), name, value, want)
}

// Optional is a check of a value that may be empty.
func Optional(form func(name, value string) field.ErrorList, name, value string) field.ErrorList {
	if value == "" {
		return nil
	}
	return form(name, value)
}

// Each puts the problems of every element of a list under its place there.
func Each[T any](name string, list []T, validate func(*T) field.ErrorList) (problems field.ErrorList) {
	for i := range list {
		problems = append(problems, In(field.NewPath(name).Index(i).String(), validate(&list[i]))...)
	}
	return problems
}

// CIDR wants a block of IP addresses, written in the one way: what is beyond the mask is 0, or else it is unclear
// which of the two was meant.
func CIDR(name, value string) field.ErrorList {
	block, err := netip.ParsePrefix(value)
	return That(err == nil && block == block.Masked(), name, value,
		"must be a CIDR such as 10.0.0.0/16, with no bit set beyond its mask")
}

// IsDNSName tells whether a value can be looked up. IsDNS1123Subdomain is about names of objects: it takes labels of
// any length and all-numeric ones at the end, which are addresses.
func IsDNSName(value string) bool {
	if len(validation.IsDNS1123Subdomain(value)) > 0 {
		return false
	}
	labels := strings.Split(value, ".")
	tooLong := func(label string) bool { return len(label) > validation.DNS1123LabelMaxLength }
	isNumber := strings.Trim(labels[len(labels)-1], "0123456789") == ""
	return !isNumber && !slices.ContainsFunc(labels, tooLong)
}

// regionForm is that of all partitions of AWS, e.g. eu-central-1, us-gov-west-1.
var regionForm = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`)

// Region reports what cannot be a region of AWS.
func Region(name, value string) field.ErrorList {
	return That(regionForm.MatchString(value), name, value, "must be a region of AWS such as eu-central-1")
}

// Path wants a path in a container at which something can be mounted.
func Path(name, value string) field.ErrorList {
	if !path.IsAbs(value) || path.Clean(value) != value || value == "/" || strings.Contains(value, ":") {
		return Invalid(name, value, "must be an absolute path such as /tmp, without : and without / at its end")
	}
	return nil
}

// Image wants an image reference with a version: `latest`, said or implied, would let two nodes run different programs
// under one name. Only a digest is immutable. Any other tag can be moved too, and is for fixes (8.2 is the newest
// 8.2.x): what is pulled later may be newer.
func Image(name, value string) field.ErrorList {
	named, err := reference.ParseNormalizedNamed(value)
	return That(err == nil && isRegistry(reference.Domain(named)) && hasVersion(named), name, value,
		"must be an image in lower case that ends in a tag other than latest, or in a digest (@sha256:<64 digits>)")
}

func hasVersion(named reference.Named) bool {
	if digested, ok := named.(reference.Digested); ok {
		return digested.Digest().Algorithm() == digest.SHA256
	}
	tagged, ok := named.(reference.Tagged)
	return ok && tagged.Tag() != "latest"
}

// Repository reports what no image can be pushed to. The registry is never left out: it decides the login.
func Repository(name, value string) field.ErrorList {
	if strings.HasPrefix(value, "[") {
		return Invalid(name, value, "must not be at an IPv6 address, which not all tools for images take: "+
			"give the registry a DNS name, such as registry.example.com:5000/scaleout")
	}
	named, err := reference.ParseNormalizedNamed(value)
	registry, _, hasPath := strings.Cut(value, "/")
	return That(err == nil && reference.IsNameOnly(named) && hasPath && isRegistry(registry), name, value,
		"must be <registry>/<name> in lower case, with no scheme, no tag and no digest, such as localhost:5001/scaleout")
}

// isRegistry tells whether the first part of a name could be no part of a path: otherwise it is an organization on
// Docker Hub. The parser takes one in capitals for a registry.
func isRegistry(part string) bool {
	return part == "localhost" || strings.ContainsAny(part, ".:")
}

// Selectors wants each element of a list to be labels of pods. One without labels would be anyone in a network policy.
func Selectors(name string, list []map[string]string) (problems field.ErrorList) {
	for i, labels := range list {
		path := field.NewPath(name).Index(i).String()
		problems = append(problems, Set(path, len(labels) > 0)...)
		problems = append(problems, Labels(path, labels)...)
	}
	return problems
}

// Annotations reports keys that Kubernetes does not take for annotations. Their values are free.
func Annotations(name string, annotations map[string]string) (problems field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		problems = append(problems, That(len(validation.IsQualifiedName(strings.ToLower(key))) == 0, name, key,
			"must be the key of an annotation, such as example.com/role: up to 63 letters, digits, -, _ and . after the /")...)
	}
	return problems
}

// Labels reports what Kubernetes does not take as labels.
func Labels(name string, labels map[string]string) (problems field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(labels[key])...)
		problems = append(problems, That(len(wrong) == 0, name, key+": "+labels[key],
			"must be a label: a name such as release or example.com/team, and up to 63 letters, digits, -, _ and .")...)
	}
	return problems
}
