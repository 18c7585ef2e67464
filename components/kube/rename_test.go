package kube

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// former are the names that the components of renamed had before.
var former = map[string]string{"store": "redis", "keys": "secrets", "site": "web"}

// renamed registers the components that have a Name under the new names of former, or under the old ones.
func renamed(ctx *pulumi.Context, anew bool) error {
	called := func(component string) (name, objects string, opts []pulumi.ResourceOption) {
		if old := former[component]; anew {
			return component, old, []pulumi.ResourceOption{pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(old)}})}
		}
		return former[component], "", nil
	}
	name, objects, opts := called("keys")
	keys, err := NewSecret(ctx, name, &SecretArgs{
		Namespace: pulumi.String("ns"), Name: objects, Data: map[string]pulumi.StringInput{"KEY": pulumi.String("k")},
	}, opts...)
	if err != nil {
		return err
	}
	name, objects, opts = called("store")
	password := testRedisSecret()
	password.Name = objects
	secret, err := NewRedisSecret(ctx, name, password, opts...)
	if err != nil {
		return err
	}
	args := testRedis(secret)
	args.Name = objects
	server, err := NewRedis(ctx, name, args, opts...)
	if err != nil {
		return err
	}
	name, objects, opts = called("site")
	web := testWeb()
	web.Name = objects
	web.Bindings = []Binding{
		secret.Bind(server.Connection, testNames),
		{SecretEnv: map[string]SecretKey{"KEY": {Secret: keys.Ref, Key: "KEY"}}},
	}
	_, err = NewWebApp(ctx, name, web, opts...)
	return err
}

// A component that is renamed keeps its objects as they are, labels and references to each other included.
func TestRenamedComponentKeepsItsObjects(t *testing.T) {
	objects := func(anew bool) map[string]map[string]any {
		found := map[string]map[string]any{}
		engine := &componenttest.Engine{Stash: map[string]any{ // an alias finds the old one
			"keys-version-key": "k", "secrets-version-key": "k", "store-auth-version-key": "r", "redis-auth-version-key": "r",
		}}
		if err := engine.Run(func(ctx *pulumi.Context) error { return renamed(ctx, anew) }); err != nil {
			t.Fatal(err)
		}
		for _, r := range componenttest.Record(t, func(ctx *pulumi.Context) error { return renamed(ctx, anew) }).Resources {
			if object, ok := r.Object(); ok {
				found[object.String()] = engine.State(object.Kind, r.Name)
			}
		}
		return found
	}
	before, after := objects(false), objects(true)
	if len(after) != len(before) || len(before) < 12 {
		t.Errorf("%d objects became %d, want the same, and at least 12", len(before), len(after))
	}
	for name, inputs := range before {
		if !reflect.DeepEqual(after[name], inputs) {
			t.Errorf("%s: got %v, want %v", name, after[name], inputs)
		}
	}
}

// The alias of a component is enough for all below it, nested components too.
func TestAliasOfAComponentReachesItsChildren(t *testing.T) {
	before := componenttest.Record(t, func(ctx *pulumi.Context) error { return renamed(ctx, false) })
	after := componenttest.Record(t, func(ctx *pulumi.Context) error { return renamed(ctx, true) })
	for i := range after.Resources {
		r := &after.Resources[i]
		alias := r.URN[:strings.LastIndex(r.URN, "::")+2] + formerName(after, r)
		known := slices.ContainsFunc(before.Resources, func(b offline.Resource) bool { return b.URN == alias })
		if !known || alias == r.URN {
			t.Errorf("%s: nothing was called %s before, so the engine would replace it", r.URN, alias)
		}
	}
}

// formerName is the engine's rule (inheritedChildAlias in its step generator): the parent's old name takes the place of
// its new one at the beginning of a child's name.
func formerName(result *offline.Result, r *offline.Resource) string {
	i := slices.IndexFunc(result.Resources, func(p offline.Resource) bool { return p.URN == r.Parent })
	if i < 0 {
		return former[r.Name]
	}
	parent := &result.Resources[i]
	if rest, ok := strings.CutPrefix(r.Name, parent.Name); ok {
		return formerName(result, parent) + rest
	}
	return r.Name
}
