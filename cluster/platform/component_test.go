package platform

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// After the first error nothing more is created, and the component fails with that error.
func TestBuilderStopsAtTheFirstError(t *testing.T) {
	failure, calls := errors.New("no such argument"), 0
	construct := func(*pulumi.Context, string, *struct{}, ...pulumi.ResourceOption) (*Part, error) {
		calls++
		return nil, failure
	}
	b := &builder{parent: &Part{}, name: "network"}
	for range 2 {
		if create(b, construct, "", &struct{}{}) == nil {
			t.Error("got nil, want an empty resource")
		}
	}
	if err := b.finish(pulumi.Map{}); calls != 1 || !errors.Is(err, failure) {
		t.Errorf("got %d calls and %v, want one call and its error", calls, err)
	}
}
