package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want func(*settings)
	}{
		{"defaults", nil, func(*settings) {}},
		{"variables", map[string]string{"STACK": "staging", "HTTP_PORT": "9090", "FOLLOW": "1"},
			func(s *settings) { s.Stack, s.HTTPPort, s.Follow = "staging", 9090, true }},
		{"an empty variable is unset", map[string]string{"STACK": "", "WORKERS": ""}, func(*settings) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSettings(environment(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			want := settings{
				Stack: "dev", Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: registryImage,
				Component: "web",
			}
			tt.want(&want)
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseSettingsNamesEveryProblem(t *testing.T) {
	env := map[string]string{"HTTP_PORT": "70000", "STACK": "../prod", "WORKERS": "-1", "COMPONENT": "db"}
	_, err := parseSettings(environment(env))
	wantError(t, err, `HTTP_PORT="70000": want a port, 1 to 65535`, `STACK="../prod"`, `WORKERS="-1"`, `COMPONENT="db"`)
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir()) // no project here
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		args []string
		want int
		says string
	}{
		{"no command", context.Background(), nil, 2, "usage: scaleout"},
		{"help", context.Background(), []string{"help"}, 0, "usage: scaleout"},
		{"unknown command", context.Background(), []string{"upp"}, 2, "REGISTRY_PORT"},
		{"outside the project", context.Background(), []string{"up"}, 1, "no Pulumi.yaml here"},
		{"interrupted", interrupted, []string{"up"}, 130, "interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			got := run(tt.ctx, tt.args, environment(nil), &fakeRunner{t: t}, &out, &out)
			if got != tt.want || !strings.Contains(out.String(), tt.says) {
				t.Errorf("got exit code %d and %q, want %d and %q in it", got, out.String(), tt.want, tt.says)
			}
		})
	}
}
