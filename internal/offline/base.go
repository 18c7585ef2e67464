package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// base is the program as it is at a Git commit, in a work tree of its own.
type base struct {
	ref, commit string
	worktree    string // a temporary folder
	prefix, dir string // of the program: in the repository, and in the work tree
	// program, if the code has not changed since; otherwise binary is what is built of the base.
	program pulumi.RunFunc
	binary  string
}

// checkOut makes the work tree of a ref. dir is the program's folder. remove has to be called also after an error.
func checkOut(ctx context.Context, dir, ref string) (b *base, remove func(), err error) {
	remove = func() {}
	b = &base{ref: ref}
	b.commit, err = git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 { // Git's word for "no such thing"
		return nil, remove, fmt.Errorf("there is no commit %q; run `git fetch` if it is on a remote", ref)
	} else if err != nil {
		return nil, remove, fmt.Errorf("asking Git for %s: %w", ref, err)
	}
	if b.prefix, err = git(ctx, dir, "rev-parse", "--show-prefix"); err != nil {
		return nil, remove, fmt.Errorf("finding the root of the repository: %w", err)
	}
	temp, err := os.MkdirTemp("", "scaleout-diff-")
	if err != nil {
		return nil, remove, fmt.Errorf("making a folder for %s: %w", ref, err)
	}
	b.worktree, b.binary = filepath.Join(temp, "tree"), filepath.Join(temp, "program")
	b.dir = filepath.Join(b.worktree, b.prefix)
	remove = func() {
		// Not with ctx: this has to work after an interrupt too. What fails here, `prune` repairs some day.
		_, _ = git(context.Background(), dir, "worktree", "remove", "--force", b.worktree)
		_ = os.RemoveAll(temp)
		_, _ = git(context.Background(), dir, "worktree", "prune")
	}
	if _, err := git(ctx, dir, "worktree", "add", "--detach", "--quiet", b.worktree, b.commit); err != nil {
		return b, remove, fmt.Errorf("checking out %s: %w", ref, err)
	}
	return b, remove, nil
}

// prepare makes the base's program ready to run. It is built only if its code differs from that of the working tree,
// which program is made of: linking takes 15 s of CPU time.
func (b *base) prepare(ctx context.Context, dir string, program pulumi.RunFunc) error {
	if _, err := os.Stat(filepath.Join(b.dir, projectFile)); err != nil {
		return nil // the project is new, and so is each of its stacks
	}
	same, err := b.hasCodeOf(ctx, dir)
	if err != nil {
		return err
	}
	if same {
		b.program = program
		return nil
	}
	// With the flags of a plain `go build`: others would compile the Pulumi SDKs once more.
	if _, err := output(ctx, b.dir, "go", "build", "-buildvcs=false", "-o", b.binary, "."); err != nil {
		return fmt.Errorf("building the program at %s: %w", b.ref, err)
	}
	return nil
}

// result runs the base's program for a stack; nil if the base has no such stack.
func (b *base) result(ctx context.Context, stack string) (*Result, error) {
	if _, err := os.Stat(filepath.Join(b.dir, stackFile(stack))); err != nil {
		return nil, nil
	}
	if b.program != nil {
		result, err := runIn(b.dir, b.program, stack)
		if err != nil {
			return nil, fmt.Errorf("running the program at %s for stack %s: %w", b.ref, stack, err)
		}
		return result, nil
	}
	encoded, err := output(ctx, b.dir, b.binary, "dump", "-stack", stack)
	if err != nil {
		return nil, fmt.Errorf("running the program at %s for stack %s: %w", b.ref, stack, err)
	}
	result, err := readDump(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be compared with: %w", b.ref, err)
	}
	return result, nil
}

// git returns what Git prints, without the line end.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := output(ctx, dir, "git", args...)
	return strings.TrimSpace(string(out)), err
}

// output returns the standard output of a command. An error holds the last lines of its error output.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Stdout, command.Stderr = dir, &stdout, &stderr
	// An interrupt lets `go build` stop its compilers; a kill would leave them running, and Wait waiting for them.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		const enough = 20
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%w\n%s", err, strings.Join(lines[max(0, len(lines)-enough):], "\n"))
	}
	return stdout.Bytes(), nil
}
