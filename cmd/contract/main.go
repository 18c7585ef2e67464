// Command contract checks whether a container image meets the requirements of scaling out, and so can run under the
// component WebApp. It needs Docker on this machine and the image, but neither the app's source nor a cluster.
//
//	contract [flags] IMAGE
//
// It starts the image twice, as WebApp does (not root, read-only, no capabilities), together with a Redis if the
// app's settings refer to one, and prints a line per check: PASS, FAIL or SKIP, the check, the observation, and after
// a FAIL the remedy. docs/contract.md explains the checks.
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

// Exit codes: 1 means that a check failed, 2 that the checks could not be completed.
const exitPassed, exitFailed, exitError = 0, 1, 2

// Verdicts on a check.
const pass, fail, skip = "PASS", "FAIL", "SKIP"

// Names of the checks, in the order of the report. docs/contract.md describes each.
const (
	checkStarts       = "starts"
	checkAlive        = "alive"
	checkReady        = "ready"
	checkAliveWithout = "alive without Redis"
	checkReadyWithout = "not ready without Redis"
	checkRecovers     = "recovers"
	checkState        = "same state"
	checkInFlight     = "in-flight request"
	checkKeepAlive    = "keep-alive connections"
	checkExit         = "graceful exit"
	checkWrong        = "wrong setting"

	nameWidth = len(checkReadyWithout) // the longest
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
			err = errors.New("interrupted; only the checks above were made")
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

// check runs all checks. It does not remove what it created.
func (b *bench) check(ctx context.Context) {
	b.prepare(ctx)
	first := b.checkStart(ctx)
	if first == nil {
		b.note("the other checks need an app that starts")
		return
	}
	second := b.checkProbes(ctx, first)
	b.checkState(ctx, first, second)
	b.checkInFlight(ctx, second)
	b.checkStop(ctx, first)
	b.checkWrongSettings(ctx)
}

// add prints the line of a check and, for a FAIL, the remedies in todo.
func (b *bench) add(ctx context.Context, verdict, name, seen string, todo ...string) {
	if b.broken(ctx) {
		return
	}
	b.count[verdict]++
	_, _ = fmt.Fprintf(b.out, "%s  %-*s  %s\n", verdict, nameWidth, name, seen)
	for _, line := range todo {
		_, _ = fmt.Fprintf(b.out, "      %-*s  -> %s\n", nameWidth, "", line)
	}
}

func (b *bench) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, "... "+format+"\n", args...)
}
