package offline

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Run runs a program for a stack and returns what it registers. dir holds Pulumi.yaml and Pulumi.<stack>.yaml; relative
// paths in the program itself refer to the working directory.
//
// A secret that is encrypted, or needed and not set, is no obstacle: a placeholder takes its place, and no part of the
// result depends on the placeholder. A secret with an empty default counts as needed if the program fails without it
// and its error names the key.
//
// set are settings in place of those in the stack file, as key=value.
//
// The configuration is passed in the environment of the process, so only one Run goes on at a time.
func Run(program pulumi.RunFunc, dir, stack string, set ...string) (*Result, error) {
	s, err := load(dir, stack, set)
	if err != nil {
		return nil, err
	}
	var required []config.Key
	result, err := s.run(program, dir, firstPlaceholder, required)
	for err != nil {
		named := s.namedIn(err, required)
		if len(named) == 0 {
			return nil, err
		}
		required = append(required, named...)
		result, err = s.run(program, dir, firstPlaceholder, required)
	}
	if len(required)+len(s.missing)+len(s.values.SecureKeys()) > 0 {
		other, err := s.run(program, dir, secondPlaceholder, required)
		if err != nil {
			return nil, err
		}
		result.blind(other)
	}
	for _, key := range slices.Concat(s.missing, required) {
		result.MissingSecrets = append(result.MissingSecrets, s.short(key))
	}
	slices.Sort(result.MissingSecrets)
	return result, nil
}

// Record runs a program without any configuration, as project scaleout and stack test: for tests of components.
func Record(program pulumi.RunFunc) (*Result, error) {
	r := &recorder{project: "scaleout", stack: "test", secret: firstPlaceholder}
	return r.run(program, func(info *pulumi.RunInfo) { info.Config, info.ConfigSecretKeys = nil, nil })
}

// runs keeps the environments of two runs apart.
var runs sync.Mutex

// run runs the program once, with p for all secrets that cannot be known.
func (s *settings) run(program pulumi.RunFunc, dir string, p placeholder, required []config.Key) (*Result, error) {
	environment, err := s.environment(p, required)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the project: %w", err)
	}
	runs.Lock()
	defer runs.Unlock()
	for name, value := range environment {
		restore, err := setenv(name, value)
		if err != nil {
			return nil, err
		}
		defer restore()
	}
	r := &recorder{
		project: s.project, stack: s.stack, secret: p, noDefaultProvider: s.list("pulumi", "disable-default-providers"),
	}
	return r.run(program, func(info *pulumi.RunInfo) { info.RootDirectory = root })
}

// run runs the program to its end and collects the stack's outputs.
func (r *recorder) run(program pulumi.RunFunc, option pulumi.RunOption) (*Result, error) {
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		exports := pulumi.Map{}
		maps.Copy(exports, ctx.GetCurrentExportMap())
		return ctx.RegisterResource(exportsType, "exports", exports, &pulumi.ResourceState{})
	}, pulumi.WithMocks(r.project, r.stack, r), option, func(info *pulumi.RunInfo) { info.DryRun = true })
	if err != nil {
		return nil, flatten(err)
	}
	return r.result()
}

// setenv sets a variable of the environment until restore is called.
func setenv(name, value string) (restore func(), err error) {
	old, had := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		return nil, fmt.Errorf("passing the configuration: %w", err)
	}
	return func() {
		if had {
			_ = os.Setenv(name, old) // it worked a moment ago
		} else {
			_ = os.Unsetenv(name)
		}
	}, nil
}

// namedIn returns the optional secrets that an error of the program names and that are not among those already found.
func (s *settings) namedIn(err error, found []config.Key) []config.Key {
	var named []config.Key
	for _, key := range s.optional {
		word := regexp.MustCompile(`\b` + regexp.QuoteMeta(key.Name()) + `\b`)
		if !slices.Contains(found, key) && word.MatchString(err.Error()) {
			named = append(named, key)
		}
	}
	return named
}

// short leaves out the project's own namespace, as one types it.
func (s *settings) short(key config.Key) string {
	return strings.TrimPrefix(key.String(), s.project+":")
}

// flatten takes the SDK's errors out of their list form ("1 error occurred:", bullets), each said once.
func flatten(err error) error {
	var many interface{ WrappedErrors() []error }
	if !errors.As(err, &many) {
		return err
	}
	var lines []string
	for _, e := range many.WrappedErrors() {
		lines = append(lines, flatten(e).Error())
	}
	slices.Sort(lines)
	return errors.New(strings.Join(slices.Compact(lines), "\n"))
}

// oneLine joins the lines of a YAML error.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
