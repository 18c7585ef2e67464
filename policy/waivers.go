package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Waiver excepts an object from a rule for some time. It is an element of the list policy:waivers in a stack file.
type Waiver struct {
	Rule, Object string
	Reason       string
	Until        string // the last day, e.g. 2027-06-30
	used         bool
}

// stackFile reads the keys and the valid waivers of a stack file. Its error lists everything that is wrong with the
// others. The config is nil if the file is no stack file.
func stackFile(content []byte, ids []string, today time.Time) (config map[string]any, valid []*Waiver, err error) {
	var file struct{ Config map[string]yaml.Node }
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, nil, fmt.Errorf("the stack file: %w", err)
	}
	config = map[string]any{}
	var waivers []*Waiver
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(file.Config)) {
		node, value := file.Config[key], any(nil)
		err := node.Decode(&value)
		switch {
		case key == "policy:waivers":
			err = errors.Join(node.Decode(&waivers), onlyFields(node, "rule", "object", "reason", "until"))
		case strings.HasPrefix(key, "policy:"):
			err = errors.New("there is no such key; waivers are in policy:waivers")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s in the stack file: %w", key, err))
		}
		config[key] = value
	}
	for i, w := range waivers {
		wrong := w.problems(ids, today)
		for _, problem := range wrong {
			problems = append(problems, fmt.Errorf("policy:waivers[%d]: %s", i, problem))
		}
		if len(wrong) == 0 {
			valid = append(valid, w)
		}
	}
	return config, valid, errors.Join(problems...)
}

// problems returns everything that is wrong with a waiver.
func (w *Waiver) problems(ids []string, today time.Time) (wrong []string) {
	if w == nil {
		return []string{"is empty"}
	}
	if !slices.Contains(ids, w.Rule) {
		wrong = append(wrong, fmt.Sprintf("there is no rule %q; the rules are %s", w.Rule, strings.Join(ids, ", ")))
	}
	if w.Object == "" || w.Reason == "" {
		wrong = append(wrong, `object and reason are required; the object is that of the finding, e.g. "Deployment shop/web"`)
	}
	switch until, err := time.Parse(time.DateOnly, w.Until); {
	case err != nil:
		wrong = append(wrong, fmt.Sprintf(`until is %q, but must be the last day, e.g. "2027-06-30"`, w.Until))
	case until.AddDate(0, 0, 1).Before(today):
		wrong = append(wrong, fmt.Sprintf("the waiver of %s for %s expired on %s: fix it, or prolong it with a new reason",
			w.Rule, w.Object, w.Until))
	}
	return wrong
}

// waiverOf returns the waiver of a violation, or nil.
func waiverOf(waivers []*Waiver, rule, object string) *Waiver {
	for _, w := range waivers {
		if w.Rule == rule && w.Object == object {
			w.used = true
			return w
		}
	}
	return nil
}

// onlyFields refuses other fields in the elements of a list.
func onlyFields(list yaml.Node, fields ...string) error {
	var problems []error
	for _, element := range list.Content {
		for i := 0; element.Kind == yaml.MappingNode && i < len(element.Content); i += 2 {
			if field := element.Content[i].Value; !slices.Contains(fields, field) {
				problems = append(problems, fmt.Errorf("there is no field %q; the fields are %s", field,
					strings.Join(fields, ", ")))
			}
		}
	}
	return errors.Join(problems...)
}
