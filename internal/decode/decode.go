// Package decode reads the configuration of a stack strictly: it refuses unknown keys and malformed values and
// reports all problems in one message. Its callers interpret the keys.
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

// Decoder reads typed values from the flat strings that the engine passes to a program. It records which keys were read
// and all problems. A malformed value is never replaced by a default.
type Decoder struct {
	Renamed map[string]string // former keys to current ones, both without the project's name, for messages of Finish

	project, reference string
	keys, values       map[string]string
	secrets            []string
	read               map[string]bool
	malformed          map[string]bool // keys of invalid values: further problems would be of the zero values instead
	problems           []string
}

// New returns a Decoder for the values of a project's stack. secrets lists the encrypted keys, reference is the page
// that lists the keys, and keys maps the full paths of argument fields to configuration keys: see Check.
func New(project, reference string, values map[string]string, secrets []string, keys map[string]string) *Decoder {
	return &Decoder{
		project: project, reference: reference, values: values, secrets: secrets,
		keys: keys, read: map[string]bool{}, malformed: map[string]bool{},
	}
}

// Environment returns what the engine passes to the program: the values of all keys, and the encrypted keys. The SDK
// reads the same variables but cannot list keys, so a misspelled key would go unnoticed.
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

// Key returns the full key: name itself if it has a namespace (aws:region), else with the namespace of the project.
func (d *Decoder) Key(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return d.project + ":" + name
}

// Problem adds a problem with a key. A line end in the key, as in one that is unknown, does not end the line.
func (d *Decoder) Problem(name, format string, args ...any) {
	d.problems = append(d.problems, Plain(d.Key(name))+": "+fmt.Sprintf(format, args...))
}

// Plain returns a key as messages show it: on one line.
func Plain(key string) string { return strings.Trim(strconv.Quote(key), `"`) }

// Refuse adds a problem whose message shows the value of the key.
func (d *Decoder) Refuse(name, why string, args ...any) {
	d.Problem(name, "got %s, "+why, append([]any{d.Display(name)}, args...)...)
}

// RefuseIf calls Refuse if wrong.
func (d *Decoder) RefuseIf(wrong bool, name, why string, args ...any) {
	if wrong {
		d.Refuse(name, why, args...)
	}
}

// Encrypted reports whether a key's value is a secret, which no message shows. Any key may be encrypted.
func (d *Decoder) Encrypted(name string) bool { return slices.Contains(d.secrets, d.Key(name)) }

const hidden = "[secret]"

// Display returns the value of a key in the form for messages.
func (d *Decoder) Display(name string) string {
	switch value := d.values[d.Key(name)]; {
	case d.Encrypted(name):
		return hidden
	case strings.Contains(value, `"`): // JSON is hard to read with its quotation marks escaped
		return fmt.Sprintf("%#q", value)
	default:
		return strconv.Quote(value)
	}
}

// Malformed suppresses further problems of a key, whose value is replaced by a placeholder.
func (d *Decoder) Malformed(name string) { d.malformed[d.Key(name)] = true }

// WrongType adds the problem that a value does not have the type of its key. Text has already reported a missing value.
func (d *Decoder) WrongType(name, want string) {
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

// Optional is Text for keys of other namespaces, which have no default in Pulumi.yaml.
func (d *Decoder) Optional(name string) string { return d.values[d.Key(name)] }

// Integer returns the value of a key that is a whole number.
func (d *Decoder) Integer(name string) int {
	n, err := strconv.Atoi(d.Text(name))
	if errors.Is(err, strconv.ErrRange) {
		d.WrongType(name, "a whole number of fewer digits")
	} else if err != nil {
		d.WrongType(name, "a whole number")
	}
	return n
}

// decimalForm excludes exponents, NaN and hexadecimal digits, which ParseFloat accepts.
var decimalForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// Decimal returns the value of a key that is a number with or without a fraction.
func (d *Decoder) Decimal(name string) float64 {
	text := d.Text(name)
	if !decimalForm.MatchString(text) {
		d.WrongType(name, "a number such as 99.9")
		return 0
	}
	n, _ := strconv.ParseFloat(text, 64) // accepts every text of that form
	return n
}

// Boolean returns the value of a key that is true or false.
func (d *Decoder) Boolean(name string) bool {
	text := d.Text(name)
	if text != "true" && text != "false" {
		d.WrongType(name, "true or false")
	}
	return text == "true"
}

// List returns the value of a key that is a list of strings.
func (d *Decoder) List(name string) []string {
	var given any
	_ = json.Unmarshal([]byte(d.Text(name)), &given) // no JSON is no list either
	list, ok := Strings(given)
	if !ok {
		d.WrongType(name, "a list of strings")
	}
	return list
}

// Strings converts decoded JSON to a list of strings and reports whether it is one.
func Strings(value any) ([]string, bool) {
	elements, ok := value.([]any)
	list := make([]string, len(elements))
	for i, element := range elements {
		if list[i], ok = element.(string); !ok {
			return nil, false
		}
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
		d.WrongType(name, "a map of strings to strings, with numbers, true and false in quotes")
		return nil
	}
	return m
}

// AWSTags returns aws:defaultTags, which the AWS provider adds to all resources that it creates. Controllers in a
// cluster, such as the one for load balancers, do not add them.
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
		d.WrongType(key, `an object such as {"tags": {"team": "shop"}}, with numbers, true and false in quotes`)
	}
	return given.Tags
}

