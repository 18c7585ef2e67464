//go:build e2e

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// book holds the measurements of the tests. It is saved after each test, so that an interrupted run keeps its
// measurements.
var book struct {
	sync.Mutex
	*Book
	commit  string
	ofKind  bool // whether the stack under test is one on kind
	started map[string]bool
}

var (
	measurements = filepath.Join(root, "docs", "reliability.json")
	document     = filepath.Join(root, "docs", "reliability.md")
)

// openBook reads what earlier runs measured.
func openBook(versions string) error {
	b, err := readBook(measurements)
	if err != nil {
		return err
	}
	b.Versions, b.Nodes = versions, countNodes()
	b.Machine = fmt.Sprintf("%d CPUs, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	if out, err := exec.Command("git", "-C", root, "rev-parse", "--short", "HEAD").Output(); err == nil {
		book.commit = strings.TrimSpace(string(out))
		// The tests themselves write the page.
		same := exec.Command("git", "-C", root, "diff", "--quiet", "HEAD", "--", ".", ":!docs/reliability.*")
		if same.Run() != nil {
			book.commit += "-dirty"
		}
	}
	name, err := target()
	book.ofKind = err == nil && name == "kind"
	book.Book, book.started = b, map[string]bool{}
	return nil
}

// closeBook records the result of a run of the whole suite. The page is about a stack on kind.
func closeBook(start time.Time, passed bool) error {
	if selected := flag.Lookup("test.run").Value.String(); selected != "" && selected != "." || !book.ofKind {
		return nil
	}
	result := Passed
	if !passed {
		result = Failed
	}
	book.FinishRun(Test{
		Result: result, Seconds: time.Since(start).Seconds(), When: start.UTC().Truncate(time.Second), Commit: book.commit,
	})
	return book.Save(measurements, document)
}

// countNodes counts the nodes of the cluster under test; 0 if there is none.
func countNodes() int {
	name, err := tryPulumi("config", "get", "kubeContext", "--stack", stackName())
	if err != nil {
		return 0
	}
	cluster := strings.TrimPrefix(strings.TrimSpace(string(name)), "kind-")
	out, _ := exec.Command("docker", "ps", "--quiet", "--filter", "label=io.x-k8s.kind.cluster="+cluster).Output()
	return len(strings.Fields(string(out)))
}

// measures declares that a test records measurements. The page has the result of such a test, too.
func measures(t *testing.T) {
	t.Helper()
	book.Lock()
	defer book.Unlock()
	book.Start(t.Name())
	book.started[t.Name()] = true
	start := time.Now()
	t.Cleanup(func() {
		if t.Skipped() { // another stack, or too few nodes: earlier measurements stay
			return
		}
		result := Passed
		if t.Failed() {
			result = Failed
		}
		book.Lock()
		defer book.Unlock()
		book.Finish(Test{
			Name: t.Name(), Result: result, Seconds: time.Since(start).Seconds(),
			When: start.UTC().Truncate(time.Second), Commit: book.commit,
		})
		if err := book.Save(measurements, document); err != nil {
			t.Error(err)
		}
	})
}

// record writes one row of a table of docs/reliability.md; the first cell is the row's name.
func record(t *testing.T, table string, cells ...string) {
	t.Helper()
	book.Lock()
	defer book.Unlock()
	if !book.started[t.Name()] {
		t.Fatal("the test has to call measures first")
	}
	book.Record(table, t.Name(), cells...)
	t.Logf("%s: %s", table, strings.Join(cells, " | "))
}

// variant returns a copy of the project, without ignored files, with these edits. It simulates changes that a user
// might make to the code. Its folder always has the same path, which is part of the keys of Go's build cache: in a new
// one each time, the compiler would take the CPU of the cluster while requests are measured.
func variant(t *testing.T, all ...edits) (dir string) {
	t.Helper()
	project, err := filepath.Abs(root)
	caches, cacheErr := os.UserCacheDir()
	if err = errors.Join(err, cacheErr); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(caches, "scaleout-variant", strings.ReplaceAll(project, string(filepath.Separator), "-"))
	clean := func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	clean()
	t.Cleanup(clean)
	out, err := exec.Command("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("listing the project's files: %v", err)
	}
	files := map[string]string{}
	for _, name := range strings.Fields(string(out)) {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			files[name] = string(content)
		} else if !os.IsNotExist(err) { // deleted, but not yet in a commit
			t.Fatal(err)
		}
	}
	for _, e := range all {
		maps.Copy(files, e.changed(t))
	}
	for name, content := range files {
		addFile(t, dir, name, content)
	}
	return dir
}

func addFile(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
