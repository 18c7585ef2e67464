//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// renamedComponents gives two components other names, while their objects keep theirs. %s stands for the options.
const renamedComponents = `package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
)

func renamedWebApp(
	ctx *pulumi.Context, args *kube.WebAppArgs, opts ...pulumi.ResourceOption,
) (*kube.WebApp, error) {
	args.Name = "web"
	return kube.NewWebApp(ctx, "site", args, append(opts, formerly("web")...)...)
}

func renamedRedis(
	ctx *pulumi.Context, args *kube.RedisArgs, opts ...pulumi.ResourceOption,
) (*kube.Redis, error) {
	args.Name = "redis"
	return kube.NewRedis(ctx, "store", args, append(opts, formerly("redis")...)...)
}

func formerly(name string) []pulumi.ResourceOption {
	return %s
}
`

// The options of the renamed components, with the alias and without it.
const (
	withAlias    = `[]pulumi.ResourceOption{pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(name)}})}`
	withoutAlias = `nil`
)

// addFile adds a file to a variant of the project.
func addFile(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRenameWithAlias: with an alias a component is renamed without a change of its objects. Without one the same
// rename would replace all of them, including Redis and its data.
func TestRenameWithAlias(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	up(t) // so that only the rename causes changes
	dir := variant(t, map[string][]string{"kubernetes.go": {
		"kube.NewWebApp(ctx, webName, ", "renamedWebApp(ctx, ",
		`kube.NewRedis(ctx, "redis", `, "renamedRedis(ctx, ",
	}})
	renamed := func(options string) map[string]string {
		addFile(t, dir, "renamed.go", fmt.Sprintf(renamedComponents, options))
		return changes(t, "--cwd", dir, "--config-file", localStackFile(t))
	}

	got := renamed(withAlias)
	for resource, operation := range got {
		t.Errorf("renaming with an alias: %s of %s", operation, resource)
	}
	record(t, "engine", "the app and Redis renamed with an alias", "nothing created, updated, replaced or deleted")

	control := renamed(withoutAlias)
	for _, kind := range []string{
		"kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet", "kubernetes:core/v1:PersistentVolumeClaim",
	} {
		created, deleted := countOf(control, "create", kind), countOf(control, "delete", kind)
		if created != 1 || deleted != 1 {
			t.Errorf("renaming without an alias creates %d and deletes %d of %s, want one each", created, deleted, kind)
		}
	}
	record(t, "engine", "the same without an alias (which is why it is there)", fmt.Sprintf(
		"%d to create, %d to delete, Redis' data among them", countOf(control, "create", ""), countOf(control, "delete", "")))
}

// countOf counts the resources of a kind with a planned operation.
func countOf(changed map[string]string, operation, kind string) int {
	return len(slices.DeleteFunc(slices.Collect(maps.Keys(changed)), func(resource string) bool {
		return changed[resource] != operation || !strings.HasPrefix(resource, kind)
	}))
}
