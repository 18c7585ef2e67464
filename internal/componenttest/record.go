// Package componenttest contains helpers for tests of components: recording of the registered resources, checks of
// pods and network policies, and a mock of the engine.
package componenttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/offline"
)

// Command returns the path of a program that a test needs. Where it is missing, the test is skipped; if the variable CI
// is set, it fails.
func Command(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed", name)
	} else if err != nil {
		t.Fatalf("%s is not installed; with CI set, this test is not skipped", name)
	}
	return path
}

// Record returns the resources that a program registers in a preview.
func Record(t *testing.T, program pulumi.RunFunc) *offline.Result {
	t.Helper()
	result, err := offline.Record(program)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Find returns the resource of a type (the part after the last colon) and a name.
func Find(t *testing.T, result *offline.Result, kind, name string) *offline.Resource {
	t.Helper()
	i := slices.IndexFunc(result.Resources, func(r offline.Resource) bool { return isKind(r, kind) && r.Name == name })
	if i < 0 {
		t.Fatalf("no %s %q was registered", kind, name)
	}
	return &result.Resources[i]
}

// Value returns the value at a path of keys and indexes in the inputs of the resource of a type and a name.
func Value(t *testing.T, result *offline.Result, kind, name string, path ...any) any {
	t.Helper()
	return offline.Lookup(Find(t, result, kind, name).Inputs, path...)
}

// Has reports whether there is a resource of a type.
func Has(result *offline.Result, kind string) bool {
	return slices.ContainsFunc(result.Resources, func(r offline.Resource) bool { return isKind(r, kind) })
}

func isKind(r offline.Resource, kind string) bool { return strings.HasSuffix(r.Type, ":"+kind) }

// Refuses checks that a program returns an error with exactly one line for each of the fields.
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

// Coexist checks that a program with two name prefixes registers twice the resources of one. The recorder refuses
// duplicate URNs and objects. It also checks that the program returns the error of each resource that is refused: see
// component.Create.
func Coexist(t *testing.T, atLeast int, program func(ctx *pulumi.Context, prefix string) error) {
	t.Helper()
	alone := func(ctx *pulumi.Context) error { return program(ctx, "") }
	one := Record(t, alone)
	two := Record(t, func(ctx *pulumi.Context) error {
		if err := program(ctx, "a-"); err != nil {
			return err
		}
		return program(ctx, "b-")
	})
	if got, want := len(two.Resources), 2*len(one.Resources); got != want || want < 2*atLeast {
		t.Errorf("two instances registered %d resources, want twice the %d of one, which must be at least %d",
			got, len(one.Resources), atLeast)
	}
	for _, r := range one.Resources {
		if _, err := offline.Record(Refusing(alone, r)); !IsRefused(err) {
			t.Errorf("%s %s: got %v, want its error", r.Type, r.Name, err)
		}
	}
}

// Refusing returns a program in which the SDK refuses a resource, because a transformation changes its parent.
func Refusing(program pulumi.RunFunc, r offline.Resource) pulumi.RunFunc {
	type result = pulumi.ResourceTransformationResult
	return func(ctx *pulumi.Context) error {
		parent, err := pulumi.NewStash(ctx, "elsewhere", &pulumi.StashArgs{Input: pulumi.Int(0)})
		transform := func(args *pulumi.ResourceTransformationArgs) *result {
			if args.Type != r.Type || args.Name != r.Name {
				return nil
			}
			return &result{Props: args.Props, Opts: append(args.Opts, pulumi.Parent(parent))}
		}
		return errors.Join(err, ctx.RegisterStackTransformation(transform), program(ctx))
	}
}

// IsRefused reports whether a program failed because of Refusing.
func IsRefused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "cannot currently be used to change the `parent`")
}

// BelowComponents checks that each resource is part of a component, and that components have types scaleout:index:*.
func BelowComponents(t *testing.T, result *offline.Result) {
	t.Helper()
	for _, r := range result.Resources {
		if r.Custom && r.Parent == "" {
			t.Errorf("%s %s has no parent, so the tree does not show it below its component", r.Type, r.Name)
		}
		if !r.Custom && !strings.HasPrefix(r.Type, "scaleout:index:") {
			t.Errorf("component %s has the type %s, want scaleout:index:<Name>", r.Name, r.Type)
		}
	}
}

