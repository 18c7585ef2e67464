package main

import (
	"errors"
	"fmt"
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

// stackFile reads the keys and the waivers of a stack file. Its error lists everything that is wrong with the waivers.
func stackFile(content []byte, ids []string, today time.Time) (config map[string]any, waivers []*Waiver, err error) {
	var file struct{ Config map[string]yaml.Node }
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, nil, fmt.Errorf("the stack file: %w", err)
	}
	config = map[string]any{}
	for key, node := range file.Config {
		var value any
		err := node.Decode(&value)
		if strings.HasPrefix(key, "policy:") && key != "policy:waivers" {
			return nil, nil, fmt.Errorf("%s in the stack file: there is no such key; waivers are in policy:waivers", key)
		}
		if key == "policy:waivers" {
			err = errors.Join(node.Decode(&waivers), onlyFields(node, "rule", "object", "reason", "until"))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s in the stack file: %w", key, err)
		}
		config[key] = value
	}
	var problems []error
	for i, w := range waivers {
		if w == nil {
			problems = append(problems, fmt.Errorf("policy:waivers[%d] is empty", i))
			continue
		}
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("policy:waivers[%d]: "+format, append([]any{i}, args...)...))
		}
		if !slices.Contains(ids, w.Rule) {
			problem("there is no rule %q; the rules are %s", w.Rule, strings.Join(ids, ", "))
		}
		if w.Object == "" || w.Reason == "" {
			problem("object and reason are required; an object is what the finding names, e.g. \"Deployment shop/web\"")
		}
		switch until, err := time.Parse(time.DateOnly, w.Until); {
		case err != nil:
			problem("until is %q, but must be the last day, e.g. \"2027-06-30\"", w.Until)
		case until.AddDate(0, 0, 1).Before(today):
			problem("the waiver of %s for %s expired on %s: fix it, or prolong it with a new reason", w.Rule, w.Object, w.Until)
		}
	}
	return config, waivers, errors.Join(problems...)
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
