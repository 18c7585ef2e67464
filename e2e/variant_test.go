package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the folder of the project.
const root = ".."

// edits change files of the project: by file, old and new texts in turn, or the whole content of a new file.
type edits map[string][]string

// changed returns the contents of the changed files.
func (e edits) changed(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, texts := range e {
		if len(texts) == 1 {
			files[name] = texts[0]
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
		for ; len(texts) > 1; texts = texts[2:] {
			if n := strings.Count(files[name], texts[0]); n != 1 {
				t.Fatalf("%s has %d occurrences of %q, want one", name, n, texts[0])
			}
			files[name] = strings.Replace(files[name], texts[0], texts[1], 1)
		}
	}
	return files
}

// crashing is an app that ends as soon as it starts, wrongRedis one that looks for Redis at another address.
var (
	crashing = edits{"app/main.go": {
		"os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))", `panic("this image is broken")`,
	}}
	wrongRedis = edits{"components/redis/connection.go": {
		`e.Host: c.Host,`, `e.Host: pulumi.String("elsewhere.scaleout.svc"),`,
	}}
)

// manyApps declares as many web apps as the variable APPS says, each with its own name and host. Its program timehash
// prints the hash of a folder and the time in seconds: the best of three, because the first one reads from the disk.
var manyApps = edits{
	"kubernetes.go": {"kube.NewWebApp, webName,", "manyWebApps, webName,"},
	"many.go": {`package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
)

func manyWebApps(
	ctx *pulumi.Context, name string, args *kube.WebAppArgs, opts ...pulumi.ResourceOption,
) (*kube.WebApp, error) {
	apps, err := strconv.Atoi(os.Getenv("APPS"))
	if err != nil {
		return nil, err
	}
	var web *kube.WebApp
	for i := range apps {
		one, ingress := *args, *args.Ingress
		ingress.Hosts = []string{fmt.Sprintf("%s-%d.localhost", name, i)}
		one.Ingress = &ingress
		if web, err = kube.NewWebApp(ctx, fmt.Sprintf("%s-%d", name, i), &one, opts...); err != nil {
			return nil, err
		}
	}
	return web, nil
}
`},
	"timehash/main.go": {`package main

import (
	"fmt"
	"os"
	"time"

	"example.com/scaleout/components/image"
)

func main() {
	best, hash := time.Hour, ""
	for range 3 {
		start := time.Now()
		sum, err := image.ContentHash(os.Args[1], "Dockerfile")
		if err != nil {
			panic(err)
		}
		best, hash = min(best, time.Since(start)), sum
	}
	fmt.Print(hash, " ", best.Seconds())
}
`},
}

// renamedWithAlias gives two components other names, while their objects keep theirs; renamedWithoutAlias does it in
// the wrong way.
var (
	renamedWithAlias    = renamed(`[]pulumi.ResourceOption{pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(name)}})}`)
	renamedWithoutAlias = renamed(`nil`)
)

func renamed(options string) edits {
	return edits{
		"kubernetes.go": {
			"kube.NewWebApp, webName,", "renamedWebApp, webName,",
			`kube.NewRedis, "redis",`, `renamedRedis, "redis",`,
		},
		"renamed.go": {`package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
)

func renamedWebApp(
	ctx *pulumi.Context, _ string, args *kube.WebAppArgs, opts ...pulumi.ResourceOption,
) (*kube.WebApp, error) {
	args.Name = "web"
	return kube.NewWebApp(ctx, "site", args, append(opts, formerly("web")...)...)
}

func renamedRedis(
	ctx *pulumi.Context, _ string, args *kube.RedisArgs, opts ...pulumi.ResourceOption,
) (*kube.Redis, error) {
	args.Name = "redis"
	return kube.NewRedis(ctx, "store", args, append(opts, formerly("redis")...)...)
}

func formerly(name string) []pulumi.ResourceOption {
	return ` + options + `
}
`},
	}
}

// TestVariantsCompile: the end-to-end tests, which run rarely, still fit the program that they change.
func TestVariantsCompile(t *testing.T) {
	for name, variant := range map[string]struct {
		edits
		module   string
		packages []string
	}{
		"crashing":            {crashing, "app", []string{"."}},
		"wrongRedis":          {wrongRedis, ".", []string{"./components/redis"}},
		"manyApps":            {manyApps, ".", []string{".", "./timehash"}},
		"renamedWithAlias":    {renamedWithAlias, ".", []string{"."}},
		"renamedWithoutAlias": {renamedWithoutAlias, ".", []string{"."}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, replace := t.TempDir(), map[string]string{}
			for file, content := range variant.changed(t) {
				path, err := filepath.Abs(filepath.Join(root, file))
				if err != nil {
					t.Fatal(err)
				}
				replace[path] = filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
				if err := os.WriteFile(replace[path], []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			overlay, err := json.Marshal(map[string]any{"Replace": replace}) // `go help build`
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "overlay"), overlay, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			build := exec.Command("go", append([]string{"build", "-overlay", filepath.Join(dir, "overlay"), "-o", os.DevNull},
				variant.packages...)...)
			build.Dir = filepath.Join(root, variant.module)
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
