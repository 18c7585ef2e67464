package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
)

const projectFile = "Pulumi.yaml"

// settings are the configuration of a stack, as the CLI makes it of the project file and the stack file.
type settings struct {
	project, stack string
	values         config.Map
	// missing are the keys of secrets that have neither a value nor a default; optional of those whose default is empty.
	missing, optional []config.Key
	// assigned are the keys whose values are not from the stack file.
	assigned []config.Key
}

// load reads Pulumi.yaml and Pulumi.<stack>.yaml in dir, adds the defaults and checks the types.
func load(dir, stack string, set []string) (*settings, error) {
	project, err := workspace.LoadProject(filepath.Join(dir, projectFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s in %s", projectFile, dir)
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", projectFile, flatten(err))
	}
	values, err := loadStack(dir, stack, project)
	if err != nil {
		return nil, err
	}
	s := &settings{project: project.Name.String(), stack: stack, values: values}
	for _, assignment := range set {
		if err := s.set(project, assignment); err != nil {
			return nil, err
		}
	}
	return s, s.complete(project)
}

// set takes key=value in place of what the stack file has. Only lists and maps are YAML; anything else is meant as it is
// written, since YAML would make a number of 1.36 and 24 of 030.
func (s *settings) set(project *workspace.Project, assignment string) error {
	name, text, ok := strings.Cut(assignment, "=")
	key, err := s.key(name)
	if !ok || err != nil {
		return fmt.Errorf("cannot set %q: want key=value, such as maxReplicas=30", assignment)
	}
	converted := config.NewValue(text)
	declared, known := project.Config[strings.TrimPrefix(name, s.project+":")]
	if declared.Secret {
		return fmt.Errorf("cannot set %s: it is a secret, and what is typed here is not", name)
	}
	structured := !known && strings.IndexAny(text, "[{") == 0 // of a provider, whose types nobody declares
	if declared.Type != nil {
		structured = *declared.Type == "array" || *declared.Type == "object"
	}
	if structured {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil {
			return fmt.Errorf("cannot set %s to %q: want a list such as [a,b], or a map such as {a: b}", name, text)
		}
		if converted, err = configValue(value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	if s.values == nil {
		s.values = config.Map{}
	}
	s.assigned = append(s.assigned, key)
	return s.values.Set(key, converted, false)
}

// origin is where the value of a key is from, for messages.
func (s *settings) origin(key config.Key) string {
	if slices.Contains(s.assigned, key) {
		return "-set"
	}
	return stackFile(s.stack)
}

// loadStack reads a stack file more strictly than the CLI, which ignores keys that it does not know.
func loadStack(dir, stack string, project *workspace.Project) (config.Map, error) {
	name := stackFile(stack)
	content, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, noStack(dir, stack)
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if err := checkStackFile(content); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, oneLine(err))
	}
	file, err := workspace.LoadProjectStackBytes(nil, project, content, name, encoding.YAML)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, oneLine(err))
	}
	return file.Config, nil
}

// checkStackFile finds the slips that would change the meaning of a stack file without an error.
func checkStackFile(content []byte) error {
	var file map[string]any
	if err := yaml.Unmarshal(content, &file); err != nil {
		return err
	}
	known := []string{"config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"}
	for _, key := range sortedKeys(file) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("unknown key %q; a stack file has %s", key, strings.Join(known, ", "))
		}
	}
	if _, ok := file["config"].(map[string]any); !ok && file["config"] != nil {
		return errors.New("config must be a map of keys to values")
	}
	if file["environment"] != nil {
		return errors.New("environment: what it holds is in Pulumi Cloud and cannot be read offline")
	}
	return nil
}

// noStack names the stacks that there are.
func noStack(dir, stack string) error {
	if stack == "" {
		return fmt.Errorf("no stack given; %s", known(dir))
	}
	return fmt.Errorf("there is no stack %q: no file %s; %s", stack, stackFile(stack), known(dir))
}

// known ends a sentence that asks for a stack.
func known(dir string) string {
	stacks := stacksIn(dir)
	if len(stacks) == 0 {
		return "there are no stack files"
	}
	return "the stacks are " + strings.Join(stacks, ", ")
}

// stackFile is where the CLI keeps the configuration of a stack.
func stackFile(stack string) string { return "Pulumi." + stack + ".yaml" }

// stacksIn lists the stacks that have a file in dir.
func stacksIn(dir string) []string {
	var stacks []string
	files, _ := filepath.Glob(filepath.Join(dir, stackFile("*"))) // fails only for a bad pattern
	for _, file := range files {
		stacks = append(stacks, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml"))
	}
	return stacks
}

// placeholder stands in for a secret that cannot be decrypted, or is not set. It is long enough for a password.
type placeholder string

// Two of them, so that what depends on a secret shows as a difference between two runs.
const (
	firstPlaceholder  placeholder = "offline-placeholder-1"
	secondPlaceholder placeholder = "offline-placeholder-2"
)

// environment is what the CLI's language host sets for a program, with p in place of the secrets that cannot be known.
// required are the optional secrets that the program turned out to need.
func (s *settings) environment(p placeholder, required []config.Key) (map[string]string, error) {
	decrypted, err := s.values.Decrypt(p)
	if err != nil {
		return nil, fmt.Errorf("reading the secrets of %s: %w", stackFile(s.stack), err)
	}
	values := map[string]string{}
	for key, value := range decrypted {
		values[key.String()] = value
	}
	secrets := []string{}
	for _, key := range s.values.SecureKeys() {
		secrets = append(secrets, key.String())
	}
	for _, key := range slices.Concat(s.missing, required) {
		values[key.String()] = string(p)
		secrets = append(secrets, key.String())
	}
	slices.Sort(secrets)

	valuesJSON, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	secretsJSON, err := json.Marshal(secrets)
	return map[string]string{pulumi.EnvConfig: string(valuesJSON), pulumi.EnvConfigSecretKeys: string(secretsJSON)}, err
}
