package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// decoder reads typed values from the flat strings that the engine hands to a program, and remembers which keys were
// read and everything that is wrong. A malformed value is never replaced by a default.
type decoder struct {
	project string
	values  map[string]string
	secrets []string
	read    map[string]bool
	// malformed are the keys whose values are not even of the right type: whatever else could be said is about the zero
	// value that took their place.
	malformed map[string]bool
	problems  []string
}

func newDecoder(project string, values map[string]string, secrets []string) *decoder {
	return &decoder{
		project: project, values: values, secrets: secrets, read: map[string]bool{}, malformed: map[string]bool{},
	}
}

// key is a key of this project, or one that names its own namespace (aws:region).
func (d *decoder) key(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return d.project + ":" + name
}

func (d *decoder) problem(name, format string, args ...any) {
	d.problems = append(d.problems, d.key(name)+": "+fmt.Sprintf(format, args...))
}

// encrypted tells whether a key's value is a secret, which any may be made: then no message shows it.
func (d *decoder) encrypted(name string) bool { return slices.Contains(d.secrets, d.key(name)) }

// hidden stands for the value of an encrypted key.
const hidden = "[secret]"

// shown is the value of a key as messages show it.
func (d *decoder) shown(name string) string {
	switch value := d.values[d.key(name)]; {
	case d.encrypted(name):
		return hidden
	case strings.Contains(value, `"`): // JSON is hard to read with its quotation marks escaped
		return fmt.Sprintf("%#q", value)
	default:
		return strconv.Quote(value)
	}
}

// mistyped notes a value that is not what its key wants. One that is missing is noted already.
func (d *decoder) mistyped(name, want string) {
	if d.malformed[d.key(name)] = true; d.has(name) {
		d.problem(name, "got %s, want %s", d.shown(name), want)
	}
}

// text returns the value of a key. Every key has a default in Pulumi.yaml or is required there.
func (d *decoder) text(name string) string {
	key := d.key(name)
	d.read[key] = true
	value, set := d.values[key]
	if !set {
		d.problem(name, "is required; run: pulumi config set %s <value>", key)
	}
	return value
}

// optional is text for keys of other namespaces, for which Pulumi.yaml cannot give a default.
func (d *decoder) optional(name string) string { return d.values[d.key(name)] }

func (d *decoder) integer(name string) int {
	n, err := strconv.Atoi(d.text(name))
	if errors.Is(err, strconv.ErrRange) {
		d.mistyped(name, "a whole number of fewer digits")
	} else if err != nil {
		d.mistyped(name, "a whole number")
	}
	return n
}

// decimalForm is what people write: no exponent, no NaN, no hexadecimal digits, all of which ParseFloat takes.
var decimalForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

func (d *decoder) decimal(name string) float64 {
	text := d.text(name)
	if !decimalForm.MatchString(text) {
		d.mistyped(name, "a number such as 99.9")
		return 0
	}
	n, _ := strconv.ParseFloat(text, 64) // takes all of that form
	return n
}

func (d *decoder) boolean(name string) bool {
	text := d.text(name)
	if text != "true" && text != "false" {
		d.mistyped(name, "true or false")
	}
	return text == "true"
}

func (d *decoder) list(name string) []string {
	var given []*string // null would pass for an empty string
	err := json.Unmarshal([]byte(d.text(name)), &given)
	if err != nil || given == nil || slices.Contains(given, nil) {
		d.mistyped(name, "a list of strings")
		return nil
	}
	list := make([]string, len(given))
	for i, value := range given {
		list[i] = *value
	}
	return list
}

func (d *decoder) stringMap(name string) map[string]string {
	var given map[string]*string
	err := json.Unmarshal([]byte(d.text(name)), &given)
	if err != nil || given == nil || slices.Contains(slices.Collect(maps.Values(given)), nil) {
		d.mistyped(name, "a map of strings to strings")
		return nil
	}
	m := make(map[string]string, len(given))
	for key, value := range given {
		m[key] = *value
	}
	return m
}

// secret returns a value that must be encrypted in the stack file. Its content is never part of a message.
func (d *decoder) secret(name string) string {
	value := d.text(name)
	if value != "" && !d.encrypted(name) {
		d.problem(name, "is in plain text; encrypt it: pulumi config set --secret %s", name)
	}
	return value
}

func (d *decoder) has(name string) bool {
	_, set := d.values[d.key(name)]
	return set
}

// check adds what is wrong with arguments that were made of this configuration. rename gives the key of a field where
// it is not the field's own name.
func (d *decoder) check(problems field.ErrorList, rename map[string]string) {
	for _, p := range problems {
		name := p.Field
		if key, renamed := rename[name]; renamed {
			name = key
		}
		if d.malformed[d.key(name)] {
			continue
		}
		if d.encrypted(name) {
			p.BadValue = hidden
		}
		d.problem(name, "%s", p.ErrorBody())
	}
}

// part decodes what only some targets use. For the others its keys are known, but nothing about them is wrong.
func part[T any](d *decoder, used bool, decode func() *T) *T {
	before := len(d.problems)
	decoded := decode()
	if used {
		return decoded
	}
	d.problems = d.problems[:before]
	return nil
}

// plain is a key as one types it, or quoted where it would break up the lines of a message.
func plain(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}

// providerNamespaces are those of the engine and of the providers that the program uses.
var providerNamespaces = []string{"pulumi", "aws", "docker", "kubernetes"}

// finish returns all problems as one error, unknown keys included: a misspelt key would otherwise do nothing, silently.
func (d *decoder) finish(stack string) error {
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		switch namespace, _, _ := strings.Cut(key, ":"); {
		case namespace == d.project && !d.read[key]:
			d.problems = append(d.problems, plain(key)+": there is no such key; docs/configuration.md lists them")
		case namespace != d.project && !slices.Contains(providerNamespaces, namespace):
			d.problems = append(d.problems,
				plain(key)+": there is no such namespace; this project's keys begin with "+d.project+":")
		}
	}
	if len(d.problems) == 0 {
		return nil
	}
	slices.Sort(d.problems)
	lines := strings.Join(slices.Compact(d.problems), "\n  ")
	return fmt.Errorf("the configuration of stack %q cannot be used; nothing was touched:\n  %s", stack, lines)
}
