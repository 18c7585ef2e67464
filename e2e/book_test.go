package e2e

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

// Book holds all measurements, in a JSON file next to docs/reliability.md, and generates that page from them, so that
// no figure is typed by hand. A repeated test replaces its own rows and keeps the others, so the page stays complete
// when tests are run one by one. This file and its test have no build tag: the page can be generated without a stack.
type Book struct {
	// Machine and Versions describe the environment of the newest measurements.
	Machine  string `json:"machine"`
	Versions string `json:"versions"`
	// Nodes is the number of nodes of the cluster.
	Nodes int `json:"nodes"`
	// Runs are the last runs of the whole suite, the newest at the end.
	Runs []Test `json:"runs"`
	// Tests are the outcomes, in the order of their first run.
	Tests []Test `json:"tests"`
	// Tables are the measurements, by name.
	Tables map[string][]Row `json:"tables"`
}

// Test is the result of one test or of the whole suite.
type Test struct {
	Name    string    `json:"name,omitempty"`
	Result  string    `json:"result"`
	Seconds float64   `json:"seconds"`
	When    time.Time `json:"when"`
	// Commit that was tested; -dirty if files differed from it.
	Commit string `json:"commit"`
}

// Row is one line of a table.
type Row struct {
	// Test that measured it.
	Test string `json:"test"`
	// Cells from left to right; the first is the row's name.
	Cells []string `json:"cells"`
	// stale marks a row from an earlier run of a test that has started again.
	stale bool
}

// Results of a test.
const (
	Passed = "passed"
	Failed = "failed"
)

//go:embed reliability.md.tmpl
var page string

// readBook reads the measurements from a file, which need not exist yet.
func readBook(path string) (*Book, error) {
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

// Start is called when a test begins. The rows of its earlier runs keep their places until Finish.
func (b *Book) Start(test string) {
	for _, rows := range b.Tables {
		for i := range rows {
			rows[i].stale = rows[i].stale || rows[i].Test == test
		}
	}
}

// Record adds a row to a table, or replaces the row of the same name in place.
func (b *Book) Record(table, test string, cells ...string) {
	row := Row{Test: test, Cells: cells}
	rows := b.Tables[table]
	if i := slices.IndexFunc(rows, func(r Row) bool { return r.Cells[0] == cells[0] }); i >= 0 {
		rows[i] = row
		return
	}
	b.Tables[table] = append(rows, row)
}

// Finish records the result of a test, and removes the rows of earlier runs that it has not measured again. For a
// failed test it removes all rows, because neither old figures nor those of a failure may support a guarantee.
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

// keptRuns is the number of runs of the whole suite that are kept.
const keptRuns = 3

// FinishRun records the result of a run of the whole suite.
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

// Page returns the content of docs/reliability.md.
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

// table renders a table with these column heads, or a note if nothing was measured for it.
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
	lines := []string{
		line([]string{"begun (UTC)", "result", "minutes", "commit"}),
		line([]string{"---", "---", "---", "---"}),
	}
	for _, r := range b.Runs {
		lines = append(lines, line([]string{
			r.When.Format("2006-01-02 15:04"), r.Result, fmt.Sprintf("%.1f", r.Seconds/60), r.Commit,
		}))
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