// Hides checks that no input of a resource shows a secret, and that at least some values are marked as secret, without
// which the check would prove little.
func Hides(t *testing.T, result *offline.Result, atLeast int, secrets ...string) {
	t.Helper()
	hidden := 0
	for _, r := range result.Resources {
		text := fmt.Sprint(r.Inputs)
		hidden += strings.Count(text, offline.Secret{}.String())
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

// Openings returns the peers and ports that a network policy allows in a direction (ingress or egress), sorted, each as
// "peer port"; the peer is an instance, a namespace, a CIDR block or anyone, and the port is * for all ports.
func Openings(t *testing.T, result *offline.Result, policy, direction string) (all []string) {
	t.Helper()
	side := map[string]string{"ingress": "from", "egress": "to"}[direction]
	for _, rule := range list(Find(t, result, "NetworkPolicy", policy).Inputs, "spec", direction) {
		ports := list(rule, "ports")
		for _, port := range ports {
			all = append(all, fmt.Sprint(peer(offline.Lookup(rule, side)), " ", offline.Lookup(port, "port")))
		}
		if len(ports) == 0 {
			all = append(all, peer(offline.Lookup(rule, side))+" *")
		}
	}
	slices.Sort(all)
	return all
}

// peer returns a short name of the first peer of a rule, or "everyone" for an empty list, which is never intended.
func peer(peers any) string {
	instance := offline.Lookup(peers, 0, "podSelector", "matchLabels", "app.kubernetes.io/instance")
	namespace := offline.Lookup(peers, 0, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name")
	switch cidr := offline.Lookup(peers, 0, "ipBlock", "cidr"); {
	case peers == nil:
		return "anyone"
	case instance != nil:
		return fmt.Sprint(instance)
	case namespace != nil:
		return fmt.Sprint("namespace ", namespace)
	case cidr != nil:
		return fmt.Sprint(cidr)
	}
	return "everyone"
}

func list(v any, path ...any) []any {
	values, _ := offline.Lookup(v, path...).([]any)
	return values
}

// Pods returns the pod templates of a result by their objects, e.g. "Deployment ns/web".
// It does not find the template of a CronJob; extend it before adding one.
func Pods(result *offline.Result) map[string]any {
	templates := map[string]any{}
	for i := range result.Resources {
		object, ok := result.Resources[i].Object()
		if template := offline.Lookup(result.Resources[i].Inputs, "spec", "template"); ok && template != nil {
			templates[object.String()] = template
		}
	}
	return templates
}

// Unrestricted returns the violations of a pod template against the Pod Security Standard `restricted` and the further
// rules of this library:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func Unrestricted(template any) (problems []string) {
	want := func(v any, value any, path ...any) {
		if got := offline.Lookup(v, path...); got != value {
			problems = append(problems, fmt.Sprintf("%v is %v, want %v", path, got, value))
		}
	}
	spec := offline.Lookup(template, "spec")
	want(spec, true, "securityContext", "runAsNonRoot")
	want(spec, "RuntimeDefault", "securityContext", "seccompProfile", "type")
	for _, forbidden := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		want(spec, nil, forbidden)
	}
	for _, c := range list(spec, "containers") {
		want(c, false, "securityContext", "allowPrivilegeEscalation")
		want(c, true, "securityContext", "readOnlyRootFilesystem")
		want(c, "ALL", "securityContext", "capabilities", "drop", 0)
		want(c, nil, "securityContext", "capabilities", "add")
		for _, port := range list(c, "ports") {
			want(port, nil, "hostPort")
		}
		for _, path := range [][]any{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
			if offline.Lookup(c, append([]any{"resources"}, path...)...) == nil {
				problems = append(problems, fmt.Sprintf("%v is missing", path))
			}
		}
	}
	for _, volume := range list(spec, "volumes") {
		want(volume, nil, "hostPath")
		if dir := offline.Lookup(volume, "emptyDir"); dir != nil && offline.Lookup(dir, "sizeLimit") == nil {
			problems = append(problems, fmt.Sprintf("volume %v may fill the node's disk", offline.Lookup(volume, "name")))
		}
	}
	return problems
}
