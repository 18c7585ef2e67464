package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// decoder reads typed values from the flat strings that the engine hands to a program, and remembers which keys were
// read and everything that is wrong. A malformed value is never replaced by a default.
type decoder struct {
	project  string
	values   map[string]string
	secrets  []string
	read     map[string]bool
	problems []string
}

func newDecoder(project string, values map[string]string, secrets []string) *decoder {
	return &decoder{project: project, values: values, secrets: secrets, read: map[string]bool{}}
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
	text := d.text(name)
	n, err := strconv.Atoi(text)
	if err != nil && d.has(name) {
		d.problem(name, "got %q, want a whole number", text)
	}
	return n
}

func (d *decoder) boolean(name string) bool {
	text := d.text(name)
	if text != "true" && text != "false" && d.has(name) {
		d.problem(name, "got %q, want true or false", text)
	}
	return text == "true"
}

func (d *decoder) list(name string) []string {
	var list []string
	d.object(name, "a list of strings", &list)
	return list
}

func (d *decoder) stringMap(name string) map[string]string {
	var m map[string]string
	d.object(name, "a map of strings to strings", &m)
	return m
}

func (d *decoder) object(name, want string, into any) {
	text := d.text(name)
	if err := json.Unmarshal([]byte(text), into); err != nil && d.has(name) {
		d.problem(name, "got %s, want %s", text, want)
	}
}

// secret returns a value that must be encrypted in the stack file. Its content is never part of a message.
func (d *decoder) secret(name string) string {
	value := d.text(name)
	if value != "" && !slices.Contains(d.secrets, d.key(name)) {
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

// providerNamespaces are those of the engine and of the providers that the program uses.
var providerNamespaces = []string{"pulumi", "aws", "docker", "kubernetes"}

// finish returns all problems as one error, unknown keys included: a misspelt key would otherwise do nothing, silently.
func (d *decoder) finish(stack string) error {
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		switch namespace, _, _ := strings.Cut(key, ":"); {
		case namespace == d.project && !d.read[key]:
			d.problems = append(d.problems, key+": there is no such key; docs/configuration.md lists them")
		case namespace != d.project && !slices.Contains(providerNamespaces, namespace):
			d.problems = append(d.problems, key+": there is no such namespace; this project's keys begin with "+d.project+":")
		}
	}
	if len(d.problems) == 0 {
		return nil
	}
	slices.Sort(d.problems)
	lines := strings.Join(slices.Compact(d.problems), "\n  ")
	return fmt.Errorf("the configuration of stack %q cannot be used; nothing was touched:\n  %s", stack, lines)
}
