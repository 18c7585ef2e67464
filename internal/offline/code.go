package offline

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// hasCodeOf tells whether the base has the same code as the working tree in dir. If in doubt it has not.
func (b *base) hasCodeOf(ctx context.Context, dir string) (bool, error) {
	tracked, err := git(ctx, dir, "diff", "--name-only", "--no-renames", "-z", b.commit)
	if err != nil {
		return false, fmt.Errorf("listing what has changed since %s: %w", b.ref, err)
	}
	untracked, err := git(ctx, dir, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
	if err != nil {
		return false, fmt.Errorf("listing new files: %w", err)
	}
	for _, name := range strings.Split(tracked+"\x00"+untracked, "\x00") {
		inDir, ok := strings.CutPrefix(name, b.prefix)
		if name != "" && (!ok || !noCode(dir, inDir)) {
			return false, nil
		}
	}
	return true, nil
}

// noCode tells whether a file cannot be part of the program: configuration, documentation, a test, or part of another
// Go module. Any other may be compiled or embedded.
func noCode(dir, name string) bool {
	base := path.Base(name)
	switch {
	case base == name && strings.HasPrefix(name, "Pulumi.") && strings.HasSuffix(name, ".yaml"):
		return true
	case strings.HasSuffix(name, ".md"), strings.HasSuffix(name, "_test.go"), strings.Contains("/"+name, "/testdata/"):
		return true
	}
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if _, err := os.Stat(filepath.Join(dir, parent, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// runIn runs a program in another folder, since its relative paths refer to the working directory.
func runIn(dir string, program pulumi.RunFunc, stack string) (*Result, error) {
	before, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	if err := os.Chdir(dir); err != nil {
		return nil, fmt.Errorf("changing to the base: %w", err)
	}
	result, err := Run(program, ".", stack)
	if back := os.Chdir(before); back != nil {
		return nil, fmt.Errorf("changing back from the base: %w", back)
	}
	return result, err
}
