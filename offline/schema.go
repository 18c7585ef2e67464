package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// complete adds the defaults of Pulumi.yaml and checks all values against its types, as the CLI does before it runs a
// program (ValidateStackConfigAndApplyProjectConfig in its pkg/workspace, which is not part of the SDK). Two things
// differ: a missing secret is no obstacle, and one error lists everything that is wrong.
func (s *settings) complete(project *workspace.Project) error {
	var problems []error
	for _, name := range sortedKeys(project.Config) {
		declared := project.Config[name]
		key, err := s.key(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", projectFile, err)
		}
		_, given, err := s.values.Get(key, true)
		if err != nil {
			return fmt.Errorf("reading %s of %s: %w", key, stackFile(s.stack), err)
		}
		if !given {
			given, err = s.addDefault(key, declared)
		}
		if err == nil && given {
			err = s.check(key, name, declared)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// addDefault gives a key the value that the project has for it, and tells whether it has one.
func (s *settings) addDefault(key config.Key, declared workspace.ProjectConfigType) (bool, error) {
	value := declared.Value
	if declared.Default != nil {
		value = declared.Default
	}
	switch {
	case value == "" && declared.Secret:
		s.optional = append(s.optional, key)
	case value == nil && declared.Secret:
		s.missing = append(s.missing, key)
		return false, nil
	case value == nil:
		return false, fmt.Errorf("%s has no value for %s and %s no default; run: pulumi config set %s <value> --stack %s",
			stackFile(s.stack), key, projectFile, key.Name(), s.stack)
	}
	converted, err := configValue(value)
	if err != nil {
		return false, fmt.Errorf("reading the default of %s in %s: %w", key, projectFile, err)
	}
	return true, s.values.Set(key, converted, true)
}

// configValue writes a default as the CLI does (createConfigValue there): lists, maps and fractions become JSON.
func configValue(value any) (config.Value, error) {
	switch value.(type) {
	case string, int, bool:
		return config.NewValue(fmt.Sprint(value)), nil
	}
	plain, err := workspace.SimplifyMarshalledValue(value)
	if err != nil {
		return config.Value{}, err
	}
	text, err := json.Marshal(plain)
	return config.NewObjectValue(string(text)), err
}

// check compares a value with the declared type, if there is one.
func (s *settings) check(key config.Key, name string, declared workspace.ProjectConfigType) error {
	value, _, err := s.values.Get(key, true)
	if err != nil || !declared.IsExplicitlyTyped() {
		return err
	}
	if declared.Secret && !value.Secure() {
		return fmt.Errorf("%s: %s must be encrypted; run: pulumi config set --secret %s --stack %s",
			stackFile(s.stack), key, name, s.stack)
	}
	if value.Secure() && !value.Object() {
		return nil // its type cannot be told without decrypting it
	}
	text, err := value.Value(firstPlaceholder)
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", key, stackFile(s.stack), err)
	}
	var content any = text
	if value.Object() {
		if err := json.Unmarshal([]byte(text), &content); err != nil {
			return fmt.Errorf("reading %s of %s: %w", key, stackFile(s.stack), err)
		}
	}
	if !workspace.ValidateConfigValue(*declared.Type, declared.Items, content) {
		return fmt.Errorf("%s: %s must be of type %s%s", s.origin(key), key,
			workspace.InferFullTypeName(*declared.Type, declared.Items), forms[*declared.Type])
	}
	return nil
}

// forms are how to write a value of a type that has a notation of its own, none included: a key with nothing behind it is
// none of these.
var forms = map[string]string{"array": ", such as [a, b], or [] for none", "object": ", such as {a: b}, or {} for none"}

// key is a key of this project, or one that names its own namespace (aws:region).
func (s *settings) key(name string) (config.Key, error) {
	if strings.Contains(name, ":") {
		return config.ParseKey(name)
	}
	return config.MustMakeKey(s.project, name), nil
}

// list returns the strings of a list among the values, e.g. of pulumi:disable-default-providers.
func (s *settings) list(namespace, name string) []string {
	var list []string
	if value, ok := s.values[config.MustMakeKey(namespace, name)]; ok {
		if text, err := value.Value(firstPlaceholder); err == nil {
			_ = json.Unmarshal([]byte(text), &list) // anything else the engine ignores too
		}
	}
	return list
}

// DecryptValue makes placeholder a config.Decrypter.
func (p placeholder) DecryptValue(context.Context, string) (string, error) { return string(p), nil }

// BatchDecrypt makes placeholder a config.Decrypter.
func (p placeholder) BatchDecrypt(ctx context.Context, ciphertexts []string) ([]string, error) {
	return config.DefaultBatchDecrypt(ctx, p, ciphertexts)
}
