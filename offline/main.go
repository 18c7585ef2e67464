package offline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/rogpeppe/go-internal/txtar"
)

const usage = `Shows what the program would deploy, without a cluster, a cloud account, Docker or the Pulumi CLI.

  preview -stack STACK             print the resources and a summary
  render  -stack STACK -out DIR    write one YAML file per Kubernetes object
  golden  -stack STACK             print the golden files as an archive (https://pkg.go.dev/golang.org/x/tools/txtar)

Without arguments the program must be run by the Pulumi engine: use "pulumi up". Flags:

`

// Main runs a subcommand (preview, render or golden) and returns the exit code of the process: 1 for an error, 2 for
// invalid usage. It changes the working directory to the folder of -C.
func Main(program pulumi.RunFunc, args []string, stdout, stderr io.Writer) int {
	var set []string
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("C", ".", "change to this `folder` first")
	stack := flags.String("stack", "", "the `name` of the stack; required")
	out := flags.String("out", "", "the `folder` that render writes to: new, empty, or written by render before")
	flags.Func("set", "`key=value` that overrides the stack file; may be repeated", func(s string) error {
		set = append(set, s)
		return nil
	})
	command, err := "help", error(nil)
	if len(args) > 0 {
		command, err = args[0], flags.Parse(args[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp) || slices.Contains([]string{"-h", "-help", "--help", "help"}, command):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case !slices.Contains([]string{"preview", "render", "golden"}, command):
		err = fmt.Errorf("unknown command %q; the commands are preview, render and golden", command)
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *stack == "":
		err = fmt.Errorf("-stack is required; %s", known(*dir))
	case command == "render" && *out == "":
		err = errors.New("-out is required: the folder to write to")
	case command != "render" && *out != "":
		err = errors.New("-out is for render only")
	default:
		text, err := show(program, command, *dir, *stack, *out, set)
		if err == nil {
			_, err = io.WriteString(stdout, text)
		}
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", command, err)
			return 1
		}
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", command, err)
	return 2
}

// show returns the output of a command: a preview, an archive, or a summary of the rendered files.
func show(program pulumi.RunFunc, command, dir, stack, out string, set []string) (string, error) {
	if err := os.Chdir(dir); err != nil {
		return "", fmt.Errorf("changing the working directory: %w", err)
	}
	result, err := Run(program, ".", stack, set...)
	if err != nil {
		return "", err
	}
	switch command {
	case "preview":
		return result.Preview(), nil
	case "golden":
		golden, err := result.Golden()
		archive := &txtar.Archive{}
		for _, name := range sortedKeys(golden) {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(golden[name])})
		}
		return string(txtar.Format(archive)), err
	}
	files, err := result.Render(out)
	return result.rendered(out, files), err
}
