package kube

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Binding is what a backing service (a database, a queue, a cache) adds to the pods of an app: how they find it, the
// secrets that it takes, the connections that they may make, and what has to exist before they start.
type Binding struct {
	// Env are variables whose values are no secrets.
	Env map[string]pulumi.StringInput
	// SecretEnv are variables with the entries of Secrets. Prefer Files: a variable passes to child processes, and shows in
	// crash dumps.
	SecretEnv map[string]SecretKey
	// Files are entries of Secrets, mounted read-only.
	Files []SecretFiles
	// AllowTo are connections that the pods may make.
	AllowTo []Peer
	// Rolls is a value whose change replaces the pods, one by one. The versions of the Secrets do that without it.
	Rolls pulumi.StringInput
	// After is what has to exist before the first pod starts.
	After []pulumi.Resource
}

// SecretKey is one entry of a Secret.
type SecretKey struct {
	Secret SecretRef
	// Key of the entry. Required.
	Key string
}

// SecretFiles are entries of one Secret as files of a folder.
type SecretFiles struct {
	// Dir is an absolute path, which nothing else is mounted at. Required.
	Dir    string
	Secret SecretRef
	// Keys of the entries, and the names of the files. Empty for all.
	Keys []string
}

// Validate reports everything wrong with the binding.
func (b *Binding) Validate() field.ErrorList {
	problems := checkVariables("env", b.Env)
	problems = append(problems, checkVariables("secretEnv", b.SecretEnv)...)
	for name, key := range b.SecretEnv {
		problems = append(problems, check.Set("secretEnv["+name+"]", key.Secret.Name != nil && key.Key != "")...)
	}
	for i, f := range b.Files {
		problems = append(problems, check.In(field.NewPath("files").Index(i).String(), f.validate())...)
	}
	return append(problems, checkPeers("allowTo", b.AllowTo)...)
}

func (f *SecretFiles) validate() field.ErrorList {
	problems := check.Set("secret", f.Secret.Name != nil)
	problems = append(problems, checkDir("dir", f.Dir)...)
	for _, key := range f.Keys {
		if wrong := validation.IsConfigMapKey(key); len(wrong) > 0 {
			problems = append(problems, check.Invalid("keys", key, wrong[0])...)
		}
	}
	return problems
}

// checkDir wants a path at which a volume can be mounted.
func checkDir(name, dir string) field.ErrorList {
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" || strings.Contains(dir, ":") {
		return check.Invalid(name, dir, "must be the absolute path of a folder, such as /tmp, without : and without / at its end")
	}
	return nil
}

func checkVariables[V any](name string, variables map[string]V) (problems field.ErrorList) {
	for _, variable := range slices.Sorted(maps.Keys(variables)) {
		problems = append(problems, check.Variable(name, variable)...)
	}
	return problems
}