// Fill sets the fields of a struct from their keys: for each path below of in the table of keys, the field of that
// name, ignoring case (kmsKeyArn for KMSKeyARN). It skips keys of other namespaces and fields of other types.
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

// Secret returns a value that must be encrypted in the stack file. Messages never contain it.
func (d *Decoder) Secret(name string) string {
	value := d.Text(name)
	if value != "" && !d.Encrypted(name) {
		d.Problem(name, "is in plain text; encrypt it: pulumi config set --secret %s", name)
	}
	return value
}

// Check adds the problems of the value of a key, or of arguments that were built from several. A problem of the field
// scaling.max of "web" is reported under the key for web.scaling.max in the table, or else for the nearest enclosing
// field, or else under "web". Later problems of the same keys have the same cause and are suppressed.
func (d *Decoder) Check(of string, problems field.ErrorList) {
	known := maps.Clone(d.malformed)
	for _, p := range problems {
		name := d.keyOf(of, p.Field)
		if known[d.Key(name)] {
			continue
		}
		if d.Encrypted(name) {
			p.BadValue = hidden
		}
		d.Problem(name, "%s", p.ErrorBody())
		d.Malformed(name)
	}
}

// indexForm matches the index of an element in a list or a map.
var indexForm = regexp.MustCompile(`\[[^]]*\]`)

func (d *Decoder) keyOf(of, path string) string {
	path = of + "." + indexForm.ReplaceAllString(path, "")
	for at := path; at != ""; at = at[:max(0, strings.LastIndex(at, "."))] {
		if key, known := d.keys[at]; known {
			return key
		}
	}
	return of
}

// Part decodes the keys of some targets. For other targets they count as known keys, and their problems are dropped.
func Part[T any](d *Decoder, used bool, decode func() *T) *T {
	problems, malformed := len(d.problems), maps.Clone(d.malformed)
	decoded := decode()
	if used {
		return decoded
	}
	d.problems, d.malformed = d.problems[:problems], malformed
	return nil
}

// Finish returns all problems as one error, including unknown keys: misspelled, they would silently do nothing.
func (d *Decoder) Finish(stack string) error {
	for key := range d.values {
		namespace, name, _ := strings.Cut(key, ":")
		switch current, renamed := d.Renamed[name]; {
		case slices.Contains([]string{"pulumi", "aws", "docker", "kubernetes", "policy"}, namespace) || d.read[key]:
		case namespace != d.project:
			d.Problem(key, "there is no such namespace; this project's keys begin with %s:", d.project)
		case renamed:
			d.Problem(key, "is now %s", d.Key(current))
		default:
			d.Problem(key, "there is no such key; %s lists them", d.reference)
		}
	}
	if len(d.problems) == 0 {
		return nil
	}
	slices.Sort(d.problems)
	return Refusal(stack, slices.Compact(d.problems)...)
}

// Refusal returns the error for a configuration with these problems, each of which names its key.
func Refusal(stack string, problems ...string) error {
	return fmt.Errorf("the configuration of stack %q cannot be used; nothing was touched:\n  %s",
		stack, strings.Join(problems, "\n  "))
}
