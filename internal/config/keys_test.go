package config

import (
	"maps"
	"strings"
	"testing"
)

// Every key of the table is declared, or one of a provider.
func TestKeysOfFieldsAreDeclared(t *testing.T) {
	declared := project(t).Config
	for field, key := range keys {
		if _, known := declared[key]; !known && key != "aws:region" {
			t.Errorf("%s has the key %s, which Pulumi.yaml does not declare", field, key)
		}
	}
}

// everything are configurations that switch on all that there is, so that every check has its turn.
func everything(t testing.TB) map[string]map[string]string {
	t.Helper()
	measured := map[string]string{"installPrometheus": "true", "installGrafana": "true", "installMetricsServer": "true"}
	operator := map[string]string{"prometheusOperator": "true", "prometheusNamespace": "monitoring", "runbookUrl": "https://a.example"}
	secret := map[string]string{"secretEnvironment": `{"API_KEY":"hunter2"}`, "secretFiles": `{"/etc/app/key":"hunter2"}`}
	load := map[string]string{
		"host": "a.example.com", "hostedZoneId": "Z0123456789", "installAlbClass": "true", "albGroup": "public",
		"albAccessLogsBucket": "logs", "albAccessLogsPrefix": "a", "nodeCpuLimit": "100", "nodeMemoryLimit": "100Gi",
	}
	all := map[string]map[string]string{
		"kind":                 with(with(base(t), measured), secret),
		"kind, operator":       with(base(t), operator),
		"kind, image":          with(base(t), map[string]string{"image": finished, "imageRepository": ""}),
		"kind, fixed":          with(base(t), map[string]string{"autoscale": "false"}),
		"kind, no Ingress":     with(hidden(t), measured),
		"kind, no Redis":       alone(t),
		"Redis elsewhere":      with(elsewhere(t), map[string]string{"redisCa": authority, "redisUsername": "me"}),
		"eks":                  with(with(managed(t), load), measured),
		"eks, serverless":      with(managed(t), map[string]string{"elasticacheKind": "serverless"}),
		"eks, certificate":     https(t),
		"docker":               with(onDocker(t), secret),
		"docker, no Redis":     with(onDocker(t), map[string]string{"redis": "false", "redisPassword": ""}),
		"docker, named volume": with(onDocker(t), map[string]string{"redisVolume": "data", "image": finished}),
	}
	for name, values := range all {
		if _, err := parsed(values); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// breakages are values that fit no key of a type, but for texts that may be any.
var breakages = map[string][]string{
	"string": {"%%%", "a\nb"}, "integer": {"-1", "1000000000"}, "boolean": {"%%%"}, "array": {`["%%%"]`, "%%%"},
	"object": {`{"%%%":"%%%"}`, "%%%"},
}

// breakagesOf are those of the type that a key is declared with; a key of a provider, and a secret without a type, is a text.
func breakagesOf(t testing.TB, key string) []string {
	declared := project(t).Config[strings.TrimPrefix(key, "scaleout:")]
	if declared.Type == nil {
		return breakages["string"]
	}
	return breakages[*declared.Type]
}

// Whatever is wrong with the value of a key, each line of the message begins with a key, never with a field of an argument,
// and the key that has the value is among what the message names.
func TestEveryLineNamesAKey(t *testing.T) {
	for name, values := range everything(t) {
		for key, good := range values {
			for _, value := range breakagesOf(t, key) {
				values[key] = value
				if _, err := parsed(values); err != nil {
					namesAKey(t, err, values)
					if !strings.Contains(err.Error(), strings.TrimPrefix(key, "scaleout:")) {
						t.Errorf("%s: with %s as %q the message does not name it: %v", name, key, value, err)
					}
				}
			}
			values[key] = good
		}
	}
}

// All that can be wrong at once is a message of such lines too.
func TestEveryKeyBrokenAtOnce(t *testing.T) {
	for name, values := range everything(t) {
		for i := range 2 {
			broken := maps.Clone(values)
			for key, value := range values {
				if wrong := breakagesOf(t, key); i < len(wrong) && key != "scaleout:target" && value != "true" && value != "false" {
					broken[key] = wrong[i]
				}
			}
			_, err := parsed(broken)
			if err == nil {
				t.Errorf("%s: accepted with all that is broken", name)
				continue
			}
			namesAKey(t, err, values)
		}
	}
}
