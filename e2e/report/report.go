// Package report keeps what the end-to-end tests measured and writes docs/reliability.md from it, so that no figure
// there is ever typed by hand.
//
// The measurements are a JSON file beside the page. A test that runs again replaces its own rows and leaves the others,
// so the page stays whole when tests are run one by one.
package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Book is all that was measured.
type Book struct {
	// Machine and Versions are what the newest measurements ran on.
	Machine  string `json:"machine"`
	Versions string `json:"versions"`
	// Nodes of the cluster.
	Nodes int `json:"nodes"`
	// Runs are the last ones of the whole suite, the newest at the end.
	Runs []Test `json:"runs"`
	// Tests are the outcomes, in the order of their first run.
	Tests []Test `json:"tests"`
	// Tables are the measurements, by name.
	Tables map[string][]Row `json:"tables"`
}

// Test is how one test, or the whole suite, ended.
type Test struct {
	Name    string    `json:"name,omitempty"`
	Result  string    `json:"result"`
	Seconds float64   `json:"seconds"`
	When    time.Time `json:"when"`
	// Commit it ran on; -dirty if files differed from it.
	Commit string `json:"commit"`
}

// Row is one line of a table.
type Row struct {
	// Test that measured it.
	Test string `json:"test"`
	// Cells from left to right; the first is the row's name.
	Cells []string `json:"cells"`
	// stale rows are of an earlier run of a test that has started again.
	stale bool
}

// Results of a test.
const (
	Passed = "passed"
	Failed = "failed"
)

//go:embed reliability.md.tmpl
var page string

// Open reads the measurements in a file; there need not be any yet.
func Open(path string) (*Book, error) {
	b := &Book{Tables: map[string][]Row{}}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(content, b)
	}
	if err != nil {
		return nil, fmt.Errorf("reading measurements: %w", err)
	}
	return b, nil
}

// Start is called when a test begins. What it measured in earlier runs keeps its place until Finish.
func (b *Book) Start(test string) {
	for _, rows := range b.Tables {
		for i := range rows {
			rows[i].stale = rows[i].stale || rows[i].Test == test
		}
	}
}

// Record puts a row into a table. A row of that name is replaced, where it stands.
func (b *Book) Record(table, test string, cells ...string) {
	row := Row{Test: test, Cells: cells}
	rows := b.Tables[table]
	if i := slices.IndexFunc(rows, func(r Row) bool { return r.Cells[0] == cells[0] }); i >= 0 {
		rows[i] = row
		return
	}
	b.Tables[table] = append(rows, row)
}

// Finish notes how a test ended, and forgets what it measured in earlier runs and not in this one. Of a test that has
// failed it forgets all: neither old figures nor those of a failure may stand for a guarantee.
func (b *Book) Finish(t Test) {
	for table, rows := range b.Tables {
		b.Tables[table] = slices.DeleteFunc(rows, func(r Row) bool {
			return r.Test == t.Name && (r.stale || t.Result == Failed)
		})
	}
	if i := slices.IndexFunc(b.Tests, func(old Test) bool { return old.Name == t.Name }); i >= 0 {
		b.Tests[i] = t
		return
	}
	b.Tests = append(b.Tests, t)
}

// keptRuns is how many runs of the whole suite are kept.
const keptRuns = 3

// FinishRun notes how a run of the whole suite ended.
func (b *Book) FinishRun(t Test) {
	b.Runs = append(b.Runs, t)
	b.Runs = b.Runs[max(0, len(b.Runs)-keptRuns):]
}

// Save writes the measurements and the page.
func (b *Book) Save(measurements, document string) error {
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("writing measurements: %w", err)
	}
	text, err := b.Page()
	if err != nil {
		return err
	}
	if err := os.WriteFile(measurements, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing measurements: %w", err)
	}
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// Page is docs/reliability.md.
func (b *Book) Page() ([]byte, error) {
	t, err := template.New("reliability.md").Option("missingkey=error").Funcs(template.FuncMap{
		"table": b.table, "tests": b.testTable, "runs": b.runTable,
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("reading the page's template: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, b); err != nil {
		return nil, fmt.Errorf("writing the page: %w", err)
	}
	return out.Bytes(), nil
}

// table renders a table with these column heads. One that nothing was measured for says so.
func (b *Book) table(name string, heads ...string) (string, error) {
	rows := b.Tables[name]
	if len(rows) == 0 {
		return "Not measured yet.", nil
	}
	lines := []string{line(heads), line(slices.Repeat([]string{"---"}, len(heads)))}
	for _, r := range rows {
		if len(r.Cells) != len(heads) {
			return "", fmt.Errorf("table %s has %d columns, and its row %q has %d", name, len(heads), r.Cells[0], len(r.Cells))
		}
		lines = append(lines, line(r.Cells))
	}
	return strings.Join(lines, "\n"), nil
}

func (b *Book) testTable() string {
	lines := []string{line([]string{"test", "result", "seconds", "commit"}), line([]string{"---", "---", "---", "---"})}
	for _, t := range b.Tests {
		lines = append(lines, line([]string{t.Name, t.Result, fmt.Sprintf("%.0f", t.Seconds), t.Commit}))
	}
	return strings.Join(lines, "\n")
}

func (b *Book) runTable() string {
	if len(b.Runs) == 0 {
		return "No whole run yet."
	}
	lines := []string{line([]string{"begun (UTC)", "result", "minutes", "commit"}), line([]string{"---", "---", "---", "---"})}
	for _, r := range b.Runs {
		lines = append(lines, line([]string{r.When.Format("2006-01-02 15:04"), r.Result, fmt.Sprintf("%.1f", r.Seconds/60), r.Commit}))
	}
	return strings.Join(lines, "\n")
}

func line(cells []string) string {
	escaped := make([]string, len(cells))
	for i, c := range cells {
		escaped[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	return "| " + strings.Join(escaped, " | ") + " |"
}
