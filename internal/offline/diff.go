package offline

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// diffAgainst compares the working tree in dir with a Git ref, for each of the stacks, or all that either side has.
func diffAgainst(ctx context.Context, program pulumi.RunFunc, dir, ref string, stacks []string) (*report, error) {
	b, remove, err := checkOut(ctx, dir, ref)
	defer remove()
	if err != nil {
		return nil, err
	}
	if err := b.prepare(ctx, dir, program); err != nil {
		return nil, err
	}
	if len(stacks) == 0 {
		stacks = slices.Concat(stacksIn(dir), stacksIn(b.dir))
		slices.Sort(stacks)
		stacks = slices.Compact(stacks)
	}
	const shortHash = 10
	r := &report{base: ref, commit: b.commit[:shortHash]}
	if project, err := workspace.LoadProject(filepath.Join(dir, projectFile)); err == nil { // if not, running it says why
		r.project = project.Name.String()
	}
	for _, stack := range stacks {
		before, err := b.result(ctx, stack)
		if err != nil {
			return nil, err
		}
		after, err := current(program, dir, stack, before != nil)
		if err != nil {
			return nil, err
		}
		c, err := compare(stack, before, after)
		if err != nil {
			return nil, err
		}
		r.comparisons = append(r.comparisons, c)
	}
	return r, nil
}

// current is the result of the working tree; nil if the stack is gone. A stack on neither side is an error.
func current(program pulumi.RunFunc, dir, stack string, hadIt bool) (*Result, error) {
	if _, err := os.Stat(filepath.Join(dir, stackFile(stack))); err != nil && hadIt {
		return nil, nil
	}
	return Run(program, dir, stack)
}
