package offline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestLoadPassesWhatTheCLIPasses(t *testing.T) {
	stack := `config:
  demo:title: Hello
  debug: true
  demo:replicas: 3
  demo:labels: {team: web, nested: {a: 1}}
  demo:hosts: [a.example]
  demo:token:
    secure: v1:AAAA:BBBB
  aws:region: eu-central-1
`
	s, err := load(project(t, map[string]string{"dev": stack}), "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	environment := s.environment("hidden")
	var values map[string]string
	if err := json.Unmarshal([]byte(environment["PULUMI_CONFIG"]), &values); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"demo:title": "Hello", "demo:debug": "true", "demo:replicas": "3", "demo:hosts": `["a.example"]`,
		"demo:labels": `{"nested":{"a":1},"team":"web"}`, "demo:password": "", "demo:token": "hidden", "demo:key": "hidden",
		"aws:region": "eu-central-1",
	}
	if !reflect.DeepEqual(values, want) {
		t.Errorf("values: got %v\nwant %v", values, want)
	}
	if got, want := environment["PULUMI_CONFIG_SECRET_KEYS"], `["demo:key","demo:token"]`; got != want {
		t.Errorf("secret keys: got %s, want %s", got, want)
	}
}

func TestDefaults(t *testing.T) {
	s, err := load(project(t, map[string]string{"dev": "config: {demo:title: x}\n"}), "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	environment := s.environment("hidden")
	for _, want := range []string{
		`"demo:replicas":"2"`, `"demo:debug":"false"`, `"demo:hosts":"[]"`, `"demo:labels":"{}"`, `"demo:password":""`,
	} {
		if !strings.Contains(environment["PULUMI_CONFIG"], want) {
			t.Errorf("got %s, want it to contain %s", environment["PULUMI_CONFIG"], want)
		}
	}
}

func TestStackFileErrors(t *testing.T) {
	for _, test := range []struct{ name, stack, want string }{
		{"no YAML", "config: [", "reading Pulumi.dev.yaml: yaml: line 1"},
		{"a list", "- a\n", "reading Pulumi.dev.yaml: yaml: unmarshal errors: line 1"},
		{"a misspelt section", "confg: {}\n", `reading Pulumi.dev.yaml: unknown key "confg"; a stack file has config`},
		{"a key twice", "config:\n  a: 1\n  a: 2\n", `line 3: mapping key "a" already defined at line 2`},
		{"config is a list", "config: [a]\n", "reading Pulumi.dev.yaml: config must be a map"},
		{"an environment", "environment: [prod]\n", "reading Pulumi.dev.yaml: environment: Pulumi ESC environments"},
		{"a bad key", "config: {'a:b:c': 1}\n", "reading Pulumi.dev.yaml: "},
		{"integer", "config: {demo:replicas: two, demo:title: x}\n", "Pulumi.dev.yaml: demo:replicas must be of"},
		{"boolean", "config: {demo:debug: yes please, demo:title: x}\n", "demo:debug must be of type boolean"},
		{"array", "config: {demo:hosts: a, demo:title: x}\n", "demo:hosts must be of type array<string>"},
		{"nothing for an array", "config:\n  demo:title: x\n  demo:hosts:\n",
			"demo:hosts must be of type array<string>, such as [a, b], or [] for none"},
		{"nothing for an object", "config:\n  demo:title: x\n  demo:labels:\n",
			"demo:labels must be of type object, such as {a: b}, or {} for none"},
		{"array element", "config: {demo:hosts: [[a]], demo:title: x}\n", "demo:hosts must be of type array<string>"},
		{"object", "config: {demo:labels: [a], demo:title: x}\n", "demo:labels must be of type object"},
		{"missing", "config: {}\n",
			"Pulumi.dev.yaml has no value for demo:title and Pulumi.yaml no default; " +
				"run: pulumi config set title <value> --stack dev"},
		{"empty file", "", "has no value for demo:title"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(project(t, map[string]string{"dev": test.stack}), "dev", nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line", err)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(project(t, map[string]string{"dev": "config: {demo:replicas: two, demo:debug: 3}\n"}), "dev", nil)
	for _, want := range []string{"demo:replicas", "demo:debug", "demo:title"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}

func TestUnknownStack(t *testing.T) {
	dir := project(t, map[string]string{"dev": stackYAML, "prod": stackYAML})
	for _, test := range []struct{ name, dir, stack, want string }{
		{"no such stack", dir, "test", `there is no stack "test": no file Pulumi.test.yaml; the stacks are dev, prod`},
		{"no stack files", project(t, nil), "dev", "there are no stack files"},
		{"no project", t.TempDir(), "dev", "there is no Pulumi.yaml in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := load(test.dir, test.stack, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestProjectFileErrors(t *testing.T) {
	for _, test := range []struct{ name, project, want string }{
		{"no YAML", "name: [", "reading Pulumi.yaml: "},
		{"a default of the wrong type", "name: demo\nruntime: go\nconfig: {a: {type: integer, default: x}}\n", "'a'"},
		{"a typed secret with a default", "name: demo\nruntime: go\nconfig: {a: {type: string, secret: true, default: x}}\n",
			"demo:a must be encrypted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := project(t, map[string]string{"dev": ""})
			if err := os.WriteFile(filepath.Join(dir, projectFile), []byte(test.project), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := load(dir, "dev", nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// Values are used literally, not as YAML.
func TestSettingsInPlaceOfTheFile(t *testing.T) {
	dir := project(t, map[string]string{"dev": "config: {demo:title: x, demo:replicas: 3}\n"})
	for assignment, want := range map[string]string{
		"title=[a": "[a", "aws:tags={a: b}": `{"a":"b"}`, "title=1.36": "1.36", "title=030": "030",
		"title=a=b, c": "a=b, c", "title=": "", "replicas=7": "7", "demo:title=y": "y",
	} {
		s, err := load(dir, "dev", []string{assignment})
		if err != nil {
			t.Errorf("%s: %v", assignment, err)
			continue
		}
		name, _, _ := strings.Cut(assignment, "=")
		key, keyErr := s.key(name)
		if keyErr != nil {
			t.Fatal(keyErr)
		}
		text, err := s.values[key].Value(firstPlaceholder)
		if err != nil || text != want {
			t.Errorf("%s: got %q, want %q", assignment, text, want)
		}
	}
	for assignment, want := range map[string]string{
		"title": "key=value", "replicas=many": "-set: demo:replicas must be of type integer",
		"hosts=[": "a list such as [a,b]", "token=x": "it is a secret",
	} {
		if _, err := load(dir, "dev", []string{assignment}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", assignment, err, want)
		}
	}
}
