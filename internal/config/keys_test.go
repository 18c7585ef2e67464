package config

import (
	"maps"
	"strings"
	"testing"
)

// Every key of the table is declared, or is one of a provider.
func TestKeysOfFieldsAreDeclared(t *testing.T) {
	declared := project(t).Config
	for field, key := range keys {
		if _, known := declared[key]; !known && key != "aws:region" {
			t.Errorf("%s has the key %s, which Pulumi.yaml does not declare", field, key)
		}
	}
}

// A former key is refused with the name of the current one, which is declared.
func TestRenamedKeys(t *testing.T) {
	declared := project(t).Config
	for former, current := range map[string]string{
		"clientCidrs": "loadBalancerCidrs", "elasticacheClients": "elasticacheSecurityGroups",
		"installAlbClass": "installAlbIngressClass",
	} {
		_, err := parsed(with(base(t), map[string]string{former: "[]"}))
		want := "\n  scaleout:" + former + ": is now scaleout:" + current
		if _, known := declared[current]; !known || err == nil || !strings.HasSuffix(err.Error(), want) ||
			strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("got %v, want only %q, which Pulumi.yaml declares: %t", err, want, known)
		}
	}
}

// everything returns configurations that together enable all features, so that every check runs.
func everything(t testing.TB) map[string]map[string]string {
	t.Helper()
	measured := map[string]string{"installPrometheus": "true", "installGrafana": "true", "installMetricsServer": "true"}
	operator := map[string]string{
		"prometheusOperator": "true", "prometheusNamespace": "monitoring", "runbookUrl": "https://a.example",
	}
	secret := map[string]string{"secretEnvironment": `{"API_KEY":"hunter2"}`, "secretFiles": `{"/etc/app/key":"hunter2"}`}
	load := map[string]string{
		"host": "a.example.com", "hostedZoneId": "Z0123456789", "installAlbIngressClass": "true", "albGroup": "public",
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

// breakages holds values that are invalid for keys of a type, except for strings that may be arbitrary.
var breakages = map[string][]string{
	"string": {"%%%", "a\nb"}, "integer": {"-1", "1000000000"}, "boolean": {"%%%"}, "array": {`["%%%"]`, "%%%"},
	"object": {`{"%%%":"%%%"}`, "%%%"},
}

// breakagesOf returns the breakages of a key's declared type; keys of a provider and untyped secrets are strings.
func breakagesOf(t testing.TB, key string) []string {
	declared := project(t).Config[strings.TrimPrefix(key, "scaleout:")]
	if declared.Type == nil {
		return breakages["string"]
	}
	return breakages[*declared.Type]
}

// For any invalid value, each line of the message begins with a key, never with an argument field, and the message
// names the key of the value.
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

// The same holds if all keys are invalid at once.
func TestEveryKeyBrokenAtOnce(t *testing.T) {
	for name, values := range everything(t) {
		for i := range 2 {
			broken := maps.Clone(values)
			for key, value := range values {
				wrong := breakagesOf(t, key)
				if i < len(wrong) && key != "scaleout:target" && value != "true" && value != "false" {
					broken[key] = wrong[i]
				}
			}
			_, err := parsed(broken)
			if err == nil {
				t.Errorf("%s: accepted although all keys are invalid", name)
				continue
			}
			namesAKey(t, err, values)
		}
	}
}
