package offline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
)

const projectFile = "Pulumi.yaml"

// settings is the configuration of a stack, as the CLI builds it from the project file and the stack file.
type settings struct {
	project     *workspace.Project
	stack, file string // the names of the stack and of its configuration file
	values      config.Map
	missing     []string     // short keys of required secrets without a value
	optional    []config.Key // secrets with an empty default
	assigned    []config.Key // those that -set overrides
}

// load reads Pulumi.<stack>.yaml in dir, and Pulumi.yaml there or in a parent folder. It adds the defaults and checks
// the types. set overrides settings of the stack file, as key=value.
func load(dir, stack string, set []string) (*settings, error) {
	path, err := workspace.DetectProjectPathFrom(dir)
	if err != nil {
		return nil, fmt.Errorf("there is no %s in %s or a parent folder", projectFile, dir)
	}
	project, err := workspace.LoadProject(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", projectFile, flatten(err))
	}
	s := &settings{project: project, stack: stack, file: stackFile(stack)}
	content, err := os.ReadFile(filepath.Join(dir, s.file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no stack %q: no file %s; %s", stack, s.file, known(dir))
	} else if err == nil {
		err = s.parse(content)
	}
	if err != nil { // its lines are joined
		return nil, fmt.Errorf("reading %s: %s", s.file, strings.Join(strings.Fields(err.Error()), " "))
	}
	for _, assignment := range set {
		if err := s.set(assignment); err != nil {
			return nil, err
		}
	}
	return s, s.complete()
}

func stackFile(stack string) string { return "Pulumi." + stack + ".yaml" }

// known returns the end of a message: the stacks that have a file in dir.
func known(dir string) string {
	var stacks []string
	files, _ := filepath.Glob(filepath.Join(dir, stackFile("*"))) // fails only for a bad pattern
	for _, file := range files {
		stacks = append(stacks, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml"))
	}
	if len(stacks) == 0 {
		return "there are no stack files"
	}
	return "the stacks are " + strings.Join(stacks, ", ")
}

// parse reads a stack file. It refuses mistakes that the CLI ignores.
func (s *settings) parse(content []byte) error {
	var file map[string]any
	if err := yaml.Unmarshal(content, &file); err != nil {
		return err
	}
	keys := []string{"config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"}
	for _, key := range sortedKeys(file) {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("unknown key %q; a stack file has %s", key, strings.Join(keys, ", "))
		}
	}
	if _, ok := file["config"].(map[string]any); !ok && file["config"] != nil {
		return errors.New("config must be a map of keys to values")
	}
	if file["environment"] != nil {
		return errors.New("environment: Pulumi ESC environments cannot be read offline")
	}
	stack, err := workspace.LoadProjectStackBytes(nil, s.project, content, s.file, encoding.YAML)
	if err == nil {
		s.values = stack.Config
	}
	return err
}

// set overrides a setting of the stack file by key=value. Only lists and maps are parsed as YAML; other values are used
// literally, since YAML would turn 1.36 into a number and 030 into 24.
func (s *settings) set(assignment string) error {
	name, text, ok := strings.Cut(assignment, "=")
	key, err := s.key(name)
	if !ok || err != nil {
		return fmt.Errorf("cannot set %q: want key=value, such as maxReplicas=30", assignment)
	}
	declared, known := s.project.Config[s.short(key)]
	if declared.Secret {
		return fmt.Errorf("cannot set %s: it is a secret, which must not be on the command line", name)
	}
	converted := config.NewValue(text)
	list := !known && strings.IndexAny(text, "[{") == 0 // a key of a provider, without a declared type
	if list || declared.TypeName() == "array" || declared.TypeName() == "object" {
		if err := yaml.Unmarshal([]byte(text), &converted); err != nil || !converted.Object() {
			return fmt.Errorf("cannot set %s to %q: want a list such as [a,b], or a map such as {a: b}", name, text)
		}
	}
	s.values[key], s.assigned = converted, append(s.assigned, key)
	return nil
}

// complete adds the defaults of Pulumi.yaml and checks all values against its types, as the CLI does before it runs a
// program (ValidateStackConfigAndApplyProjectConfig in its pkg/workspace, which is not part of the SDK). Unlike the CLI
// it accepts missing secrets, and returns all problems in one error.
func (s *settings) complete() error {
	var problems []error
	for _, name := range sortedKeys(s.project.Config) {
		declared := s.project.Config[name]
		key, err := s.key(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", projectFile, err)
		}
		if _, given := s.values[key]; !given {
			problems = append(problems, s.addDefault(key, declared))
		}
		problems = append(problems, s.check(key, declared))
	}
	return errors.Join(problems...)
}

// addDefault sets a key to its default in the project.
func (s *settings) addDefault(key config.Key, declared workspace.ProjectConfigType) error {
	value := cmp.Or(declared.Default, declared.Value)
	switch {
	case value == nil && declared.Secret:
		s.require(key)
		return nil
	case value == nil:
		return fmt.Errorf("%s has no value for %s and %s no default; run: pulumi config set %s <value> --stack %s",
			s.file, key, projectFile, key.Name(), s.stack)
	case value == "" && declared.Secret:
		s.optional = append(s.optional, key)
	}
	var converted config.Value
	encoded, err := json.Marshal(value)
	if err == nil {
		err = converted.UnmarshalJSON(encoded)
	}
	s.values[key] = converted
	return err
}

// require sets a missing secret to an encrypted dummy value.
func (s *settings) require(key config.Key) {
	s.missing = append(s.missing, s.short(key))
	s.values[key] = config.NewSecureValue("not set")
}

// check compares a value with the declared type, if there is one. The type of an encrypted string is unknown.
func (s *settings) check(key config.Key, declared workspace.ProjectConfigType) error {
	value, given := s.values[key]
	if !given || !declared.IsExplicitlyTyped() {
		return nil
	}
	if declared.Secret && !value.Secure() {
		return fmt.Errorf("%s: %s must be encrypted; run: pulumi config set --secret %s --stack %s",
			s.file, key, s.short(key), s.stack)
	}
	text, _ := value.Value(firstPlaceholder) // cannot fail: nothing is decrypted
	var content any = text
	if value.Object() {
		_ = json.Unmarshal([]byte(text), &content) // which the SDK has encoded
	}
	if value.Secure() && !value.Object() || workspace.ValidateConfigValue(*declared.Type, declared.Items, content) {
		return nil
	}
	origin := s.file
	if slices.Contains(s.assigned, key) {
		origin = "-set"
	}
	return fmt.Errorf("%s: %s must be of type %s%s", origin, key,
		workspace.InferFullTypeName(*declared.Type, declared.Items), forms[*declared.Type])
}

// forms describes the notation of lists and maps, including empty ones: a key without a value is neither.
var forms = map[string]string{"array": ", such as [a, b], or [] for none", "object": ", such as {a: b}, or {} for none"}

// key returns a key of this project, or one with its own namespace (aws:region).
func (s *settings) key(name string) (config.Key, error) {
	if strings.Contains(name, ":") {
		return config.ParseKey(name)
	}
	return config.MustMakeKey(s.project.Name.String(), name), nil
}

// short returns a key without the project's own namespace.
func (s *settings) short(key config.Key) string {
	return strings.TrimPrefix(key.String(), s.project.Name.String()+":")
}

// placeholder replaces a secret that cannot be decrypted or is not set. It is long enough to pass as a password.
type placeholder string

// With two placeholders, values that depend on a secret differ between two runs.
const (
	firstPlaceholder  placeholder = "offline-placeholder-1"
	secondPlaceholder placeholder = "offline-placeholder-2"
)

// DecryptValue implements config.Decrypter.
func (p placeholder) DecryptValue(context.Context, string) (string, error) { return string(p), nil }

// BatchDecrypt implements config.Decrypter.
func (p placeholder) BatchDecrypt(ctx context.Context, ciphertexts []string) ([]string, error) {
	return config.DefaultBatchDecrypt(ctx, p, ciphertexts)
}

// environment returns the variables that the CLI's language host sets for a program, with p in place of the secrets.
func (s *settings) environment(p placeholder) map[string]string {
	decrypted, _ := s.values.Decrypt(p) // cannot fail: no secret is decrypted
	values, secrets := map[string]string{}, config.KeyArray(s.values.SecureKeys())
	for key, value := range decrypted {
		values[key.String()] = value
	}
	sort.Sort(secrets)
	valuesJSON, _ := json.Marshal(values) // texts can always be encoded
	secretsJSON, _ := json.Marshal(secrets)
	return map[string]string{pulumi.EnvConfig: string(valuesJSON), pulumi.EnvConfigSecretKeys: string(secretsJSON)}
}
