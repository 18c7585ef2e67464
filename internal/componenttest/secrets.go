package componenttest

import (
	"fmt"
	"strings"
	"testing"

	"example.com/scaleout/offline"
)

// Hides checks that a secret shows in no input of a resource, and that at least some values are marked as secret,
// without which the check would prove little.
func Hides(t *testing.T, result *offline.Result, atLeast int, secrets ...string) {
	t.Helper()
	hidden := 0
	for _, r := range result.Resources {
		text := visible(r.Inputs, &hidden)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s %s shows %q", r.Type, r.Name, secret)
			}
		}
	}
	if hidden < atLeast {
		t.Errorf("%d values are marked as secret, want at least %d", hidden, atLeast)
	}
}

// visible is all text in a value that is not marked as secret; it counts the marks.
func visible(v any, hidden *int) string {
	var all strings.Builder
	switch v := v.(type) {
	case offline.Secret:
		*hidden++
	case []any:
		for _, x := range v {
			all.WriteString(visible(x, hidden))
		}
	case map[string]any:
		for _, x := range v {
			all.WriteString(visible(x, hidden))
		}
	default:
		fmt.Fprintln(&all, v)
	}
	return all.String()
}
