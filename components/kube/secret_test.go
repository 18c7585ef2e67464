package kube

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

func TestKeyedHash(t *testing.T) {
	entries := func(password, user string) map[string]string {
		return map[string]string{"password": password, "user": user}
	}
	hash := func(key string, entries any) string {
		sum, err := keyedHash(key, entries)
		if err != nil || len(sum) != 16 {
			t.Fatalf("got %q, %v", sum, err)
		}
		return sum
	}
	before := hash("key", entries("p", "u"))
	if again := hash("key", entries("p", "u")); again != before {
		t.Errorf("the same key and entries give %s and %s", before, again)
	}
	for change, after := range map[string]string{
		"another key": hash("other", entries("p", "u")), "another password": hash("key", entries("q", "u")),
		"another user": hash("key", entries("p", "v")), "exchanged values": hash("key", entries("u", "p")),
	} {
		if after == before {
			t.Errorf("%s gives the same hash", change)
		}
	}
}

// checksumOf returns the checksum annotation of the pods of an app with a Secret, after `pulumi up`. key is the value
// in the state; nil for the first `pulumi up`.
func checksumOf(t *testing.T, key any, password string) string {
	t.Helper()
	engine := &componenttest.Engine{}
	if key != nil {
		engine.Stash = map[string]any{"redis-auth-version-key": key}
	}
	err := engine.Run(func(ctx *pulumi.Context) error {
		args := testRedisSecret()
		args.Password = pulumi.String(password)
		secret, err := NewRedisSecret(ctx, "redis", args)
		if err != nil {
			return err
		}
		web := testWeb()
		web.Bindings = []Binding{secret.Bind(testElsewhere, testNames)}
		_, err = NewWebApp(ctx, "web", web)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := offline.Lookup(engine.State("Deployment", "web"),
		"spec", "template", "metadata", "annotations", "checksum/config").(string)
	if sum == "" {
		t.Fatal("the pods have no checksum in plain text")
	}
	return sum
}

// Everyone who may read pods could test passwords against a hash without a key.
func TestChecksumTellsNothingOfThePassword(t *testing.T) {
	if first, other := checksumOf(t, nil, testPassword), checksumOf(t, nil, testPassword); first == other {
		t.Errorf("two stacks with the same password have the same checksum %s: it depends only on the password", first)
	}
	before := checksumOf(t, "key", testPassword)
	if again := checksumOf(t, "key", testPassword); again != before {
		t.Errorf("without a change: got checksum %s, want %s: all pods would be replaced", again, before)
	}
	if after := checksumOf(t, "key", testPassword+"!"); after == before {
		t.Error("another password has the same checksum: the pods would keep the old one")
	}
}

// Each run generates a key, but the state keeps the first one.
func TestVersionKeyStays(t *testing.T) {
	stash := componenttest.Find(t, recordEverything(t), "Stash", "redis-auth-version-key")
	if ignored := offline.Lookup(stash.Options, "ignoreChanges", 0); ignored != "input" {
		t.Errorf("got options %v, want changes of the input ignored", stash.Options)
	}
	if _, secret := stash.Inputs["input"].(offline.Secret); !secret {
		t.Error("the key is not a secret")
	}
}

func TestSecretWithoutAKeyIsRefused(t *testing.T) {
	for _, lost := range []any{"", nil} {
		engine := &componenttest.Engine{Stash: map[string]any{"s-version-key": lost}}
		err := engine.Run(func(ctx *pulumi.Context) error {
			s, err := NewSecret(ctx, "s", &SecretArgs{
				Namespace: pulumi.String("ns"), Data: map[string]pulumi.StringInput{"a": pulumi.String("b")},
			})
			if err != nil {
				return err
			}
			ctx.Export("version", s.Ref.Version)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "has no key") {
			t.Errorf("%v: got %v, want an error about the lost key", lost, err)
		}
	}
}
