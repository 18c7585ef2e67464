// Command contract checks a container image against what scaling out asks of an app, and so whether the image can run
// under the component WebApp. It needs Docker on this machine and the image, neither the app's source nor a cluster.
//
//	contract [flags] IMAGE
//
// It starts the image twice, the way WebApp does (not root, read-only, no capabilities), beside a Redis if the settings
// of the app name one, and prints a line per point: PASS, FAIL or SKIP, the point, what was seen, and after a FAIL what
// to do. docs/contract.md explains the points.
//
// Everything that it creates on the Docker host (containers, their volumes, a network) has one label with the number of
// the run and is removed at the end, also after SIGINT and SIGTERM. Missing images are pulled and stay.
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

// Exit codes: 1 is for scripts that ask whether the image may be deployed; 2 says that this was not found out.
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

// run is main with everything ambient passed in. It returns the exit code. The report goes to out, progress and errors
// to errOut.
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
			err = errors.New("interrupted; the points above are all that was found out")
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

// check goes through all points, and leaves what it created.
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

// add prints the line of a point. todo, for a FAIL, are lines that say what to do.
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

// note prints what takes a while.
func (b *bench) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, "... "+format+"\n", args...)
}
