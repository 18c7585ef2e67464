package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Run runs a program for a stack and returns the registered resources. dir contains Pulumi.<stack>.yaml; Pulumi.yaml
// is in dir or a parent folder. Relative paths in the program itself refer to the working directory. set overrides
// settings of the stack file, as key=value.
//
// A placeholder replaces a secret that is encrypted, or required and not set; no part of the result depends on it. A
// secret with an empty default counts as required if the program fails without it and its error names the key.
//
// The configuration is passed in the environment of the process, so concurrent calls of Run wait for each other.
func Run(program pulumi.RunFunc, dir, stack string, set ...string) (*Result, error) {
	s, err := load(dir, stack, set)
	if err != nil {
		return nil, err
	}
	result, err := s.run(program, dir, firstPlaceholder)
	for err != nil && s.requireNamed(err) {
		result, err = s.run(program, dir, firstPlaceholder)
	}
	if err != nil {
		return nil, err
	}
	if len(s.values.SecureKeys()) > 0 {
		other, err := s.run(program, dir, secondPlaceholder)
		if err != nil {
			return nil, err
		}
		result.redactDifferences(other)
	}
	result.MissingSecrets = slices.Sorted(slices.Values(s.missing))
	return result, nil
}

// Record runs a program without any configuration, as project scaleout and stack test: for tests of components.
// Resources and function calls of the packages withoutDefault, e.g. aws, require an explicit provider.
func Record(program pulumi.RunFunc, withoutDefault ...string) (*Result, error) {
	r := &recorder{project: "scaleout", stack: "test", secret: firstPlaceholder, noDefaultProvider: withoutDefault}
	return r.run(program, func(info *pulumi.RunInfo) { info.Config, info.ConfigSecretKeys = nil, nil })
}

// runs serializes runs, which share the environment.
var runs sync.Mutex

// run runs the program once, with p in place of all secrets.
func (s *settings) run(program pulumi.RunFunc, dir string, p placeholder) (*Result, error) {
	runs.Lock()
	defer runs.Unlock()
	for name, value := range s.environment(p) {
		old, had := os.LookupEnv(name)
		_ = os.Setenv(name, value) // cannot fail: JSON contains no NUL
		defer func() {
			if _ = os.Unsetenv(name); had {
				_ = os.Setenv(name, old)
			}
		}()
	}
	r := &recorder{project: s.project.Name.String(), stack: s.stack, secret: p}
	// Like the engine, this ignores an invalid list.
	disabled, _ := s.values[config.MustMakeKey("pulumi", "disable-default-providers")].Value(p)
	_ = json.Unmarshal([]byte(disabled), &r.noDefaultProvider)
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the project: %w", err)
	}
	return r.run(program, func(info *pulumi.RunInfo) { info.RootDirectory = root })
}

// run runs the program to its end and collects the stack's outputs.
func (r *recorder) run(program pulumi.RunFunc, option pulumi.RunOption) (*Result, error) {
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		exports := pulumi.Map(ctx.GetCurrentExportMap())
		return ctx.RegisterResource(exportsType, "exports", exports, &pulumi.ResourceState{})
	}, pulumi.WithMocks(r.project, r.stack, r), option, func(info *pulumi.RunInfo) { info.DryRun = true })
	if err != nil {
		return nil, flatten(err)
	}
	return r.result()
}

// requireNamed marks the optional secrets that an error names as required, and reports whether there are any.
func (s *settings) requireNamed(err error) bool {
	optional := len(s.optional)
	s.optional = slices.DeleteFunc(s.optional, func(key config.Key) bool {
		named := regexp.MustCompile(`\b` + regexp.QuoteMeta(key.Name()) + `\b`).MatchString(err.Error())
		if named {
			s.require(key)
		}
		return named
	})
	return len(s.optional) < optional
}

// flatten converts the SDK's error list ("1 error occurred:", bullets) to lines without duplicates.
func flatten(err error) error {
	var many interface{ WrappedErrors() []error }
	if !errors.As(err, &many) {
		return err
	}
	var lines []string
	for _, e := range many.WrappedErrors() {
		lines = append(lines, flatten(e).Error())
	}
	return inLines(lines)
}

// inLines returns an error with the given problems, sorted and without duplicates, or nil if there are none.
func inLines(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(slices.Compact(problems), "\n"))
}
