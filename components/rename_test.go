package components

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/offline"
)

// former are the names that the components of renamed had before.
var former = map[string]string{"store": "redis", "remote": "external", "site": "web"}

// renamed registers the components that have a Name under the new names of former, or under the old ones.
func renamed(ctx *pulumi.Context, anew bool) error {
	called := func(component string) (name, objects string, opts []pulumi.ResourceOption) {
		if old := former[component]; anew {
			return component, old, []pulumi.ResourceOption{pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(old)}})}
		}
		return former[component], "", nil
	}
	namespace, password := pulumi.String("ns"), pulumi.String(testPassword)
	name, objects, opts := called("remote")
	if _, err := NewExternalRedis(ctx, name, &ExternalRedisArgs{
		Namespace: namespace, Name: objects, Password: password,
		ExternalRedisSettings: ExternalRedisSettings{Host: "redis.example.com", Port: 6379},
	}, opts...); err != nil {
		return err
	}
	name, objects, opts = called("store")
	redis, err := NewRedis(ctx, name, &RedisArgs{
		Namespace: namespace, Name: objects, Password: password, RedisSettings: testRedis,
		Clients: []App{WebAppPods("web")},
	}, opts...)
	if err != nil {
		return err
	}
	name, objects, opts = called("site")
	_, err = NewWebApp(ctx, name, &WebAppArgs{
		Namespace: namespace, Name: objects, Image: pulumi.String("x@sha256:0"), Redis: redis.Connection,
		WebAppSettings: testWeb,
	}, opts...)
	return err
}

// A component that is renamed keeps its objects as they are, labels and references to each other included.
func TestRenamedComponentKeepsItsObjects(t *testing.T) {
	objects := func(anew bool) map[string]map[string]any {
		found := map[string]map[string]any{}
		for _, r := range record(t, func(ctx *pulumi.Context) error { return renamed(ctx, anew) }).Resources {
			if object, ok := r.Object(); ok {
				found[object.String()] = r.Inputs
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
	before := record(t, func(ctx *pulumi.Context) error { return renamed(ctx, false) })
	after := record(t, func(ctx *pulumi.Context) error { return renamed(ctx, true) })
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
