package component_test

import (
	"errors"
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
	b, err := component.Register(ctx, "scaleout:index", "App", name, problems, a, opts)
	if err != nil {
		return nil, err
	}
	component.Create(b, pulumi.NewStash, "-child", &pulumi.StashArgs{Input: pulumi.Int(1)})
	return a, b.Finish(pulumi.Map{})
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

// After the first error nothing more is created, and the component fails with that error.
func TestBuilderStopsAtTheFirstError(t *testing.T) {
	failure, calls := errors.New("no such argument"), 0
	construct := func(*pulumi.Context, string, *struct{}, ...pulumi.ResourceOption) (*app, error) {
		calls++
		return nil, failure
	}
	componenttest.Record(t, func(ctx *pulumi.Context) error {
		b, err := component.Register(ctx, "scaleout:index", "App", "web", nil, &app{}, nil)
		if err != nil {
			return err
		}
		for range 2 {
			if component.Create(b, construct, "", &struct{}{}) == nil {
				t.Error("got nil, want an empty resource")
			}
		}
		if got, last := b.Err(), b.Finish(pulumi.Map{}); calls != 1 || !errors.Is(got, failure) || !errors.Is(last, failure) {
			t.Errorf("got %d calls, %v and %v, want one call and its error", calls, got, last)
		}
		return nil
	})
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
