// Command contract checks a container image against what scaling out asks of an app, and so whether the image can run
// under the component WebApp. It needs Docker on this machine and the image, neither the app's source nor a cluster.
//
//	contract [flags] IMAGE
//
// It starts the image twice, the way WebApp does (not root, read-only, no capabilities), beside a Redis if the settings
// of the app name one, and prints a line per point: PASS, FAIL or SKIP, the point, what was seen, and after a FAIL what
// to do. docs/contract.md explains the points.
//
// Everything that it creates on the Docker host (a network, containers, volumes) has one label with the number of the
// run and is removed at the end, also after SIGINT and SIGTERM. Nothing else is touched, but for images that are
// missing, which are pulled and stay.
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

// Exit codes. 1 is for scripts that ask whether the image may be deployed; 2 says that this was not found out.
const (
	exitPassed = 0
	exitFailed = 1
	exitError  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], dockerCLI{}, os.Stdout, os.Stderr))
}

// run is main without the process around it. It returns the exit code. The lines of the points go to out, progress and
// errors to errOut.
func run(ctx context.Context, args []string, docker docker, out, errOut io.Writer) int {
	s, err := parseSettings(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(out)
		return exitPassed
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "contract: %v\n", err)
		return exitError
	}
	report := &report{out: out, progress: errOut}
	if err := check(ctx, s, docker, report); err != nil {
		_, _ = fmt.Fprintf(errOut, "contract: %v\n", err)
		return exitError
	}
	report.summary()
	if report.count[fail] > 0 {
		return exitFailed
	}
	return exitPassed
}

var errInterrupted = errors.New("interrupted; the points above are all that was found out")

// check goes through all points. Its error is one of the environment, not of the image, and includes what could not be
// removed.
func check(ctx context.Context, s *settings, d docker, r *report) error {
	if err := usable(ctx, d); err != nil {
		return err
	}
	b := newBench(s, d, r)
	err := b.checkAll(ctx)
	if ctx.Err() != nil {
		err = errInterrupted
	}
	return errors.Join(err, b.remove())
}

// checkAll goes through all points, and leaves what it created.
func (b *bench) checkAll(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	first, err := b.checkStart(ctx)
	if err != nil {
		return err
	}
	if first == nil {
		for _, name := range pointsOfRunning {
			b.report.add(skip, name, "the app did not start")
		}
		return nil
	}
	pair, err := b.checkProbes(ctx, first)
	if err != nil {
		return err
	}
	if err := b.checkState(ctx, pair); err != nil {
		return err
	}
	if err := b.checkUnderWay(ctx, pair[1]); err != nil {
		return err
	}
	if err := b.checkStop(ctx, pair[0]); err != nil {
		return err
	}
	return b.checkWrongSettings(ctx)
}
