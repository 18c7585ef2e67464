// Package check contains the components' argument checks, whose errors name the field, the value and the accepted form.
package check

import (
	"errors"
	"fmt"
	"maps"
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

// Join combines the problems of subject into one error, or returns nil. It sorts the lines, since some come from maps.
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

// In prefixes the fields of problems with a parent: a problem of max becomes one of scaling.max.
func In(parent string, problems field.ErrorList) field.ErrorList {
	for _, p := range problems {
		p.Field = parent + "." + p.Field
	}
	return problems
}

// Invalid returns the problem of an invalid value; want describes the accepted form.
func Invalid(name string, value any, want string) field.ErrorList {
	return field.ErrorList{field.Invalid(field.NewPath(name), value, want)}
}

// That returns the problem of Invalid unless ok.
func That(ok bool, name string, value any, want string) field.ErrorList {
	if ok {
		return nil
	}
	return Invalid(name, value, want)
}

// Set requires that an input is given; its value may still be unknown.
func Set(name string, set bool) field.ErrorList {
	if set {
		return nil
	}
	return field.ErrorList{field.Required(field.NewPath(name), "must be set")}
}

// Range requires min <= value <= max.
func Range(name string, value, min, max int) field.ErrorList {
	return That(min <= value && value <= max, name, value, fmt.Sprintf("must be from %d to %d", min, max))
}

// CPU requires an amount of CPU: at least 1m, the unit of the API, and low enough that a memory size is refused.
func CPU(name, value string) field.ErrorList {
	return Quantity(name, value, "1m", "1000", "250m")
}

// Memory requires a memory size. It refuses a forgotten unit (64 is 64 bytes) and an amount of CPU. 6Mi is Docker's
// minimum: https://docs.docker.com/engine/containers/resource_constraints/
func Memory(name, value string) field.ErrorList {
	return Quantity(name, value, "6Mi", "32Ti", "64Mi")
}

// Storage requires the size of a volume.
func Storage(name, value string) field.ErrorList {
	return Quantity(name, value, "1Mi", "64Ti", "1Gi")
}

// quantityForm matches every sensible size. ParseQuantity expands a number such as 1e999999999, which takes minutes and
// then all memory.
var quantityForm = regexp.MustCompile(`^[0-9.+-]{1,20}([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})$`)

// Quantity requires a Kubernetes quantity between two others.
func Quantity(name, value, least, most, example string) field.ErrorList {
	q, err := resource.Quantity{}, resource.ErrFormatWrong
	if quantityForm.MatchString(value) {
		q, err = resource.ParseQuantity(value)
	}
	within := err == nil && q.Cmp(resource.MustParse(least)) >= 0 && q.Cmp(resource.MustParse(most)) <= 0
	return That(within, name, value,
		fmt.Sprintf("must be a Kubernetes quantity from %s to %s, such as %s", least, most, example))
}

// Label requires a name that is valid for objects, namespaces and label values.
func Label(name, value string) field.ErrorList {
	return That(len(validation.IsDNS1123Label(value)) == 0, name, value,
		"must be up to 63 lower case letters, digits and -, with a letter or digit at both ends")
}

// maxObjectName leaves room for suffixes: those of this library, such as -config, and the eleven characters of a
// StatefulSet's revision in a Kubernetes label, which has at most 63.
const maxObjectName = 52

// ObjectName requires a valid name for a component's main object, from which other names are derived.
func ObjectName(value string) field.ErrorList {
	return That(len(value) <= maxObjectName && len(Label("name", value)) == 0, "name", value, fmt.Sprintf(
		"must be up to %d lower case letters, digits and -, with a letter or digit at both ends", maxObjectName))
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Variable requires the name of an environment variable that every shell and language can read.
func Variable(name, value string) field.ErrorList {
	return That(variableForm.MatchString(value), name, value,
		"must be the name of a variable: letters, digits and _, not beginning with a digit, such as LOG_LEVEL")
}

// Name requires a name that is valid for classes, which may contain dots.
func Name(name, value string) field.ErrorList {
	return That(len(validation.IsDNS1123Subdomain(value)) == 0, name, value,
		"must be up to 253 lower case letters, digits, - and ., with a letter or digit at both ends of each part")
}

// OneOf requires one of the given words.
func OneOf(name, value string, words ...string) field.ErrorList {
	return That(slices.Contains(words, value), name, value, "must be one of "+strings.Join(words, ", "))
}

// Match requires a value that matches a regular expression; want describes the accepted form.
func Match(name, value string, form *regexp.Regexp, want string) field.ErrorList {
	return That(form.MatchString(value), name, value, want)
}

// Optional applies a check unless the value is empty.
func Optional(form func(name, value string) field.ErrorList, name, value string) field.ErrorList {
	if value == "" {
		return nil
	}
	return form(name, value)
}

// Each validates every element of a list and prefixes its problems with its index.
func Each[T any](name string, list []T, validate func(*T) field.ErrorList) (problems field.ErrorList) {
	for i := range list {
		problems = append(problems, In(field.NewPath(name).Index(i).String(), validate(&list[i]))...)
	}
	return problems
}

// CIDR requires a block of IP addresses. With bits set beyond the mask, either the address or the mask is wrong.
func CIDR(name, value string) field.ErrorList {
	block, err := netip.ParsePrefix(value)
	return That(err == nil && block == block.Masked(), name, value,
		"must be a CIDR such as 10.0.0.0/16, with no bit set beyond its mask")
}

// IsDNSName reports whether a value is a DNS name. IsDNS1123Subdomain is for object names: it accepts labels of any
// length, and a numeric last label, as in an IP address.
func IsDNSName(value string) bool {
	labels := strings.Split(value, ".")
	invalid := func(label string) bool { return len(validation.IsDNS1123Label(label)) > 0 }
	isNumber := strings.Trim(labels[len(labels)-1], "0123456789") == ""
	return len(value) <= validation.DNS1123SubdomainMaxLength && !isNumber && !slices.ContainsFunc(labels, invalid)
}

// regionForm matches the regions of all AWS partitions, e.g. eu-central-1, us-gov-west-1.
var regionForm = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`)

// Region requires an AWS region.
func Region(name, value string) field.ErrorList {
	return That(regionForm.MatchString(value), name, value, "must be an AWS region such as eu-central-1")
}

// Path requires a path in a container that can be a mount point.
func Path(name, value string) field.ErrorList {
	right := path.IsAbs(value) && path.Clean(value) == value && value != "/" && !strings.Contains(value, ":")
	return That(right, name, value, "must be an absolute path such as /tmp, without : and without / at its end")
}

// Image requires an image reference with a tag or digest: with `latest`, explicit or implied, two nodes could run
// different versions under one name. Only a digest is immutable: others may move to fixes (8.2 is the newest 8.2.x).
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

// Repository requires a repository that images can be pushed to. The registry is mandatory, since it determines the
// login. Some image tools do not accept an IPv6 address.
func Repository(name, value string) field.ErrorList {
	named, err := reference.ParseNormalizedNamed(value)
	registry, _, hasPath := strings.Cut(value, "/")
	right := err == nil && reference.IsNameOnly(named) && hasPath && isRegistry(registry) && registry[0] != '['
	return That(right, name, value, "must be <registry>/<name> in lower case, with no scheme, no tag and no digest, "+
		"such as localhost:5001/scaleout; instead of an IPv6 address use a DNS name")
}

// isRegistry reports whether the first part of a name is a registry rather than an organization on Docker Hub. The
// parser mistakes an organization in capitals for a registry.
func isRegistry(part string) bool { return part == "localhost" || strings.ContainsAny(part, ".:") }

// Selectors requires pod labels in each element of a list. In a network policy, an empty selector matches all pods.
func Selectors(name string, list []map[string]string) (problems field.ErrorList) {
	for i, labels := range list {
		path := field.NewPath(name).Index(i).String()
		problems = append(problems, Set(path, len(labels) > 0)...)
		problems = append(problems, Labels(path, labels)...)
	}
	return problems
}

// Annotations requires valid keys of annotations. Any value is valid.
func Annotations(name string, annotations map[string]string) (problems field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		problems = append(problems, That(len(validation.IsQualifiedName(strings.ToLower(key))) == 0, name, key,
			"must be the key of an annotation, such as example.com/role: up to 63 letters, digits, -, _ and . after the /")...)
	}
	return problems
}

// Labels requires valid keys and values of labels.
func Labels(name string, labels map[string]string) (problems field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(labels[key])...)
		problems = append(problems, That(len(wrong) == 0, name, key+": "+labels[key],
			"must be a label: a name such as release or example.com/team, and up to 63 letters, digits, -, _ and .")...)
	}
	return problems
}
