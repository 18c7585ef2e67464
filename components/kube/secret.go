package kube

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// SecretArgs describes a Kubernetes Secret.
type SecretArgs struct {
	// Namespace of the pods that use it. Required.
	Namespace pulumi.StringInput
	// Name of the Secret, and the instance in its labels. Empty for the component's name.
	Name string
	// Data holds the entries. Each is kept as a secret. Required.
	Data map[string]pulumi.StringInput
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *SecretArgs) Validate() field.ErrorList {
	problems := check.Set("data", len(a.Data) > 0)
	for key, value := range a.Data {
		problems = slices.Concat(problems, checkKey("data", key), check.Set("data["+key+"]", value != nil))
	}
	return problems
}

// SecretRef references a Secret in the namespace of the pods that use it, of a component Secret or another one.
type SecretRef struct {
	// Name of the Secret. Required.
	Name pulumi.StringInput
	// Version changes with the content, which triggers a rollout. Nil: running pods keep the old content until a restart.
	Version pulumi.StringInput
}

// Secret is a Kubernetes Secret that outlives its consumers, which are pods of several components: as a child of a
// backing service, it would be deleted under the running pods when that is replaced by another kind.
type Secret struct {
	pulumi.ResourceState

	// Ref references the Secret in a Binding.
	Ref SecretRef
}

// NewSecret creates the Secret.
func NewSecret(ctx *pulumi.Context, name string, args *SecretArgs, opts ...pulumi.ResourceOption) (*Secret, error) {
	args = cmp.Or(args, &SecretArgs{})
	s := &Secret{}
	o := objects.Owner{Pods: objects.Pods{Name: "secret", Instance: args.Name}, Namespace: args.Namespace}
	if err := o.Register(ctx, "Secret", name, args.Validate(), s, opts); err != nil {
		return nil, err
	}
	s.Ref = newSecret(o, "", args.Data)
	return s, o.Finish(pulumi.Map{"name": s.Ref.Name})
}

// newSecret creates the Secret, and a version that changes with the entries and reveals nothing about them. More people
// may read pods, which contain it, than Secrets, and could test passwords against a plain hash. The hash therefore has
// a random key, which is only in the state, where a Stash keeps its first value:
// https://www.pulumi.com/docs/iac/concepts/resources/stash/
func newSecret(
	o objects.Owner, suffix string, data map[string]pulumi.StringInput, opts ...pulumi.ResourceOption,
) SecretRef {
	entries := pulumi.StringMap{}
	for key, value := range data {
		entries[key] = pulumi.ToSecret(value).(pulumi.StringOutput)
	}
	secret := component.Create(o.Builder, corev1.NewSecret, suffix, &corev1.SecretArgs{
		Metadata: o.Meta(suffix), StringData: entries,
	}, opts...)
	key := component.Create(o.Builder, pulumi.NewStash, suffix+"-version-key", &pulumi.StashArgs{
		Input: pulumi.ToSecret(pulumi.String(rand.Text())),
	}, pulumi.IgnoreChanges([]string{"input"}))
	if o.Err() != nil {
		return SecretRef{}
	}
	version := pulumi.All(key.Output, entries).ApplyT(func(all []any) (string, error) {
		random, known := all[0].(string)
		if !known || random == "" {
			return "", fmt.Errorf("the Stash %s%s-version-key has no key, without which the hash could reveal the secret",
				o.Builder.Name, suffix)
		}
		return keyedHash(random, all[1])
	})
	return SecretRef{Name: objects.NameOf(secret.Metadata), Version: pulumi.Unsecret(version).(pulumi.StringOutput)}
}

// keyedHash returns the HMAC of the entries, sorted by key.
func keyedHash(key string, entries any) (string, error) {
	text, err := json.Marshal(entries)
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write(text)
	return hex.EncodeToString(sum.Sum(nil)[:8]), err // 64 bits are enough to notice any change
}

// Binding adds a backing service (a database, a queue, a cache) to the pods of an app: its address, the secrets that
// it requires, the connections to it, and the resources that must exist before the pods start.
type Binding struct {
	// Env are variables that hold no secrets.
	Env map[string]pulumi.StringInput
	// SecretEnv are entries of Secrets as variables. Prefer Files: variables are inherited by child processes.
	SecretEnv map[string]SecretKey
	// Files are entries of Secrets, mounted read-only.
	Files []SecretFiles
	// AllowTo lists the peers that the pods may connect to.
	AllowTo []Peer
	// RollOn is a value whose change triggers a rollout, such as the version of data that the pods read only when they
	// start. Versions of Secrets do so already. It must not be a secret: everyone who may read pods sees a hash of it.
	RollOn pulumi.StringInput
	// After lists the resources that must exist before the first pod starts.
	After []pulumi.Resource
}

// SecretKey references one entry of a Secret.
type SecretKey struct {
	Secret SecretRef
	// Key of the entry. Required.
	Key string
}

// SecretFiles mounts entries of one Secret as files of a folder.
type SecretFiles struct {
	// Dir is an absolute path at which nothing else is mounted. Required.
	Dir    string
	Secret SecretRef
	// Keys of the entries, and names of the files. Empty for all.
	Keys []string
}

// Validate reports everything wrong with the binding.
func (b *Binding) Validate() field.ErrorList {
	problems := slices.Concat(
		checkAll(check.Variable, "env", slices.Sorted(maps.Keys(b.Env))),
		checkAll(check.Variable, "secretEnv", slices.Sorted(maps.Keys(b.SecretEnv))),
		check.Each("files", b.Files, (*SecretFiles).validate),
		check.Each("allowTo", b.AllowTo, (*Peer).Validate),
	)
	for name, key := range b.SecretEnv {
		problems = append(problems, check.Set("secretEnv["+name+"]", key.Secret.Name != nil && key.Key != "")...)
	}
	return problems
}

func (f *SecretFiles) validate() field.ErrorList {
	return slices.Concat(check.Set("secret", f.Secret.Name != nil), check.Path("dir", f.Dir),
		checkAll(checkKey, "keys", f.Keys))
}

// checkKey accepts the key of an entry of a Secret.
func checkKey(name, key string) field.ErrorList {
	wrong := validation.IsConfigMapKey(key)
	return check.That(len(wrong) == 0, name, key, strings.Join(wrong, "; "))
}

// checkAll applies a check to each value of a field.
func checkAll(
	form func(name, value string) field.ErrorList, name string, values []string,
) (problems field.ErrorList) {
	for _, value := range values {
		problems = append(problems, form(name, value)...)
	}
	return problems
}
