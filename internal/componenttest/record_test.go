package componenttest

import "testing"

// Each rule of the check detects a violation.
func TestUnrestrictedFindsWhatIsWrong(t *testing.T) {
	bad := map[string]any{"spec": map[string]any{
		"hostNetwork": true,
		"containers":  []any{map[string]any{"ports": []any{map[string]any{"hostPort": int64(80)}}}},
		"volumes": []any{
			map[string]any{"hostPath": map[string]any{"path": "/"}}, map[string]any{"emptyDir": map[string]any{}},
		},
	}}
	if got := Unrestricted(bad); len(got) != 12 {
		t.Errorf("got %d problems, want 12: %v", len(got), got)
	}
}
