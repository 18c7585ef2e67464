package offline

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// No output contains a secret, in any form, or its placeholder.
func TestNoOutputHoldsASecret(t *testing.T) {
	r := runDemo(t)
	outputs := map[string]string{"preview": r.Preview()}
	for name, content := range rendered(t, r, t.TempDir()) {
		outputs["render "+name] = content
	}
	files, err := r.Golden()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		outputs["golden "+name] = content
	}
	for name, output := range outputs {
		for _, secret := range []string{plainSecret, "cGxhaW4=", "offline-placeholder", "pw-"} {
			if strings.Contains(output, secret) {
				t.Errorf("%s contains %q:\n%s", name, secret, output)
			}
		}
	}
}

func TestMissingSecrets(t *testing.T) {
	uses := func(keys ...string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			for _, key := range keys {
				if valueOf(ctx, key) == "" {
					return errors.New("demo:" + key + " is required; run: pulumi config set --secret " + key)
				}
				ctx.Export(key, secretOf(ctx, key))
			}
			return nil
		}
	}
	encrypted := stackYAML + "  demo:password:\n    secure: v1:AAAA:BBBB\n"
	for _, test := range []struct {
		name, stack string
		program     pulumi.RunFunc
		want        []string
	}{
		{"without a default it is always needed", stackYAML, uses(), []string{"key"}},
		{"an empty default that the program refuses", stackYAML, uses("password"), []string{"key", "password"}},
		{"two, named one after the other", stackYAML, uses("token", "password"), []string{"key", "password", "token"}},
		{"an encrypted value is not missing", encrypted, uses("password"), []string{"key"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Run(test.program, project(t, map[string]string{"dev": test.stack}), "dev")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(r.MissingSecrets, test.want) {
				t.Errorf("got %v, want %v", r.MissingSecrets, test.want)
			}
			for key, value := range r.Exports {
				if value != (Secret{}) {
					t.Errorf("output %s: got %v, want a secret without a value", key, value)
				}
			}
		})
	}
}

func TestWhatFollowsFromASecretIsHiddenAndReported(t *testing.T) {
	careless := func(ctx *pulumi.Context) error {
		key := valueOf(ctx, "key") // as plain text
		ctx.Export("length", pulumi.Int(len(key)))
		ctx.Export("copy", pulumi.String(key))
		ctx.Export("list", pulumi.StringArray{pulumi.String("a"), pulumi.String("b" + key)})
		return nil
	}
	r, err := Run(careless, project(t, map[string]string{"dev": stackYAML}), "dev")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"length": int64(len(firstPlaceholder)), "copy": Secret{}, "list": []any{"a", Secret{}}}
	if !reflect.DeepEqual(r.Exports, want) {
		t.Errorf("outputs: got %v, want %v", r.Exports, want)
	}
	if want := []string{"output copy", "output list[1]"}; !reflect.DeepEqual(r.Exposed, want) {
		t.Errorf("exposed: got %v, want %v", r.Exposed, want)
	}
	if got := runDemo(t).Exposed; got != nil {
		t.Errorf("a careful program: got %v, want none", got)
	}
}
