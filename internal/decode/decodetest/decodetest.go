// Package decodetest helps to test what reads a configuration.
package decodetest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Defaults are those of a project, as the engine hands them over.
func Defaults(t testing.TB, project *workspace.Project) map[string]string {
	t.Helper()
	values := map[string]string{}
	for name, declared := range project.Config {
		key := string(project.Name) + ":" + name
		switch value := declared.Default.(type) {
		case nil:
		case string, bool, int:
			values[key] = fmt.Sprint(value)
		default:
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			values[key] = string(text)
		}
	}
	return values
}
