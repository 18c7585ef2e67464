//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDestroyLeavesNothing: destroy runs last, because Go runs tests in the order of the source, and removes
// everything.
func TestDestroyLeavesNothing(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o := up(t)
	before := managed(t)
	if len(before) < 20 {
		t.Fatalf("only %d objects have the label of this program, so their absence would prove nothing: %v",
			len(before), before)
	}
	start := time.Now()
	pulumi(t, "destroy", "--yes", "--skip-preview", "--stack", stackName())
	took := time.Since(start)
	left := append(managed(t), volumesOf(t, o.Namespace)...)
	if len(left) > 0 {
		t.Errorf("destroy left %s", strings.Join(left, ", "))
	}
	record(t, "engine", fmt.Sprintf("destroy of %d objects, %s", len(before), seconds(took)),
		fmt.Sprintf("%d objects or volumes left", len(left)))
}
