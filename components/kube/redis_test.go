package kube

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// secretAnd registers the Secret of a Redis and, if given, a server in the cluster.
func secretAnd(server *RedisArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		secret, err := NewRedisSecret(ctx, "redis", testRedisSecret(), opts...)
		if err != nil || server == nil {
			return err
		}
		args := *server
		args.Secret = secret
		_, err = NewRedis(ctx, "redis", &args)
		return err
	}
}

// Switching to another kind of Redis must not delete the Secret that the pods mount: they could not restart.
func TestSecretIsTheSameForEveryKindOfRedis(t *testing.T) {
	inCluster := componenttest.Record(t, secretAnd(testRedis(nil)))
	elsewhere := componenttest.Record(t, secretAnd(nil))
	for _, name := range [][2]string{{"Secret", "redis-auth"}, {"Stash", "redis-auth-version-key"}} {
		a := componenttest.Find(t, inCluster, name[0], name[1])
		b := componenttest.Find(t, elsewhere, name[0], name[1])
		if a.URN != b.URN || a.Parent != b.Parent || !strings.Contains(a.Parent, "scaleout:index:RedisSecret::redis") {
			t.Errorf("got %s below %s, and %s below %s, want one below the RedisSecret", a.URN, a.Parent, b.URN, b.Parent)
		}
	}
	a, b := componenttest.Find(t, inCluster, "Secret", "redis-auth"), componenttest.Find(t, elsewhere, "Secret",
		"redis-auth")
	if !reflect.DeepEqual(a.Inputs, b.Inputs) {
		t.Errorf("got %v and %v, want the same", a.Inputs, b.Inputs)
	}
}

// Stacks of version 0 contain the Secret as a child of the Redis component; without an alias it would be replaced.
func TestSecretIsTakenOver(t *testing.T) {
	own := pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("store")}})
	shared := append(make([]pulumi.ResourceOption, 0, 8), own) // spare capacity reveals an append in place
	engine := &componenttest.Engine{}
	if err := engine.Run(secretAnd(nil, shared...)); err != nil {
		t.Fatal(err)
	}
	var parents, types, names []string
	for _, alias := range engine.Aliases("Secret", "redis-auth") {
		if parent := alias.GetSpec().GetParentUrn(); parent != "" {
			parents = append(parents, parent)
		}
	}
	for _, alias := range engine.Aliases("RedisSecret", "redis") {
		types, names = append(types, alias.GetSpec().GetType()), append(names, alias.GetSpec().GetName())
	}
	for _, kind := range []string{"Redis", "ElastiCache"} {
		if want := "urn:pulumi:test::scaleout::scaleout:index:" + kind + "::redis"; !slices.Contains(parents, want) {
			t.Errorf("the former parents are %q, want %s among them", parents, want)
		}
	}
	if !slices.Contains(types, "scaleout:index:ExternalRedis") || !slices.Contains(names, "store") {
		t.Errorf("the former types are %q and the names %q, want ExternalRedis and store among them", types, names)
	}
	if spare := shared[:2]; spare[1] != nil {
		t.Error("the component changed the caller's slice of options")
	}
}

func TestSecretHoldsOnlyWhatIsRead(t *testing.T) {
	for _, withCA := range []bool{false, true} {
		result := componenttest.Record(t, func(ctx *pulumi.Context) error {
			args := testRedisSecret()
			if withCA {
				args.CA = pulumi.String("-----BEGIN CERTIFICATE-----")
			}
			secret, err := NewRedisSecret(ctx, "redis", args)
			if err != nil {
				return err
			}
			web := testWeb()
			web.Bindings = []Binding{secret.Bind(testElsewhere, testNames)}
			_, err = NewWebApp(ctx, "web", web)
			return err
		})
		entries, mounted := []string{"auth.conf", "password"}, []any{"password"}
		if withCA {
			entries, mounted = []string{"auth.conf", "ca.crt", "password"}, []any{"ca.crt", "password"}
		}
		data := componenttest.Value(t, result, "Secret", "redis-auth", "stringData")
		if secret, marked := data.(offline.Secret); marked {
			data = secret.Value
		}
		fields, _ := data.(map[string]any)
		if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, entries) {
			t.Errorf("the Secret has %v, want %v", got, entries)
		}
		// The app gets no files of the server.
		items, _ := offline.Lookup(podSpec(t, result), "volumes", 0, "secret", "items").([]any)
		var keys []any
		for _, item := range items {
			keys = append(keys, offline.Lookup(item, "key"))
		}
		if !slices.Equal(keys, mounted) {
			t.Errorf("the pods mount %v, want %v", keys, mounted)
		}
		for name, want := range map[string]any{
			"REDIS_HOST": "redis.example.com", "REDIS_PORT": "6380", "REDIS_TLS": "true", "REDIS_USERNAME": "app",
			"REDIS_PASSWORD_FILE": "/etc/redis/password", "REDIS_CA_FILE": map[bool]any{true: "/etc/redis/ca.crt"}[withCA],
		} {
			if got := variable(podSpec(t, result), name); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	}
}

