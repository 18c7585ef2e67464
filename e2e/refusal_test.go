//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// refusal is an invalid stack file.
type refusal struct {
	what string
	// settings are keys and values in turn, written to a copy of the stack's file.
	settings []string
	// want has the lines of the message: in each the key, the value and the accepted values.
	want [][]string
	// byUp runs `pulumi up` with it, too.
	byUp bool
	// early is a value that Pulumi itself rejects by the types in Pulumi.yaml, before the program runs. The message
	// names only the first such key and its type, not the value.
	early bool
}

// refusals covers different kinds of mistakes.
var refusals = []refusal{
	{what: "text for a number", settings: []string{"scaleout:minReplicas", "two"}, early: true,
		want: [][]string{{"minReplicas", "integer"}}},
	{what: "text for a list", settings: []string{"scaleout:loadBalancerCidrs", "10.0.0.0/8"}, early: true,
		want: [][]string{{"loadBalancerCidrs", "array"}}},
	{what: "a misspelt key", settings: []string{"scaleout:minReplica", "2"},
		want: [][]string{{"scaleout:minReplica", "no such key", "docs/configuration.md"}}},
	{what: "fewest pods above most", settings: []string{"scaleout:minReplicas", "11"}, byUp: true,
		want: [][]string{{"scaleout:maxReplicas", "10", "at least 11, the fewest pods"}}},
	{what: "a password in plain text", settings: []string{"scaleout:redisPassword", plainPassword},
		want: [][]string{{"scaleout:redisPassword", "plain text", "pulumi config set --secret redisPassword"}}},
	{what: "no password", settings: []string{"scaleout:redisPassword", `""`},
		want: [][]string{{"scaleout:redisPassword", "is required", "pulumi config set --stack", "--secret redisPassword"}}},
	{what: "a context that is no kind cluster's", settings: []string{"scaleout:kubeContext", "prod"}, byUp: true,
		want: [][]string{{"scaleout:kubeContext", `"prod"`, "kind-<name>"}}},
	{what: "five mistakes at once", settings: []string{
		"scaleout:cpuRequest", `"100 m"`, "scaleout:port", "70000", "scaleout:host", "https://x",
		"scaleout:redisImage", "redis:latest", "scalout:maxReplicas", "3"},
		want: [][]string{
			{"scaleout:cpuRequest", `"100 m"`, "such as 250m"},
			{"scaleout:port", "70000", "from 1 to 65535"},
			{"scaleout:host", `"https://x"`, "app.example.com"},
			{"scaleout:redisImage", `"redis:latest"`, "tag other than latest"},
			{"scalout:maxReplicas", "no such namespace", "scaleout:"},
		}},
}

// plainPassword must not be in the error message.
const plainPassword = "written-down-for-all-to-see"

// TestRefusals: invalid settings are rejected in the decoder's own tests, in a fuzz test, and by the real `pulumi`,
// which then has neither registered nor changed anything.
func TestRefusals(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	refusedByDecoder(t)
	refusedByPulumi(t)
	refusedForMissingCluster(t)
	refusedForLostData(t)
	fuzzDecoder(t)
}

// refusedByDecoder runs the cases of the decoder's own test, and checks that there are many.
func refusedByDecoder(t *testing.T) {
	t.Helper()
	out := inProject(t, "go", "test", "-count", "1", "-run", "^TestParseRefuses$", "-v", "./internal/config")
	passed := len(regexp.MustCompile(`(?m)^ +--- PASS: TestParseRefuses/`).FindAllString(out, -1))
	if passed < 60 {
		t.Errorf("%d invalid values were rejected with the right message, want at least 60", passed)
	}
	record(t, "refusals", "wrong values given to the decoder", strconv.Itoa(passed),
		"each refused, with key, value and accepted form")
}

