package component_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/componenttest"
)

// app is a component with a child.
type app struct{ pulumi.ResourceState }

func newApp(ctx *pulumi.Context, name string, replicas int, opts ...pulumi.ResourceOption) (*app, error) {
	a := &app{}
	problems := check.Range("replicas", replicas, 1, 9)
	if err := component.Register(ctx, "scaleout:index", "App", name, problems, a, opts); err != nil {
		return nil, err
	}
	_, err := pulumi.NewStash(ctx, name+"-child", &pulumi.StashArgs{Input: pulumi.Int(1)}, pulumi.Parent(a))
	return a, err
}

// The component has the type token in its URN and in those of its children, and no inputs. The caller's options apply.
func TestRegister(t *testing.T) {
	program := func(ctx *pulumi.Context) error {
		outer, err := newApp(ctx, "outer", 1)
		if err != nil {
			return err
		}
		former := pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("former")}})
		_, err = newApp(ctx, "inner", 1, pulumi.Parent(outer), pulumi.Protect(true), former)
		return err
	}
	result := componenttest.Record(t, program)
	const begin, parent = "urn:pulumi:test::scaleout::", "scaleout:index:App"
	for i, want := range []struct{ kind, name, parent, urn string }{
		{"App", "outer", "", parent + "::outer"},
		{"Stash", "outer-child", parent + "::outer", parent + "$pulumi:index:Stash::outer-child"},
		{"App", "inner", parent + "::outer", parent + "$scaleout:index:App::inner"},
	} {
		r := componenttest.Find(t, result, want.kind, want.name)
		if r.URN != begin+want.urn || strings.TrimPrefix(r.Parent, begin) != want.parent {
			t.Errorf("got %s below %q, want %s below %q", r.URN, r.Parent, want.urn, want.parent)
		}
		if component := want.kind == "App"; r.Custom == component || component && len(r.Inputs) > 0 {
			t.Errorf("%s: got custom %t and the inputs %v, want a component without inputs", want.name, r.Custom, r.Inputs)
		}
		if protected := r.Options["protect"] == true; protected != (i == 2) {
			t.Errorf("%s: got protect %t", want.name, protected)
		}
	}
	engine := &componenttest.Engine{}
	if err := engine.Run(program); err != nil {
		t.Fatal(err)
	}
	aliases := engine.Aliases("App", "inner")
	if len(aliases) != 1 || aliases[0].GetSpec().GetName() != "former" || len(engine.Aliases("App", "outer")) > 0 {
		t.Errorf("got the aliases %v, want the former name of inner alone", aliases)
	}
}

// A component that is refused registers nothing. The error names it.
func TestRegisterRefuses(t *testing.T) {
	for want, test := range map[string]struct {
		name     string
		replicas int
	}{
		"invalid arguments of App \"web\":\n  replicas: Invalid value: 0: must be from 1 to 9": {"web", 0},
		`registering App "": `: {"", 1}, // the SDK's own error
	} {
		var kinds []string
		engine := &componenttest.Engine{Change: func(kind, _ string, _ map[string]any) { kinds = append(kinds, kind) }}
		err := engine.Run(func(ctx *pulumi.Context) error {
			_, err := newApp(ctx, test.name, test.replicas)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		if slices.Contains(kinds, "App") || slices.Contains(kinds, "Stash") {
			t.Errorf("%q: got the resources %q, want none", test.name, kinds)
		}
	}
}
