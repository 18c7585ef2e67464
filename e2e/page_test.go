package e2e

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "regenerate docs/reliability.md from the measurements")

// TestPageIsWrittenFromMeasurements: the page in docs matches the measurements next to it, so neither was edited
// without the other.
func TestPageIsWrittenFromMeasurements(t *testing.T) {
	docs := filepath.Join("..", "docs")
	b, err := readBook(filepath.Join(docs, "reliability.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Page()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(docs, "reliability.md")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("docs/reliability.md does not follow from docs/reliability.json and the template; run: make docs")
	}
	if len(b.Tests) == 0 {
		t.Error("docs/reliability.json holds no test")
	}
}

func TestRunOfOneTestKeepsTheOthers(t *testing.T) {
	b := &Book{Tables: map[string][]Row{}}
	b.Record("requests", "TestA", "a", "1")
	b.Record("requests", "TestB", "b", "2")
	b.Record("budget", "TestA", "evictions", "7")
	b.Finish(Test{Name: "TestA", Result: Passed, Seconds: 3})
	b.Finish(Test{Name: "TestB", Result: Passed, Seconds: 4})

	b.Start("TestA")
	b.Record("requests", "TestA", "a", "3|4") // in place of the old one; nothing for the budget
	b.Finish(Test{Name: "TestA", Result: Passed, Seconds: 1})

	if first := b.Tables["requests"][0].Cells[0]; first != "a" {
		t.Errorf("the first row is %s now, want a", first)
	}
	table, err := b.table("requests", "what", "n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| b | 2 |", `| a | 3\|4 |`} {
		if !strings.Contains(table, want) {
			t.Errorf("got %s\nwant %s in it", table, want)
		}
	}
	if strings.Contains(table, "| a | 1 |") {
		t.Errorf("got %s\nwant the old row of TestA gone", table)
	}
	if got, _ := b.table("budget", "what", "n"); got != "Not measured yet." {
		t.Errorf("got %s, want the rows that TestA has not measured again to be gone", got)
	}
	for _, want := range []string{"| TestA | passed | 1 |", "| TestB | passed | 4 |"} {
		if got := b.testTable(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s in it", got, want)
		}
	}
}

func TestRunsOfTheSuite(t *testing.T) {
	b := &Book{}
	for _, commit := range []string{"a", "b", "c", "d"} {
		b.FinishRun(Test{Result: Passed, Seconds: 90, Commit: commit})
	}
	if got := b.runTable(); strings.Contains(got, "| a |") || !strings.HasSuffix(got, "| passed | 1.5 | d |") {
		t.Errorf("got %s, want the last %d", got, keptRuns)
	}
}

func TestTableRefusesRowsOfAnotherShape(t *testing.T) {
	b := &Book{Tables: map[string][]Row{}}
	b.Record("requests", "TestA", "a", "1", "2")
	if table, err := b.table("requests", "what", "n"); err == nil {
		t.Errorf("got %s, want an error", table)
	}
}

func TestFailureLeavesNoFigures(t *testing.T) {
	b := &Book{Tables: map[string][]Row{}}
	b.Start("TestA")
	b.Record("requests", "TestA", "a", "1")
	b.Finish(Test{Name: "TestA", Result: Failed})
	if rows := b.Tables["requests"]; len(rows) > 0 {
		t.Errorf("got %v, want no figure of a test that has failed", rows)
	}
}
