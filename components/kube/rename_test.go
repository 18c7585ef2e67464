package kube

import (
	"reflect"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
)

// former maps the new names of the components of renamed to their old ones.
var former = map[string]string{"store": "redis", "keys": "secrets", "site": "web"}

// renamed registers the components with a Name, under the new names of former or under the old ones.
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

// A renamed component keeps its objects unchanged, including labels and references. TestRename of internal/engine
// observes that the engine keeps them as resources.
func TestRenamedComponentKeepsItsObjects(t *testing.T) {
	objects := func(anew bool) map[string]map[string]any {
		found := map[string]map[string]any{}
		engine := &componenttest.Engine{Stash: map[string]any{ // the same values under old and new names, as with an alias
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
