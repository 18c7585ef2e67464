package podsize

import "testing"

func container(requests, limits map[string]any) map[string]any {
	return map[string]any{"resources": map[string]any{"requests": requests, "limits": limits}}
}

func TestOf(t *testing.T) {
	cpu := func(quantity any) map[string]any { return map[string]any{"cpu": quantity} }
	sidecar := container(cpu("50m"), nil)
	sidecar["restartPolicy"] = "Always"
	for _, test := range []struct {
		name                   string
		initContainers, others []any
		wantRequest, wantLimit string
	}{
		{"one container", nil, []any{container(cpu("100m"), cpu("1"))}, "100m", "1"},
		{"two containers", nil, []any{container(cpu("100m"), cpu("1")), container(cpu("0.9"), cpu("1"))}, "1", "2"},
		{"a limit is the request where none is given", nil, []any{container(nil, cpu("300m"))}, "300m", "300m"},
		{"one of two has no limit", nil, []any{container(cpu("1"), cpu("1")), container(cpu("1"), nil)}, "2", "none"},
		{"no resources", nil, []any{map[string]any{}}, "0", "none"},
		{"a number", nil, []any{container(cpu(int64(2)), cpu(1.5))}, "2", "1500m"},
		{"an init container counts if it is larger", []any{container(cpu("2"), cpu("2"))},
			[]any{container(cpu("1"), cpu("1"))}, "2", "2"},
		{"a smaller init container does not", []any{container(cpu("500m"), cpu("1"))},
			[]any{container(cpu("1"), cpu("1"))}, "1", "1"},
		{"a sidecar runs beside the others", []any{sidecar}, []any{container(cpu("100m"), cpu("1"))}, "150m", "none"},
		{"unknown", nil, []any{container(cpu("[unknown]"), cpu("1"))}, "[unknown]", "1"},
		{"unknown in part", nil, []any{container(cpu("[unknown]"), nil), container(cpu("1"), nil)}, "1 + [unknown]", "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := map[string]any{"initContainers": test.initContainers, "containers": test.others}
			if got := (Measure{"requests", "cpu"}).Of(spec).String(); got != test.wantRequest {
				t.Errorf("request: got %s, want %s", got, test.wantRequest)
			}
			if got := (Measure{"limits", "cpu"}).Of(spec).String(); got != test.wantLimit {
				t.Errorf("limit: got %s, want %s", got, test.wantLimit)
			}
		})
	}
}
