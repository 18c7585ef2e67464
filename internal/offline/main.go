package offline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Exit codes. Changes have that of `terraform plan -detailed-exitcode`, so a wrong call of diff must have another.
const (
	exitOK        = 0
	exitError     = 1
	exitUsage     = 2
	exitChanges   = 2
	exitDiffUsage = 1
)

const usage = `Shows offline what the program would deploy: no cluster, no cloud account, no Docker, no Pulumi CLI.

  preview -stack STACK             print the resources and a summary
  render  -stack STACK -out DIR    write one YAML file per Kubernetes object
  diff    -base REF                print what the working tree changes against a Git ref
  dump    -stack STACK             print the resources as JSON, as diff reads them of the base

"COMMAND -h" lists the flags. Without arguments the program waits for the Pulumi engine: use "pulumi up".
`

// call is one call of a subcommand: its flags, those that it does not have left empty.
type call struct {
	program             pulumi.RunFunc
	stdout              io.Writer
	dir, stack, out     string
	base, stacks        string
	format              string
	set                 []string
	showSecrets, status bool
}

// usageError is a wrong call rather than something that went wrong.
type usageError struct{ error }

// Main carries out a subcommand (preview, render, diff or dump) and returns the exit code of the process: 1 for an
// error, 2 for a wrong call. It changes the working directory if told to by -C.
func Main(program pulumi.RunFunc, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	commands := map[string]func(context.Context, *call) (int, error){
		"preview": preview, "render": render, "diff": printDiff, "dump": printDump,
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "there is no command %q\n\n%s", args[0], usage)
		return exitUsage
	}
	c := &call{program: program, stdout: stdout}
	err := c.parse(args[0], args[1:], stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	code := exitOK
	if err == nil {
		// An interrupt must not leave the work tree of a diff behind.
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		code, err = command(ctx, c)
	}
	if err == nil {
		return code
	}
	fmt.Fprintf(stderr, "%s: %v\n", args[0], err)
	if !errors.As(err, new(usageError)) {
		return exitError
	}
	if args[0] == "diff" {
		return exitDiffUsage
	}
	return exitUsage
}

// parse reads the flags of a subcommand, or prints them for -h, and changes to the folder given by -C.
func (c *call) parse(name string, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.dir, "C", "", "change to this `folder` first; default the working directory")
	if name == "diff" {
		flags.StringVar(&c.base, "base", "", "Git `ref` to compare with, e.g. origin/main; required")
		flags.StringVar(&c.stacks, "stacks", "", "comma-separated `list` of stacks; default all")
		flags.StringVar(&c.format, "format", "text", "text, or markdown for a comment on a pull request")
		flags.BoolVar(&c.status, "exit-code", false, "exit with 0 if there are no changes, 2 if there are, 1 on an error")
	} else {
		flags.StringVar(&c.stack, "stack", "", "the `name` of the stack; required")
		flags.Func("set", "`key=value` in place of what the stack file has; may be given several times", func(assignment string) error {
			c.set = append(c.set, assignment)
			return nil
		})
	}
	if name == "render" {
		flags.StringVar(&c.out, "out", "", "the `folder` to write to: new, empty, or written by render before; required")
		flags.BoolVar(&c.showSecrets, "show-secrets", false,
			"write secrets in clear text. Offline those are only the ones that are plain in the program:\n"+
				"what is encrypted in the stack file, or not set, stays "+secretText)
	}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "Flags of %s:\n\n", name)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	if err := c.check(name); err != nil {
		return usageError{err}
	}
	if c.dir == "" {
		return nil
	}
	if err := os.Chdir(c.dir); err != nil {
		return fmt.Errorf("changing the folder: %w", err)
	}
	return nil
}

// check finds what is missing in a call.
func (c *call) check(name string) error {
	switch {
	case name == "diff" && c.base == "":
		return errors.New("-base is required, e.g. -base origin/main")
	case name == "diff" && c.format != "text" && c.format != "markdown":
		return fmt.Errorf("-format is text or markdown, not %q", c.format)
	case name != "diff" && c.stack == "":
		return fmt.Errorf("-stack is required; %s", known("."))
	case name == "render" && c.out == "":
		return errors.New("-out is required: the folder to write to")
	}
	return nil
}
