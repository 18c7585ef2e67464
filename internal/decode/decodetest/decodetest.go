// Package decodetest contains helpers for tests of configuration decoders.
package decodetest

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Defaults returns the defaults of a project in the form in which the engine passes them to a program.
func Defaults(t testing.TB, project *workspace.Project) map[string]string {
	t.Helper()
	values := map[string]string{}
	for name, declared := range project.Config {
		if declared.Default == nil {
			continue
		}
		value, isText := declared.Default.(string)
		if !isText {
			encoded, err := json.Marshal(declared.Default)
			if err != nil {
				t.Fatal(err)
			}
			value = string(encoded)
		}
		values[string(project.Name)+":"+name] = value
	}
	return values
}
