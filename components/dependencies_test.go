package components_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sdkForm is that of the import paths of providers' SDKs, of all makers.
var sdkForm = regexp.MustCompile(`/(pulumi-[a-z-]+)/sdk/`)

// providers are the SDKs that the packages may depend on, if any.
var providers = map[string]string{
	"components": "", "components/redis": "", "components/aws": "pulumi-aws",
	"components/docker": "pulumi-docker", "components/image": "pulumi-docker",
	"components/kube": "pulumi-kubernetes", "components/addons": "pulumi-kubernetes",
	"components/monitoring": "pulumi-kubernetes", "components/internal/objects": "pulumi-kubernetes",
}

// list runs go list for packages of this folder.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// A package is compiled and linked with all that it depends on: an SDK more costs minutes, and a program that imports
// it downloads its provider. What is a program's own (its configuration) is in no library.
func TestPackagesDependOnNoMoreThanTheyNeed(t *testing.T) {
	module := list(t, "-f", "{{.Module.Path}}", ".")[0] + "/"
	packages := list(t, "./...")
	for name := range providers {
		if !slices.Contains(packages, module+name) {
			t.Errorf("there is no package %s", name)
		}
	}
	for _, name := range packages {
		allowed, known := providers[strings.TrimPrefix(name, module)]
		if !known {
			t.Errorf("%s is a new package: say here which provider it needs", name)
			continue
		}
		for _, dependency := range list(t, "-deps", name) {
			if sdk := sdkForm.FindStringSubmatch(dependency); sdk != nil && sdk[1] != allowed {
				t.Errorf("%s depends on %s, want no provider but %q", name, dependency, allowed)
			}
			for _, program := range []string{"internal/config", "internal/decode", "internal/counter", "cluster/"} {
				if strings.HasPrefix(dependency, module+program) {
					t.Errorf("%s depends on %s, which is a program's own", name, dependency)
				}
			}
		}
	}
}
