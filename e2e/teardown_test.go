//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// Destroy goes last, since Go runs tests in the order of the source, and takes everything with it.
func TestDestroyLeavesNothing(t *testing.T) {
	requireTarget(t, "kind")
	o := up(t)
	if before := managed(t); len(before) < 20 {
		t.Fatalf("only %d objects carry the label of this program, so their absence would prove nothing: %v", len(before), before)
	}
	start := time.Now()
	pulumi(t, "destroy", "--yes", "--skip-preview", "--stack", stackName())
	t.Logf("pulumi destroy: %.1f s", time.Since(start).Seconds())
	if left := append(managed(t), volumesOf(t, o.Namespace)...); len(left) > 0 {
		t.Errorf("destroy left %s", strings.Join(left, ", "))
	}
}
