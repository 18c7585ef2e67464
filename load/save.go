package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/report"
)

// save writes the report to a folder.
func save(folder string, r, base *record.Run, goal float64) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // a report is no secret
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	picture := func(draw func(_, _ *record.Run, _ report.Theme) ([]byte, error), theme report.Theme) func(io.Writer) error {
		return func(w io.Writer) error {
			content, err := draw(r, base, theme)
			if err == nil {
				_, err = w.Write(content)
			}
			return err
		}
	}
	files := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"run.json", r.WriteJSON},
		{"run.csv", r.WriteCSV},
		{"report.html", func(w io.Writer) error { return report.HTML(w, r, base, goal) }},
		{"light.svg", picture(report.SVG, report.Light)},
		{"dark.svg", picture(report.SVG, report.Dark)},
		{"light.png", picture(report.PNG, report.Light)},
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(folder, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path) //nolint:gosec // where the user wants it
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// conclude prints the verdict and where the report is.
func conclude(out io.Writer, r *record.Run, goal float64, folder string) {
	_, _ = fmt.Fprintln(out)
	for _, row := range r.Judge(goal).Rows(goal) {
		_, _ = fmt.Fprintf(out, "  %-24s %s\n", row.Name, row.Value)
	}
	for reason, n := range r.Total.Failures {
		_, _ = fmt.Fprintf(out, "  %d times %s\n", n, reason)
	}
	if a := r.Advise(goal); r.Autoscaler != nil && a.Problem != "" {
		_, _ = fmt.Fprintf(out, "\n  no advice on the autoscaler: %s\n", a.Problem)
	} else if r.Autoscaler != nil {
		_, _ = fmt.Fprintf(out, "\n  the numbers suggest cpuRequest %dm, targetCpuUtilization %d, minReplicas %d, maxReplicas %d; why: the report\n",
			a.Settings.Request, a.Settings.Target, a.Settings.Min, a.Settings.Max)
	}
	_, _ = fmt.Fprintf(out, "\n  report: %s\n", filepath.Join(folder, "report.html"))
}
