// Command preflight compares what a stack would deploy with the cluster that it would deploy to, and lists what would
// keep its autoscaler from working. It only reads. `make preflight` runs it.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"example.com/scaleout/internal/rendered"
)

const usage = `Compares what a stack would deploy, its golden files on standard input, with a cluster; changes nothing:

  scaleout golden -stack prod | preflight -context NAME

`

func main() {
	name := flag.String("context", "", "the kubeconfig `context` of the cluster; the default is that of a kind stack")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	blocked, err := run(ctx, func(given string) cluster { return kubectl{cmp.Or(*name, given)} }, os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "preflight:", err)
	}
	if blocked || err != nil {
		os.Exit(1)
	}
}

// run writes the findings, and reports whether one of them is an error.
// connect gets the context that the stack names, if it does.
func run(ctx context.Context, connect func(given string) cluster, stdin io.Reader, stdout io.Writer) (
	blocked bool, err error,
) {
	stack, err := rendered.ReadArchive(stdin)
	if err != nil {
		return false, err
	}
	given := ""
	for _, r := range stack.Resources {
		if r.Type == "pulumi:providers:kubernetes" {
			given, _ = r.Get("context").(string)
		}
	}
	if !slices.ContainsFunc(stack.Resources, func(r *rendered.Resource) bool { return stack.Scaling(r).By != nil }) {
		fmt.Fprintln(stdout, "preflight: the stack has no autoscaler")
		return false, nil
	}
	f := &flight{Stack: stack, cluster: connect(given), ctx: ctx}
	if err := f.check(); err != nil {
		return false, err
	}
	for _, found := range f.findings {
		severity := "warning"
		if found.blocks {
			severity, blocked = "error", true
		}
		fmt.Fprintf(stdout, "%-8s %s\n         %s\n", severity, found.text, found.fix)
	}
	if len(f.findings) == 0 {
		fmt.Fprintln(stdout, "preflight: nothing keeps the autoscaler from working")
	}
	return blocked, nil
}