// inProject runs a command in the project's folder and returns its output.
func inProject(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func refusedByPulumi(t *testing.T) {
	t.Helper()
	inProject(t, "make", "-s", "bin/scaleout") // otherwise the first preview includes the compiler's time
	before := touched(t)
	var previews, ups []time.Duration
	problems := 0
	for _, r := range refusals {
		file := r.file(t)
		start := time.Now()
		out, err := tryPulumi("preview", "--stack", stackName(), "--config-file", file)
		previews = append(previews, time.Since(start))
		r.expect(t, "preview", string(out), err)
		problems += len(r.want)
		if !r.byUp {
			continue
		}
		start = time.Now()
		out, err = tryPulumi("up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file", file)
		ups = append(ups, time.Since(start))
		r.expect(t, "up", string(out), err)
	}
	before.expectSame(t, touched(t))
	record(t, "refusals", "wrong stack files given to `pulumi preview`", strconv.Itoa(len(previews)), fmt.Sprintf(
		"each refused after %s; all %d mistakes named; the state and the objects are what they were",
		span(previews), problems))
	record(t, "refusals", "wrong stack files given to `pulumi up`", strconv.Itoa(len(ups)),
		"each refused after "+span(ups)+"; the state and the objects are what they were")
}

// file returns the path of a copy of the stack's file with the invalid settings.
func (r refusal) file(t *testing.T) string {
	t.Helper()
	path := stackFileWith(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(r.settings); i += 2 {
		// A secret has its value on the line below.
		old := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(r.settings[i]) + `:.*\n(    .*\n)*`)
		text = strings.Replace(old.ReplaceAllString(text, ""), "config:\n",
			fmt.Sprintf("config:\n  %s: %s\n", r.settings[i], r.settings[i+1]), 1)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// planned matches the operations that a preview or an update counts at its end, without unchanged resources.
var planned = regexp.MustCompile(`\d+ (to )?(create|update|replace|delete|import|read)d?\b`)

// expect checks for a failure whose message has a line for each mistake.
func (r refusal) expect(t *testing.T, command, message string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: pulumi %s accepts it", r.what, command)
	}
	for _, parts := range r.want {
		if !hasLine(message, parts) {
			t.Errorf("%s: pulumi %s has no line with %q:\n%s", r.what, command, parts, message)
		}
	}
	if !r.early && !strings.Contains(message, "nothing was touched") {
		t.Errorf("%s: pulumi %s does not say that nothing was touched:\n%s", r.what, command, message)
	}
	if strings.Contains(message, plainPassword) {
		t.Errorf("%s: pulumi %s prints the password", r.what, command)
	}
	if operations := planned.FindAllString(message, -1); len(operations) > 0 {
		t.Errorf("%s: pulumi %s got as far as %v", r.what, command, operations)
	}
}

func hasLine(message string, parts []string) bool {
	for _, line := range strings.Split(message, "\n") {
		if containsEach(line, parts) {
			return true
		}
	}
	return false
}

func containsEach(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// traces is what a rejected update must leave unchanged.
type traces struct{ state, objects string }

// touched returns the state, without the time of its last update, and the versions of all objects of the stack that
// only an update changes.
func touched(t *testing.T) traces {
	t.Helper()
	var state struct {
		Deployment map[string]json.RawMessage
	}
	if err := json.Unmarshal(pulumi(t, "stack", "export", "--stack", stackName()), &state); err != nil {
		t.Fatal(err)
	}
	delete(state.Deployment, "manifest") // the time, and a checksum of it
	// The order of resources depends on the order in which a failed update processed them, that of dependencies is random.
	var resources []map[string]any
	if err := json.Unmarshal(state.Deployment["resources"], &resources); err != nil {
		t.Fatal(err)
	}
	for _, r := range resources {
		byProperty, _ := r["propertyDependencies"].(map[string]any)
		for _, list := range append(slices.Collect(maps.Values(byProperty)), r["dependencies"]) {
			before, _ := list.([]any)
			slices.SortFunc(before, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	slices.SortFunc(resources, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["urn"], a["id"]), fmt.Sprint(b["urn"], b["id"]))
	})
	state.Deployment["resources"], _ = json.Marshal(resources) // cannot fail, because it was decoded from JSON
	text, err := json.Marshal(state.Deployment)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := asItIs(t)
	objects := ""
	for _, namespace := range []string{o.Namespace, ingressNamespace} {
		objects += kubectl(t, "get",
			"deployments,statefulsets,services,ingresses,networkpolicies,secrets,configmaps,serviceaccounts",
			"--namespace", namespace, "--selector", "app.kubernetes.io/part-of=scaleout", "--output",
			`jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} `+
				`{.metadata.resourceVersion}{"\n"}{end}`) + "\n"
	}
	if !bytes.Contains(text, []byte("urn:pulumi")) || !strings.Contains(objects, "Deployment") {
		t.Fatalf("the state has %d bytes and the objects are %q: nothing that could have been changed", len(text), objects)
	}
	return traces{ciphertext.ReplaceAllString(string(text), ""), objects}
}

// ciphertext matches a secret in the state, which Pulumi may encrypt again whenever it writes it.
var ciphertext = regexp.MustCompile(`"ciphertext":"[^"]*"`)

func (b traces) expectSame(t *testing.T, after traces) {
	t.Helper()
	if b.state != after.state {
		at := 0
		for at < min(len(b.state), len(after.state)) && b.state[at] == after.state[at] {
			at++
		}
		from := max(0, at-200)
		t.Errorf("the state has changed from\n%.400s\nto\n%.400s", b.state[from:], after.state[from:])
	}
	if b.objects != after.objects {
		t.Errorf("objects have changed from\n%s\nto\n%s", b.objects, after.objects)
	}
}

// span formats the range from the shortest to the longest.
func span(times []time.Duration) string {
	least, most := times[0], times[0]
	for _, d := range times {
		least, most = min(least, d), max(most, d)
	}
	return fmt.Sprintf("%.1f to %.1f s", least.Seconds(), most.Seconds())
}

// refusedForMissingCluster: the decoder cannot detect a context that is well-formed but does not exist, and the
// current context must not be used instead. `up` rejects it. A preview either fails or, with pulumi-kubernetes
// itself, shows that everything would be replaced.
func refusedForMissingCluster(t *testing.T) {
	t.Helper()
	before := touched(t)
	const missing = "kind-that-never-was"
	file := stackFileWith(t, "scaleout:kubeContext", missing)
	out, err := tryPulumi("up", "--stack", stackName(), "--config-file", file, "--yes", "--skip-preview")
	want := []string{"scaleout:kubeContext", missing, "must be a context of the kubeconfig"}
	if err == nil || !hasLine(string(out), want) {
		t.Errorf("pulumi up with a missing context: got %v, want a message that names it:\n%s", err, out)
	}
	start := time.Now()
	out, err = tryPulumi("preview", "--stack", stackName(), "--config-file", file)
	result := "refused by up, and in a preview by the provider"
	if err == nil {
		result = "refused by up; a preview shows that everything would be replaced"
	}
	if err != nil && !hasLine(string(out), []string{missing, "does not exist"}) ||
		err == nil && !hasLine(string(out), []string{"pulumi:providers:kubernetes", "cluster", "replace"}) {
		t.Errorf("a missing context: got %v, want a message that names it, or all replaced:\n%s", err, out)
	}
	before.expectSame(t, touched(t))
	record(t, "refusals", "a kind cluster that does not exist", "2",
		result+", after "+seconds(time.Since(start))+"; nothing was touched")
}

// refusedForLostData: another storage class would replace the claim and lose the data of Redis. It is rejected with a
// hint on how to keep it.
func refusedForLostData(t *testing.T) {
	t.Helper()
	before := touched(t)
	file := stackFileWith(t, "scaleout:redisStorageClass", "another")
	for _, command := range []string{"preview", "up"} {
		args := []string{command, "--stack", stackName(), "--config-file", file}
		if command == "up" {
			args = append(args, "--yes", "--skip-preview")
		}
		out, err := tryPulumi(args...)
		if err == nil || !hasLine(string(out), []string{"another", "redis-data"}) {
			t.Errorf("pulumi %s with another storage class: got %v, want a message with the claim and the loss:\n%s",
				command, err, out)
		}
	}
	before.expectSame(t, touched(t))
	record(t, "refusals", "another storage class for the data of Redis", "2",
		"refused by preview and by up; the claim is what it was")
}

// fuzzDecoder fuzzes the decoder. Each value must be accepted, or rejected with a message that names a key; a
// panic is a failure. The number of executions is fixed, because at the end of a fixed time Go may report the search
// itself as a failure (https://github.com/golang/go/issues/75804).
func fuzzDecoder(t *testing.T) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "config.test")
	// Compiled separately: `go test -fuzz` would recompile all dependencies with coverage instrumentation, which takes
	// minutes and is of little use where the values are validated one by one.
	inProject(t, "go", "test", "-c", "-o", binary, "./internal/config")
	command := exec.Command(binary, "-test.run", "^$", "-test.fuzz", "^FuzzParse$", "-test.fuzztime", "150000x",
		"-test.fuzzcachedir", t.TempDir())
	command.Dir = filepath.Join(root, "internal", "config")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("the decoder fails for some values: %v\n%s", err, out)
	}
	counts := regexp.MustCompile(`execs: (\d+)`).FindAllStringSubmatch(string(out), -1)
	if len(counts) == 0 || counts[len(counts)-1][1] == "0" {
		t.Fatalf("no value was tried:\n%s", out)
	}
	record(t, "refusals", "random values given to the decoder", counts[len(counts)-1][1],
		"no panic, no message without a key")
}
