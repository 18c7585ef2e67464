// Package decode reads the configuration of a stack strictly: every key is known, every value well formed, and all that
// is wrong comes in one message. What the keys mean is for its callers.
package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Decoder reads typed values from the flat strings that the engine hands to a program, and remembers which keys were
// read and everything that is wrong. A malformed value is never replaced by a default.
type Decoder struct {
	project, reference string
	keys, values       map[string]string
	secrets            []string
	read               map[string]bool
	// malformed are the keys of values of a wrong type: what else could be said is about the zero value in their place.
	malformed map[string]bool
	problems  []string
}

// New returns a Decoder for the values of a project's stack, of which secrets are encrypted. reference is the document
// that lists the keys, for messages; keys are those of the fields of arguments, by their whole path: see Check.
func New(project, reference string, values map[string]string, secrets []string, keys map[string]string) *Decoder {
	return &Decoder{
		project: project, reference: reference, values: values, secrets: secrets,
		keys: keys, read: map[string]bool{}, malformed: map[string]bool{},
	}
}

// Environment is what the engine hands to the program: the values of all keys, and which keys are encrypted. The SDK,
// which reads the same variables, cannot list keys: a misspelt one would pass unnoticed.
func Environment() (values map[string]string, secrets []string, err error) {
	values = map[string]string{}
	for name, into := range map[string]any{pulumi.EnvConfig: &values, pulumi.EnvConfigSecretKeys: &secrets} {
		if text := os.Getenv(name); text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return nil, nil, fmt.Errorf("decoding %s: %w", name, err)
			}
		}
	}
	return values, secrets, nil
}

// Read are the keys that were read so far, in order.
func (d *Decoder) Read() []string { return slices.Sorted(maps.Keys(d.read)) }

// Key is a key of this project, or one that names its own namespace (aws:region).
func (d *Decoder) Key(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return d.project + ":" + name
}

// Problem adds something that is wrong with the value of a key.
func (d *Decoder) Problem(name, format string, args ...any) {
	d.problems = append(d.problems, d.Key(name)+": "+fmt.Sprintf(format, args...))
}

// Refuse adds why the value of a key, which the message shows, cannot be used.
func (d *Decoder) Refuse(name, why string, args ...any) {
	d.Problem(name, "got %s, "+why, append([]any{d.Shown(name)}, args...)...)
}

// RefuseIf is Refuse where something is wrong.
func (d *Decoder) RefuseIf(wrong bool, name, why string, args ...any) {
	if wrong {
		d.Refuse(name, why, args...)
	}
}

// Encrypted tells whether a key's value is a secret, which any may be made: then no message shows it.
func (d *Decoder) Encrypted(name string) bool { return slices.Contains(d.secrets, d.Key(name)) }

const hidden = "[secret]"

// Shown is the value of a key as messages show it.
func (d *Decoder) Shown(name string) string {
	switch value := d.values[d.Key(name)]; {
	case d.Encrypted(name):
		return hidden
	case strings.Contains(value, `"`): // JSON is hard to read with its quotation marks escaped
		return fmt.Sprintf("%#q", value)
	default:
		return strconv.Quote(value)
	}
}

// Malformed marks a key about whose value nothing more is to be said: it took the place of another.
func (d *Decoder) Malformed(name string) { d.malformed[d.Key(name)] = true }

// Mistyped notes a value that is not what its key wants. One that is missing is noted already.
func (d *Decoder) Mistyped(name, want string) {
	d.Malformed(name)
	if _, set := d.values[d.Key(name)]; set {
		d.Refuse(name, "want %s", want)
	}
}

// Text returns the value of a key. Every key has a default in Pulumi.yaml or is required there.
func (d *Decoder) Text(name string) string {
	key := d.Key(name)
	d.read[key] = true
	value, set := d.values[key]
	if !set {
		d.Problem(name, "is required; run: pulumi config set %s <value>", key)
	}
	return value
}

// Optional is text for keys of other namespaces, for which Pulumi.yaml cannot give a default.
func (d *Decoder) Optional(name string) string { return d.values[d.Key(name)] }

// Integer returns the value of a key that is a whole number.
func (d *Decoder) Integer(name string) int {
	n, err := strconv.Atoi(d.Text(name))
	if errors.Is(err, strconv.ErrRange) {
		d.Mistyped(name, "a whole number of fewer digits")
	} else if err != nil {
		d.Mistyped(name, "a whole number")
	}
	return n
}

// decimalForm is what people write: no exponent, no NaN, no hexadecimal digits, all of which ParseFloat takes.
var decimalForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// Decimal returns the value of a key that is a number with or without a fraction.
func (d *Decoder) Decimal(name string) float64 {
	text := d.Text(name)
	if !decimalForm.MatchString(text) {
		d.Mistyped(name, "a number such as 99.9")
		return 0
	}
	n, _ := strconv.ParseFloat(text, 64) // takes all of that form
	return n
}

// Boolean returns the value of a key that is true or false.
func (d *Decoder) Boolean(name string) bool {
	text := d.Text(name)
	if text != "true" && text != "false" {
		d.Mistyped(name, "true or false")
	}
	return text == "true"
}

// List returns the value of a key that is a list of strings.
func (d *Decoder) List(name string) []string {
	var given any
	err := json.Unmarshal([]byte(d.Text(name)), &given)
	list, ok := Strings(given)
	if err != nil || !ok {
		d.Mistyped(name, "a list of strings")
		return nil
	}
	return list
}

