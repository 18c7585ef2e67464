package offline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

const usage = `Shows offline what the program would deploy: no cluster, no cloud account, no Docker, no Pulumi CLI.

  preview -stack STACK             print the resources and a summary
  render  -stack STACK -out DIR    write one YAML file per Kubernetes object

"COMMAND -h" lists the flags. Without arguments the program waits for the Pulumi engine: use "pulumi up".
`

// call is one call of a subcommand: its flags, those that it does not have left empty.
type call struct {
	program         pulumi.RunFunc
	stdout          io.Writer
	dir, stack, out string
	set             []string
	showSecrets     bool
}

// usageError is a wrong call rather than something that went wrong.
type usageError struct{ error }

// Main carries out a subcommand (preview or render) and returns the exit code of the process: 1 for an
// error, 2 for a wrong call. It changes the working directory if told to by -C.
func Main(program pulumi.RunFunc, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	command, ok := map[string]func(*call) error{"preview": preview, "render": render}[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "there is no command %q\n\n%s", args[0], usage)
		return exitUsage
	}
	c := &call{program: program, stdout: stdout}
	err := c.parse(args[0], args[1:], stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err == nil {
		err = command(c)
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", args[0], err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitError
}

// parse reads the flags of a subcommand, or prints them for -h, and changes to the folder given by -C.
func (c *call) parse(name string, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.dir, "C", "", "change to this `folder` first; default the working directory")
	flags.StringVar(&c.stack, "stack", "", "the `name` of the stack; required")
	flags.Func("set", "`key=value` in place of what the stack file has; may be given several times", func(assignment string) error {
		c.set = append(c.set, assignment)
		return nil
	})
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
	case c.stack == "":
		return fmt.Errorf("-stack is required; %s", known("."))
	case name == "render" && c.out == "":
		return errors.New("-out is required: the folder to write to")
	}
	return nil
}
