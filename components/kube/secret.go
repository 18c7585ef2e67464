package kube

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
)

// SecretArgs describe a Kubernetes Secret.
type SecretArgs struct {
	// Namespace of the pods that use it. Required.
	Namespace pulumi.StringInput
	// Name of the Secret, and what its labels call the instance. Empty for the component's name.
	Name string
	// Data are its entries. Each is kept as a secret. Required.
	Data map[string]pulumi.StringInput
	// Labels of the object besides the common ones.
	Labels map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *SecretArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Set("data", len(a.Data) > 0)...)
	problems = append(problems, check.Labels("labels", a.Labels)...)
	for key, value := range a.Data {
		if wrong := validation.IsConfigMapKey(key); len(wrong) > 0 {
			problems = append(problems, check.Invalid("data", key, wrong[0])...)
		}
		problems = append(problems, check.Set("data["+key+"]", value != nil)...)
	}
	return problems
}

// SecretRef names a Secret in the namespace of the pods that use it, made by the component Secret or by anything else.
type SecretRef struct {
	// Name of the Secret. Required.
	Name pulumi.StringInput
	// Version changes with the content, so that the pods are rolled. Nil: they read a change when they next start.
	Version pulumi.StringInput
}

// Secret is a Kubernetes Secret that outlives what uses it. It is a component of its own, since pods of several others
// mount it: were it part of a backing service, replacing that by another kind would delete it under the running pods.
type Secret struct {
	pulumi.ResourceState

	// Ref is what Binding and Container take.
	Ref SecretRef
}

// NewSecret creates the Secret.
func NewSecret(ctx *pulumi.Context, name string, args *SecretArgs, opts ...pulumi.ResourceOption) (*Secret, error) {
	s := &Secret{}
	app := objects.App{Name: "secret", Instance: cmp.Or(args.Name, name), Labels: args.Labels}
	problems := append(args.Validate(), check.ObjectName(app.Instance)...)
	if err := register(ctx, "Secret", name, problems, s, opts); err != nil {
		return nil, err
	}
	ref, err := newSecret(ctx, s, name, app.Instance, app, args.Namespace, args.Data)
	if err != nil {
		return nil, err
	}
	s.Ref = ref
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{"name": ref.Name})
}

// newSecret creates the object and the key to its version.
func newSecret(
	ctx *pulumi.Context, parent pulumi.Resource, name, object string, app objects.App, namespace pulumi.StringInput,
	data map[string]pulumi.StringInput, opts ...pulumi.ResourceOption,
) (SecretRef, error) {
	entries := pulumi.StringMap{}
	for key, value := range data {
		entries[key] = pulumi.ToSecret(value).(pulumi.StringOutput)
	}
	secret, err := corev1.NewSecret(ctx, name, &corev1.SecretArgs{
		Metadata: app.Meta(object, namespace), StringData: entries,
	}, append(opts, pulumi.Parent(parent))...)
	if err != nil {
		return SecretRef{}, creating("secret", name, err)
	}
	version, err := versionOf(ctx, parent, name, entries)
	return SecretRef{Name: secret.Metadata.Name().Elem(), Version: version}, err
}

// versionOf changes with the entries and says nothing about them. It is shown in pods, which more people may read than
// Secrets: a plain hash would let them try passwords. So the hash has a random key, which is in the state only, where
// a Stash keeps the one that it was created with: https://www.pulumi.com/docs/iac/concepts/resources/stash/
func versionOf(
	ctx *pulumi.Context, parent pulumi.Resource, name string, entries pulumi.StringMap,
) (pulumi.StringOutput, error) {
	key, err := pulumi.NewStash(ctx, name+"-version-key", &pulumi.StashArgs{
		Input: pulumi.ToSecret(pulumi.String(rand.Text())),
	}, pulumi.Parent(parent), pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return pulumi.StringOutput{}, creating("stash", name, err)
	}
	version := pulumi.All(key.Output, entries).ApplyT(func(all []any) (string, error) {
		random, known := all[0].(string)
		if !known || random == "" {
			return "", fmt.Errorf("the Stash %s-version-key has no key: without one a secret could be guessed by its hash", name)
		}
		return keyedHash(random, all[1])
	})
	return pulumi.Unsecret(version).(pulumi.StringOutput), nil
}

// keyedHash is of the entries in the order of their keys.
func keyedHash(key string, entries any) (string, error) {
	text, err := json.Marshal(entries)
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write(text)
	return hex.EncodeToString(sum.Sum(nil))[:versionLength], err
}

// versionLength in hexadecimal digits: 64 bits, enough to notice any change.
const versionLength = 16