// Strings takes decoded JSON for a list of strings, and tells whether it is one.
func Strings(value any) ([]string, bool) {
	elements, ok := value.([]any)
	list := make([]string, len(elements))
	for i, element := range elements {
		text, isText := element.(string)
		list[i], ok = text, ok && isText
	}
	return list, ok
}

// StringMap returns the value of a key that is a map of strings to strings.
func (d *Decoder) StringMap(name string) map[string]string {
	var given map[string]any
	m := map[string]string{}
	ok := json.Unmarshal([]byte(d.Text(name)), &given) == nil && given != nil
	for key, value := range given {
		text, isText := value.(string)
		m[key], ok = text, ok && isText
	}
	if !ok {
		d.Mistyped(name, "a map of strings to strings, with numbers, true and false in quotes")
		return nil
	}
	return m
}

// AWSTags returns aws:defaultTags, which the AWS provider puts on all that it creates itself. Controllers in a cluster,
// such as that of load balancers, know nothing of them.
func (d *Decoder) AWSTags() map[string]string {
	const key = "aws:defaultTags"
	text := d.Optional(key)
	if text == "" {
		return nil
	}
	var given struct{ Tags map[string]string }
	strict := json.NewDecoder(strings.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&given); err != nil || len(given.Tags) == 0 {
		d.Mistyped(key, `an object such as {"tags": {"team": "shop"}}, with numbers, true and false in quotes`)
	}
	return given.Tags
}

// Fill reads keys into the fields of a struct: those that the table of keys has below of, in the spelling of messages
// (kmsKeyArn for KMSKeyARN). It leaves alone fields of types that no key has, and keys of other namespaces.
func (d *Decoder) Fill(of string, to any) {
	fields := reflect.ValueOf(to).Elem()
	for path, key := range d.keys {
		name, below := strings.CutPrefix(path, of+".")
		f := fields.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
		if !below || !f.IsValid() || strings.Contains(key, ":") {
			continue
		}
		switch into := f.Addr().Interface().(type) {
		case *string:
			*into = d.Text(key)
		case *int:
			*into = d.Integer(key)
		case *float64:
			*into = d.Decimal(key)
		case *bool:
			*into = d.Boolean(key)
		case *[]string:
			*into = d.List(key)
		case *map[string]string:
			*into = d.StringMap(key)
		}
	}
}

// Secret returns a value that must be encrypted in the stack file. Its content is never part of a message.
func (d *Decoder) Secret(name string) string {
	value := d.Text(name)
	if value != "" && !d.Encrypted(name) {
		d.Problem(name, "is in plain text; encrypt it: pulumi config set --secret %s", name)
	}
	return value
}

// Check adds what is wrong with arguments that were made of this configuration. The problem of the field scaling.max of
// "web" is that of the key that the table has for web.scaling.max, or else for what holds the field.
func (d *Decoder) Check(of string, problems field.ErrorList) {
	for _, p := range problems {
		d.refuse(d.keyOf(of, p.Field), p)
	}
}

// CheckKey adds what is wrong with the value of one key, in place of what a later Check would say of it.
func (d *Decoder) CheckKey(name string, problems field.ErrorList) {
	for _, p := range problems {
		d.refuse(name, p)
	}
	d.malformed[d.Key(name)] = d.malformed[d.Key(name)] || len(problems) > 0
}

func (d *Decoder) refuse(name string, p *field.Error) {
	if d.malformed[d.Key(name)] {
		return
	}
	if d.Encrypted(name) {
		p.BadValue = hidden
	}
	d.Problem(name, "%s", p.ErrorBody())
}

// indexForm is the place of an element in a list or a map.
var indexForm = regexp.MustCompile(`\[[^]]*\]`)

func (d *Decoder) keyOf(of, path string) string {
	path = strings.TrimSuffix(of+"."+indexForm.ReplaceAllString(path, ""), ".")
	for at := path; at != ""; at = at[:max(0, strings.LastIndex(at, "."))] {
		if key, known := d.keys[at]; known {
			return key
		}
	}
	return path
}

// Part decodes what only some targets use. For the others its keys are known, but nothing about them is wrong.
func Part[T any](d *Decoder, used bool, decode func() *T) *T {
	problems, malformed := len(d.problems), maps.Clone(d.malformed)
	decoded := decode()
	if used {
		return decoded
	}
	d.problems, d.malformed = d.problems[:problems], malformed
	return nil
}

// Plain is a key as one types it, or quoted where it would break up the lines of a message.
func Plain(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}

// Finish returns all problems as one error, unknown keys included: a misspelt key would otherwise do nothing, silently.
func (d *Decoder) Finish(stack string) error {
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		switch namespace, _, _ := strings.Cut(key, ":"); {
		case namespace == d.project && !d.read[key]:
			d.problems = append(d.problems, Plain(key)+": there is no such key; "+d.reference+" lists them")
		case namespace != d.project && !slices.Contains([]string{"pulumi", "aws", "docker", "kubernetes"}, namespace):
			d.problems = append(d.problems,
				Plain(key)+": there is no such namespace; this project's keys begin with "+d.project+":")
		}
	}
	if len(d.problems) == 0 {
		return nil
	}
	slices.Sort(d.problems)
	return Refusal(stack, slices.Compact(d.problems)...)
}

// Refusal is the error for a configuration with these problems, which name their keys.
func Refusal(stack string, problems ...string) error {
	return fmt.Errorf("the configuration of stack %q cannot be used; nothing was touched:\n  %s",
		stack, strings.Join(problems, "\n  "))
}
