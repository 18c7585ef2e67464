package offline

import (
	"fmt"
	"io"
)

func preview(c *call) error {
	result, err := Run(c.program, ".", c.stack, c.set...)
	if err != nil {
		return err
	}
	return write(c.stdout, result.Preview())
}

func render(c *call) error {
	result, err := Run(c.program, ".", c.stack, c.set...)
	if err != nil {
		return err
	}
	files, err := result.Render(c.out, c.showSecrets)
	if err != nil {
		return err
	}
	return write(c.stdout, result.rendered(c.out, files))
}

func write(stdout io.Writer, text string) error {
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
