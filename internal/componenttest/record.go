package componenttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/offline"
)

// Record is what a program registers in a preview.
func Record(t *testing.T, program pulumi.RunFunc) *offline.Result {
	t.Helper()
	result, err := offline.Record(program)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// RunWithoutDefaultProvider runs a program in a stack that forbids the default provider of a package, such as aws: what
// is registered in it or asked of it without another provider is an error.
func RunWithoutDefaultProvider(t *testing.T, pkg string, program pulumi.RunFunc) (*offline.Result, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Pulumi.yaml":      "name: scaleout\nruntime: go\n",
		"Pulumi.test.yaml": "config:\n  pulumi:disable-default-providers: [" + pkg + "]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return offline.Run(program, dir, "test")
}

// Find is the resource of a type (the part after the last colon) and a name.
func Find(t *testing.T, result *offline.Result, kind, name string) *offline.Resource {
	t.Helper()
	for i, r := range result.Resources {
		if isKind(&r, kind) && r.Name == name {
			return &result.Resources[i]
		}
	}
	t.Fatalf("no %s %q was registered", kind, name)
	return nil
}

// Value is what a path of keys and indexes leads to in the inputs of the resource of a type and a name.
func Value(t *testing.T, result *offline.Result, kind, name string, path ...any) any {
	t.Helper()
	return offline.Lookup(Find(t, result, kind, name).Inputs, path...)
}

// Has tells whether there is any resource of a type.
func Has(result *offline.Result, kind string) bool {
	return slices.ContainsFunc(result.Resources, func(r offline.Resource) bool { return isKind(&r, kind) })
}

func isKind(r *offline.Resource, kind string) bool { return strings.HasSuffix(r.Type, ":"+kind) }

// Refuses checks that the error of a program has a line for each of the fields, and no other.
func Refuses(t *testing.T, program pulumi.RunFunc, fields ...string) {
	t.Helper()
	_, err := offline.Record(program)
	if err == nil {
		t.Fatalf("got no error, want one about %q", fields)
	}
	for _, field := range fields {
		if !strings.Contains(err.Error(), "\n  "+field+": ") {
			t.Errorf("got %q, want a line for %s", err, field)
		}
	}
	if lines := strings.Count(err.Error(), "\n  "); lines != len(fields) {
		t.Errorf("got %d problems, want %d: %v", lines, len(fields), err)
	}
}

// Coexist checks that a program, given two prefixes for its names, registers twice what it does for one. The recorder
// refuses two resources with one URN, and two that are one object.
func Coexist(t *testing.T, atLeast int, program func(ctx *pulumi.Context, prefix string) error) {
	t.Helper()
	one := Record(t, func(ctx *pulumi.Context) error { return program(ctx, "") })
	two := Record(t, func(ctx *pulumi.Context) error {
		if err := program(ctx, "a-"); err != nil {
			return err
		}
		return program(ctx, "b-")
	})
	if got, want := len(two.Resources), 2*len(one.Resources); got != want || want < 2*atLeast {
		t.Errorf("two instances registered %d resources, want twice the %d of one, which are to be at least %d",
			got, len(one.Resources), atLeast)
	}
}

// BelowComponents checks that each resource is part of a component, and that the type of each component is
// scaleout:index:<Name>.
func BelowComponents(t *testing.T, result *offline.Result) {
	t.Helper()
	for _, r := range result.Resources {
		if r.Custom && r.Parent == "" {
			t.Errorf("%s %s has no parent: the tree would show it apart from its component", r.Type, r.Name)
		}
		if !r.Custom && !strings.HasPrefix(r.Type, "scaleout:index:") {
			t.Errorf("component %s has the type %s, want scaleout:index:<Name>", r.Name, r.Type)
		}
	}
}

// Openings are what a network policy admits in a direction (ingress or egress), sorted, each as "who port"; who is an
// instance, a namespace, CIDRs or anyone, and the port is * where all are open.
func Openings(t *testing.T, result *offline.Result, policy, direction string) (all []string) {
	t.Helper()
	side := map[string]string{"ingress": "from", "egress": "to"}[direction]
	rules, _ := offline.Lookup(Find(t, result, "NetworkPolicy", policy).Inputs, "spec", direction).([]any)
	for _, rule := range rules {
		ports, _ := offline.Lookup(rule, "ports").([]any)
		for _, port := range ports {
			all = append(all, fmt.Sprint(who(offline.Lookup(rule, side)), " ", offline.Lookup(port, "port")))
		}
		if len(ports) == 0 {
			all = append(all, who(offline.Lookup(rule, side))+" *")
		}
	}
	slices.Sort(all)
	return all
}

// who is the first peer of a rule, and "everyone" where a rule has an empty list of them, which nobody writes on
// purpose.
func who(peers any) string {
	if peers == nil {
		return "anyone"
	}
	for _, form := range []struct {
		prefix string
		path   []any
	}{
		{"", []any{0, "podSelector", "matchLabels", "app.kubernetes.io/instance"}},
		{"namespace ", []any{0, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"}},
		{"", []any{0, "ipBlock", "cidr"}},
	} {
		if text, ok := offline.Lookup(peers, form.path...).(string); ok {
			return form.prefix + text
		}
	}
	return "everyone"
}
