package offline

import (
	"context"
	"fmt"
	"io"
	"strings"
)

func preview(_ context.Context, c *call) (int, error) {
	result, err := Run(c.program, ".", c.stack, c.set...)
	if err != nil {
		return exitError, err
	}
	return write(c.stdout, result.Preview())
}

// printDump is for the diff of another version of the program; people will prefer the other commands.
func printDump(_ context.Context, c *call) (int, error) {
	result, err := Run(c.program, ".", c.stack, c.set...)
	if err != nil {
		return exitError, err
	}
	dump, err := result.Dump()
	if err != nil {
		return exitError, err
	}
	return write(c.stdout, string(dump))
}

func render(_ context.Context, c *call) (int, error) {
	result, err := Run(c.program, ".", c.stack, c.set...)
	if err != nil {
		return exitError, err
	}
	files, err := result.Render(c.out, c.showSecrets)
	if err != nil {
		return exitError, err
	}
	return write(c.stdout, result.rendered(c.out, files))
}

func printDiff(ctx context.Context, c *call) (int, error) {
	var stacks []string
	if c.stacks != "" {
		stacks = strings.Split(c.stacks, ",")
	}
	report, err := diffAgainst(ctx, c.program, ".", c.base, stacks)
	if err != nil {
		return exitError, err
	}
	text := report.text()
	if c.format == "markdown" {
		text = report.markdown(commentLimit)
	}
	code, err := write(c.stdout, text)
	if err == nil && c.status && report.changes() > 0 {
		code = exitChanges
	}
	return code, err
}

func write(stdout io.Writer, text string) (int, error) {
	if _, err := io.WriteString(stdout, text); err != nil {
		return exitError, fmt.Errorf("writing the output: %w", err)
	}
	return exitOK, nil
}
