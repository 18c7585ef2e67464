// Command contract checks whether a container image meets the requirements of scaling out, and so can run under the
// component WebApp. It needs Docker on this machine and the image, but neither the app's source nor a cluster.
//
//	contract [flags] IMAGE
//
// It starts the image twice, as WebApp does (not root, read-only, no capabilities), together with a Redis if the
// app's settings refer to one, and prints a line per point: PASS, FAIL or SKIP, the point, the observation, and after
// a FAIL the remedy. docs/contract.md explains the points.
//
// Everything that it creates on the Docker host (containers, their volumes, a network) has a label with the ID of the
// run and is removed at the end, even after SIGINT or SIGTERM. Missing images are pulled and kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes: 1 means that a point failed, 2 that the check could not be completed.
const exitPassed, exitFailed, exitError = 0, 1, 2

// Verdicts on a point.
const pass, fail, skip = "PASS", "FAIL", "SKIP"

// Names of the points, in the order of the report. docs/contract.md describes each.
const (
	pointStarts       = "starts"
	pointAlive        = "alive"
	pointReady        = "ready"
	pointAliveWithout = "alive without Redis"
	pointReadyWithout = "not ready without Redis"
	pointRecovers     = "recovers"
	pointState        = "same state"
	pointUnderWay     = "under way"
	pointKept         = "kept connections"
	pointEnds         = "ends"
	pointWrong        = "wrong setting"

	nameWidth = len(pointReadyWithout) // the longest
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], dockerCLI, os.Stdout, os.Stderr))
}

// run is main with its inputs and outputs as parameters: out for the report, errOut for progress and errors.
func run(ctx context.Context, args []string, docker docker, out, errOut io.Writer) int {
	s, err := parseSettings(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return exitPassed
	}
	b := newBench(s, docker, out, errOut)
	if err == nil {
		err = usable(ctx, docker)
	}
	if err == nil {
		b.check(ctx)
		if err = b.err; ctx.Err() != nil {
			err = errors.New("interrupted; only the points above were checked")
		}
		err = errors.Join(err, b.remove())
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "contract: %v\n", err)
		return exitError
	}
	_, _ = fmt.Fprintf(out, "%d PASS, %d FAIL, %d SKIP\n", b.count[pass], b.count[fail], b.count[skip])
	if b.count[fail] > 0 {
		return exitFailed
	}
	return exitPassed
}

// check checks all points. It does not remove what it created.
func (b *bench) check(ctx context.Context) {
	b.prepare(ctx)
	first := b.checkStart(ctx)
	if first == nil {
		b.note("the other points need an app that starts")
		return
	}
	second := b.checkProbes(ctx, first)
	b.checkState(ctx, first, second)
	b.checkUnderWay(ctx, second)
	b.checkStop(ctx, first)
	b.checkWrongSettings(ctx)
}

// add prints the line of a point and, for a FAIL, the remedies in todo.
func (b *bench) add(ctx context.Context, verdict, point, seen string, todo ...string) {
	if b.broken(ctx) {
		return
	}
	b.count[verdict]++
	_, _ = fmt.Fprintf(b.out, "%s  %-*s  %s\n", verdict, nameWidth, point, seen)
	for _, line := range todo {
		_, _ = fmt.Fprintf(b.out, "      %-*s  -> %s\n", nameWidth, "", line)
	}
}

func (b *bench) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, "... "+format+"\n", args...)
}
