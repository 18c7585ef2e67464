// Package renovate tests that renovate.json finds every version that is pinned outside the files that Renovate supports
// natively. Renovate does not report an expression that matches nothing: the version would silently stay outdated.
package renovate

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const root = "../.."

// manager is a custom manager of renovate.json: https://docs.renovatebot.com/modules/manager/regex/
type manager struct {
	ManagerFilePatterns, MatchStrings []string
	DepNameTemplate                   string
}

// found is a dependency that Renovate would update.
type found struct{ name, value, digest string }

func managers(t *testing.T) []manager {
	t.Helper()
	var config struct{ CustomManagers []manager }
	if err := json.Unmarshal([]byte(read(t, "renovate.json")), &config); err != nil {
		t.Fatal(err)
	}
	return config.CustomManagers
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// find returns the dependencies that the custom managers find in a file. Renovate uses RE2, like package regexp.
func find(t *testing.T, file, content string) []found {
	t.Helper()
	var all []found
	for _, m := range managers(t) {
		for _, pattern := range m.ManagerFilePatterns {
			if !regexp.MustCompile(strings.Trim(pattern, "/")).MatchString(file) {
				continue
			}
			for _, expression := range m.MatchStrings {
				form := regexp.MustCompile(expression)
				for _, match := range form.FindAllStringSubmatch(content, -1) {
					groups := map[string]string{"depName": m.DepNameTemplate}
					for i, name := range form.SubexpNames() {
						if name != "" {
							groups[name] = match[i]
						}
					}
					all = append(all, found{groups["depName"], groups["currentValue"], groups["currentDigest"]})
				}
			}
		}
	}
	return all
}

// The default images, and nothing else, are found, also with the digest that Renovate adds.
func TestDefaultsOfProjects(t *testing.T) {
	for _, file := range []string{"Pulumi.yaml", "cluster/Pulumi.yaml"} {
		content := read(t, file)
		want := defaultImages(t, content)
		if file == "Pulumi.yaml" && len(want) == 0 {
			t.Errorf("%s has no image", file)
		}
		compare(t, file, content, want)
		const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		for i, image := range want {
			name, _, _ := strings.Cut(image, "@")
			content = strings.Replace(content, "default: "+image+"\n", "default: "+name+digest+"\n", 1)
			want[i] = name + digest
		}
		compare(t, file, content, want)
	}
}

// compare requires exactly these images in a file, in any order.
func compare(t *testing.T, file, content string, want []string) {
	t.Helper()
	var got []string
	for _, f := range find(t, file, content) {
		image := f.name + ":" + f.value
		if f.digest != "" {
			image += "@" + f.digest
		}
		got = append(got, image)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("renovate.json finds in %s\n%q, want\n%q", file, got, want)
	}
}

// defaultImages returns the defaults of keys that end in Image.
func defaultImages(t *testing.T, project string) []string {
	t.Helper()
	var file struct {
		Config map[string]struct{ Default any }
	}
	if err := yaml.Unmarshal([]byte(project), &file); err != nil {
		t.Fatal(err)
	}
	var images []string
	for key, declared := range file.Config {
		if image, _ := declared.Default.(string); strings.HasSuffix(key, "Image") && image != "" {
			images = append(images, image)
		}
	}
	return images
}

// Images in Go sources are found too.
func TestImagesOfPrograms(t *testing.T) {
	image, images := regexp.MustCompile(`"([\w-]+\.[\w.-]+/[^"\s:]+:[\w.-]+)"`), 0
	for _, folder := range []string{"cmd", "examples"} {
		err := fs.WalkDir(os.DirFS(root), folder, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			content := read(t, file)
			var want []string
			for _, match := range image.FindAllStringSubmatch(content, -1) {
				want = append(want, match[1])
			}
			images += len(want)
			compare(t, file, content, want)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if images < 3 { // contract's Redis, scaleout's registry, minimal's app
		t.Errorf("got %d images in programs", images)
	}
}

// Renovate natively updates the default of an ARG if a FROM line of the same file consists of the ARG only.
func TestImagesOfDockerfiles(t *testing.T) {
	arg := regexp.MustCompile(`(?m)^ARG (\w+_IMAGE)=(\S+)$`)
	files, err := fs.Glob(os.DirFS(root), "*/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	images := 0
	for _, file := range files {
		content := read(t, file)
		for _, match := range arg.FindAllStringSubmatch(content, -1) {
			images++
			if !regexp.MustCompile(`(?m)^FROM \$\{` + match[1] + `\}( AS \w+)?$`).MatchString(content) {
				t.Errorf("%s: no FROM consists of ${%s} only, so nothing updates %s", file, match[1], match[2])
			}
		}
		if got := find(t, file, content); got != nil {
			t.Errorf("%s: %v would be updated twice", file, got)
		}
	}
	if images == 0 {
		t.Error("no Dockerfile has an image as a default")
	}
}

// Actions are pinned by digest; the comment after it gives Renovate the version.
func TestActions(t *testing.T) {
	files, err := fs.Glob(os.DirFS(root), ".github/workflows/*.y*ml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got no workflows, %v", err)
	}
	uses, pinned := regexp.MustCompile(`uses: .*`), regexp.MustCompile(`^uses: \S+@[0-9a-f]{40} # v[0-9.]+$`)
	for _, file := range files {
		for _, use := range uses.FindAllString(read(t, file), -1) {
			if !pinned.MatchString(use) {
				t.Errorf("%s: %s does not have the form <action>@<digest> # <version>", file, use)
			}
		}
	}
}

// All modules require the same version of a direct dependency: each further version must be compiled too, which adds
// minutes to the first run of the tests.
func TestModulesShareVersions(t *testing.T) {
	files, err := fs.Glob(os.DirFS(root), "*/go.mod")
	if err != nil || len(files) < 5 {
		t.Fatalf("got the modules %q, %v", files, err)
	}
	requirement, versions := regexp.MustCompile(`(?m)^(?:require |\t)(\S+) (v\S+)$`), map[string]string{}
	for _, file := range append(files, "go.mod", "tools/kubeconform/go.mod") {
		for _, match := range requirement.FindAllStringSubmatch(read(t, file), -1) {
			if other := versions[match[1]]; other != "" && other != match[2] {
				t.Errorf("%s requires %s %s, another module %s", file, match[1], match[2], other)
			}
			versions[match[1]] = match[2]
		}
	}
}
