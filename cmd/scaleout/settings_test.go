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
		args []string
		env  map[string]string
		want func(*settings)
	}{
		{"defaults", nil, nil, func(*settings) {}},
		{"variables", nil, map[string]string{"STACK": "staging", "HTTP_PORT": "9090", "FOLLOW": "1"},
			func(s *settings) { s.Stack, s.HTTPPort, s.Follow = "staging", 9090, true }},
		{"an empty variable is unset", nil, map[string]string{"STACK": "", "WORKERS": ""}, func(*settings) {}},
		{"a flag wins", []string{"-stack", "prod"}, map[string]string{"STACK": "dev"},
			func(s *settings) { s.Stack = "prod" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSettings(tt.args, func(k string) string { return tt.env[k] })
			if err != nil {
				t.Fatal(err)
			}
			want := settings{
				Stack: "dev", Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: "registry:3",
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
	_, err := parseSettings([]string{"extra"}, func(k string) string { return env[k] })
	wantError(t, err, `HTTP_PORT="70000": want a port`, `STACK="../prod"`, `WORKERS="-1"`, `COMPONENT="db"`, `"extra"`)
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
		{"no command", context.Background(), nil, exitUsage, "usage: scaleout"},
		{"help", context.Background(), []string{"help"}, 0, "usage: scaleout"},
		{"help of a command", context.Background(), []string{"up", "-h"}, 0, "REGISTRY_PORT"},
		{"unknown command", context.Background(), []string{"upp"}, exitUsage, `unknown command "upp"`},
		{"bad flag", context.Background(), []string{"up", "-workers", "x"}, exitUsage, "want a whole number"},
		{"outside the project", context.Background(), []string{"up"}, exitFailure, "no Pulumi.yaml here"},
		{"interrupted", interrupted, []string{"up"}, exitInterrupted, "interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			got := run(tt.ctx, tt.args, func(string) string { return "" }, &fakeRunner{t: t}, &out, &out)
			if got != tt.want || !strings.Contains(out.String(), tt.says) {
				t.Errorf("got exit code %d and %q, want %d and %q in it", got, out.String(), tt.want, tt.says)
			}
		})
	}
}
