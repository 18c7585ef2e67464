package components_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sdkForm matches the import paths of provider SDKs.
var sdkForm = regexp.MustCompile(`/(pulumi-[a-z-]+)/sdk/`)

// providers maps each package to the one SDK that it may import, or "" for none.
var providers = map[string]string{
	"components": "", "components/redis": "", "components/aws": "pulumi-aws",
	"components/docker": "pulumi-docker", "components/image": "pulumi-docker",
	"components/kube": "pulumi-kubernetes", "components/addons": "pulumi-kubernetes",
	"components/monitoring": "pulumi-kubernetes", "components/internal/objects": "pulumi-kubernetes",
}

// list runs go list in this folder.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// A package is compiled and linked with all of its dependencies: one more SDK costs minutes, and a program that
// imports it downloads its provider. Code that belongs to a program, such as its configuration, is in no library
// package.
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
			t.Errorf("%s is a new package: add it to providers", name)
			continue
		}
		for _, dependency := range list(t, "-deps", name) {
			if sdk := sdkForm.FindStringSubmatch(dependency); sdk != nil && sdk[1] != allowed {
				t.Errorf("%s depends on %s, want no provider SDK except %q", name, dependency, allowed)
			}
			for _, program := range []string{"internal/config", "internal/decode", "internal/counter", "cluster/"} {
				if strings.HasPrefix(dependency, module+program) {
					t.Errorf("%s depends on %s, which belongs to a program", name, dependency)
				}
			}
		}
	}
}
