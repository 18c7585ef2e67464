//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestRenameWithAlias: with an alias a component is renamed without a change of its objects. Without one the same
// rename would replace all of them, including Redis and its data.
func TestRenameWithAlias(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	up(t) // so that only the rename causes changes
	renamed := func(to edits) map[string]string {
		return changes(t, "--cwd", variant(t, to), "--config-file", localStackFile(t))
	}

	got := renamed(renamedWithAlias)
	for resource, operation := range got {
		t.Errorf("renaming with an alias: %s of %s", operation, resource)
	}
	record(t, "engine", "the app and Redis renamed with an alias", "nothing created, updated, replaced or deleted")

	control := renamed(renamedWithoutAlias)
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