// An app that reads few names gets few variables, and no unused file.
func TestBindPassesOnlyTheNamesThatAreGiven(t *testing.T) {
	secret := &RedisSecret{ref: SecretRef{Name: pulumi.String("s")}, hasCA: true}
	b := secret.Bind(testElsewhere, redis.Environment{Host: "HOST", Password: "PASSWORD"})
	if got := slices.Sorted(maps.Keys(b.Env)); !slices.Equal(got, []string{"HOST"}) || b.Files != nil {
		t.Errorf("got variables %v and files %v, want HOST and none", got, b.Files)
	}
	if key := b.SecretEnv["PASSWORD"]; key.Key != redis.PasswordFile || len(b.SecretEnv) != 1 {
		t.Errorf("got %v, want the password's entry of the Secret", b.SecretEnv)
	}
	if to := b.AllowTo[0]; !to.Anyone || !slices.Equal(to.Ports, []int{6380}) {
		t.Errorf("got %+v, want the port of a Redis with an unknown address", to)
	}
	if problems := b.Validate(); len(problems) > 0 {
		t.Errorf("got %v, want the binding accepted", problems)
	}
}

// A replaced Redis serves until the app's old pods are gone, and is not killed before it has finished.
func TestRedisOutlivesItsClients(t *testing.T) {
	result := componenttest.Record(t, secretAnd(testRedis(nil)))
	spec := offline.Lookup(componenttest.Find(t, result, "StatefulSet", "redis").Inputs, "spec", "template", "spec")
	if grace := offline.Lookup(spec, "terminationGracePeriodSeconds"); grace != int64(redis.LingerSeconds+30) {
		t.Errorf("got a grace period of %v s, want 30 s more than the %d for clients", grace, redis.LingerSeconds)
	}
	if got := offline.Lookup(spec, "containers", 0, "lifecycle", "preStop", "exec", "command", 2); got != redis.Linger() {
		t.Errorf("got the preStop command %v, want %q", got, redis.Linger())
	}
	policy := componenttest.Find(t, result, "NetworkPolicy", "redis").URN
	server := componenttest.Find(t, result, "StatefulSet", "redis")
	if !slices.Contains(server.Dependencies, policy) {
		t.Errorf("it depends on %q, want the network policy too, which would be deleted first", server.Dependencies)
	}
}

// The class of a claim is immutable: the claim would be replaced, and the data lost.
func TestAnotherStorageClassIsRefused(t *testing.T) {
	for class, had := range map[string]any{"": "", "gp3": "gp3"} {
		args := testRedis(nil)
		args.StorageClass = class
		engine := &componenttest.Engine{Stash: map[string]any{"redis-data-class": had}}
		if err := engine.Run(secretAnd(args)); err != nil || engine.State("PersistentVolumeClaim", "redis-data") == nil {
			t.Errorf("class %q: got %v, want the claim", class, err)
		}
		engine.Stash["redis-data-class"] = "another"
		err := engine.Run(secretAnd(args))
		if err == nil || !strings.Contains(err.Error(), "storageClass: ") || !strings.Contains(err.Error(), `"another"`) {
			t.Errorf("class %q: got %v, want an error with both classes", class, err)
		}
		if engine.State("PersistentVolumeClaim", "redis-data") != nil {
			t.Errorf("class %q: the claim is registered anyway", class)
		}
	}
}

func TestClaimOfRedis(t *testing.T) {
	args := testRedis(nil)
	args.StorageClass, args.Protect = "gp3", true
	result := componenttest.Record(t, secretAnd(args))
	stash := componenttest.Find(t, result, "Stash", "redis-data-class")
	if offline.Lookup(stash.Options, "ignoreChanges", 0) != "input" || stash.Inputs["input"] != "gp3" {
		t.Errorf("got %v with %v, want the first class kept", stash.Inputs, stash.Options)
	}
	claim := componenttest.Find(t, result, "PersistentVolumeClaim", "redis-data")
	if claim.Options["protect"] != true || offline.Lookup(claim.Inputs, "spec", "storageClassName") != "gp3" {
		t.Errorf("got %v with %v, want a protected claim of class gp3", claim.Inputs, claim.Options)
	}
	args.Protect = false
	if claim = componenttest.Find(t, componenttest.Record(t, secretAnd(args)), "PersistentVolumeClaim",
		"redis-data"); claim.Options["protect"] != nil {
		t.Errorf("got options %v, want no protection", claim.Options)
	}
	args.Ephemeral, args.StorageSize = true, ""
	result = componenttest.Record(t, secretAnd(args))
	if componenttest.Has(result, "PersistentVolumeClaim") || len(componenttest.Pods(result)) != 1 {
		t.Error("a Redis without persistence has a claim, or no pod")
	}
}
