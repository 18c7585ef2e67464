package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// steps announces what is being done, what came of it and how long it took, as plain lines that read well in a
// terminal and in a CI log.
type steps struct {
	out     io.Writer
	now     func() time.Time
	started time.Time
}

func newSteps(out io.Writer, now func() time.Time) *steps {
	return &steps{out: out, now: now, started: now()}
}

// do runs f under a title. What f returns says what it found or did.
func (s *steps) do(title string, f func() (string, error)) error {
	s.printf("==> %s\n", title)
	began := s.now()
	result, err := f()
	took := duration(s.now().Sub(began))
	if err != nil {
		s.printf("    failed after %s\n", took)
		return err
	}
	s.printf("    %s (%s)\n", strings.ReplaceAll(result, "\n", "\n    "), took)
	return nil
}

// note prints a line that belongs to the step under way.
func (s *steps) note(format string, args ...any) { s.printf("    "+format+"\n", args...) }

// total prints the time since the start.
func (s *steps) total(what string) {
	s.printf("==> %s in %s\n", what, duration(s.now().Sub(s.started)))
}

// stream returns a writer for the output of a command that takes long.
func (s *steps) stream() io.Writer { return &prefixWriter{out: s.out, prefix: "    | ", atStart: true} }

func (s *steps) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// duration prints short times to a tenth and others to a second: nobody compares more digits.
func duration(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// prefixWriter puts a prefix before every line.
type prefixWriter struct {
	out     io.Writer
	prefix  string
	atStart bool
}

// Write implements io.Writer.
func (w *prefixWriter) Write(p []byte) (int, error) {
	var b bytes.Buffer
	for _, c := range p {
		if w.atStart {
			b.WriteString(w.prefix)
		}
		b.WriteByte(c)
		w.atStart = c == '\n'
	}
	if _, err := w.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}
