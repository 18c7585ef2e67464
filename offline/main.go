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

const usage = `Shows offline what the program would deploy: no cluster, no cloud account, no Docker, no Pulumi CLI.

  preview -stack STACK             print the resources and a summary
  render  -stack STACK -out DIR    write one YAML file per Kubernetes object

"COMMAND -h" lists the flags. Without arguments the program waits for the Pulumi engine: use "pulumi up".
`

// usageError is a wrong call rather than something that went wrong.
type usageError struct{ error }

// Main carries out a subcommand (preview or render) and returns the exit code of the process: 1 for an
// error, 2 for a wrong call. It changes the working directory if told to by -C.
func Main(program pulumi.RunFunc, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if args[0] != "preview" && args[0] != "render" {
		fmt.Fprintf(stderr, "there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	err := run(program, args[0], args[1:], stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", args[0], err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

func run(program pulumi.RunFunc, command string, args []string, stdout io.Writer) error {
	var set []string
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("C", ".", "change to this `folder` first")
	stack := flags.String("stack", "", "the `name` of the stack; required")
	flags.Func("set", "`key=value` in place of what the stack file has; may be given several times", func(assignment string) error {
		set = append(set, assignment)
		return nil
	})
	out := new(string)
	if command == "render" {
		out = flags.String("out", "", "the `folder` to write to: new, empty, or written by render before; required")
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "Flags of %s:\n\n", command)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	case *stack == "":
		return usageError{fmt.Errorf("-stack is required; %s", known(*dir))}
	case command == "render" && *out == "":
		return usageError{errors.New("-out is required: the folder to write to")}
	}
	if err := os.Chdir(*dir); err != nil {
		return fmt.Errorf("changing the folder: %w", err)
	}
	result, err := Run(program, ".", *stack, set...)
	if err != nil {
		return err
	}
	text := result.Preview()
	if command == "render" {
		files, err := result.Render(*out)
		if err != nil {
			return err
		}
		text = result.rendered(*out, files)
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
