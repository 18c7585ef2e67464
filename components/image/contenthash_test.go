package image

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// files is the content of a folder, keyed by path; a path that ends in / is an empty folder.
type files map[string]string

func (f files) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	f.writeTo(t, dir)
	return dir
}

func (f files) writeTo(t testing.TB, dir string) {
	t.Helper()
	for name, content := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

func (f files) with(changes files) files {
	changed := maps.Clone(f)
	maps.Copy(changed, changes)
	return changed
}

func (f files) without(name string) files {
	changed := maps.Clone(f)
	delete(changed, name)
	return changed
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hashOf(t testing.TB, dir string) string {
	t.Helper()
	sum, err := ContentHash(dir, "")
	must(t, err)
	return sum
}

func TestContentHash(t *testing.T) {
	base := files{
		"Dockerfile": "FROM scratch", "main.go": "package main", "sub/a.txt": "a", "empty/": "",
		".dockerignore": "*_test.go\nignored\n**/*.tmp\n!keep.tmp\n",
	}
	tests := map[string]struct {
		files files
		same  bool
	}{
		"another folder":                 {base, true},
		"ignored file":                   {base.with(files{"main_test.go": "x"}), true},
		"ignored folder":                 {base.with(files{"ignored/deep/x": "x"}), true},
		"ignored empty folder":           {base.with(files{"ignored/": ""}), true},
		"ignored below":                  {base.with(files{"sub/x.tmp": "x"}), true},
		"what was staged":                {base.with(files{stagingFolder + "/0/main.go": "x"}), true},
		"exception of an ignore rule":    {base.with(files{"keep.tmp": "x"}), false},
		"changed content":                {base.with(files{"main.go": "package other"}), false},
		"changed Dockerfile":             {base.with(files{"Dockerfile": "FROM alpine"}), false},
		"changed .dockerignore":          {base.with(files{".dockerignore": base[".dockerignore"] + "# note\n"}), false},
		"added file":                     {base.with(files{"new.go": ""}), false},
		"removed file":                   {base.without("sub/a.txt"), false},
		"moved bytes":                    {base.with(files{"sub/a.txt": "", "sub/b.txt": "a"}), false},
		"added empty folder":             {base.with(files{"sub/new/": ""}), false},
		"removed empty folder":           {base.without("empty/"), false},
		"a file in place of a folder":    {base.without("empty/").with(files{"empty": ""}), false},
		"a folder of ignored files only": {base.with(files{"new/x.tmp": "x"}), false}, // BuildKit sends it, empty
	}
	want := hashOf(t, base.write(t))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hashOf(t, test.files.write(t)); (got == want) != test.same {
				t.Errorf("got the same hash: %v, want %v", got == want, test.same)
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	everything := files{
		"Dockerfile": "", "main.go": "", "a/b/c.go": "", "a/b/d.txt": "", "a/e.txt": "", "x/x": "", "y/x": "", "y/z/": "",
		"build/app.Dockerfile": "",
	}
	tests := map[string]struct {
		ignore, dockerfile string
		want               string
	}{
		"no patterns": {
			want: "Dockerfile a/b/c.go a/b/d.txt a/e.txt build/app.Dockerfile main.go x/x y/x y/z",
		},
		"nothing":                           {ignore: "*", want: "Dockerfile"},
		"a Dockerfile in a left-out folder": {"*", "build/app.Dockerfile", "build/app.Dockerfile"},
		"exceptions in the folder itself":   {ignore: "*\n!*.go", want: "Dockerfile main.go"},
		"exceptions in any folder":          {ignore: "*\n!**/*.go", want: "Dockerfile a/b/c.go main.go"},
		"a folder that is an exception":     {ignore: "*\n!a/b", want: "Dockerfile a/b/c.go a/b/d.txt"},
		"all in a folder as an exception":   {ignore: "*\n!a/b/**", want: "Dockerfile a/b/c.go a/b/d.txt"},
		"a wildcard in the middle":          {ignore: "*\n!a/*/c.go", want: "Dockerfile a/b/c.go"},
		"an exception of an exception":      {ignore: "*\n!a\na/b", want: "Dockerfile a/e.txt"},
		"an exception in a left-out folder": {ignore: "*\n!a/b/c.go", want: "Dockerfile a/b/c.go"},
		"a name at any depth":               {ignore: "*\n!y\n**/x\ny/z", want: "Dockerfile y"}, // y is then empty
		"comments, blanks, slashes around":  {ignore: "# note\n\n*\n!/main.go\n./x/\n.", want: "Dockerfile main.go"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, ignore := range []string{ignoreSuffix, cmp.Or(test.dockerfile, "Dockerfile") + ignoreSuffix} {
				sent, err := list(everything.with(files{ignore: test.ignore}).write(t), test.dockerfile)
				must(t, err)
				delete(sent.leaves, ignoreSuffix)
				got := slices.Sorted(maps.Keys(sent.leaves))
				if want := strings.Fields(test.want); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", ignore, got, want)
				}
			}
		})
	}
}

func TestIgnoreFileOfTheDockerfileWins(t *testing.T) {
	base := files{"Dockerfile": "", ".dockerignore": "*", "Dockerfile.dockerignore": "*\n!config.json", "config.json": "1"}
	if hashOf(t, base.write(t)) == hashOf(t, base.with(files{"config.json": "2"}).write(t)) {
		t.Error("a file that only Dockerfile.dockerignore includes does not count")
	}
	if hashOf(t, base.write(t)) != hashOf(t, base.with(files{"other.json": "2"}).write(t)) {
		t.Error("a file that both ignore files exclude counts")
	}
	same := base.with(files{"Dockerfile.dockerignore": "*\n# note\n!config.json"})
	if hashOf(t, base.write(t)) != hashOf(t, same.write(t)) {
		t.Error("Dockerfile.dockerignore counts, although it is never sent to the builder")
	}
	empty := base.with(files{"Dockerfile.dockerignore": ""})
	if hashOf(t, empty.write(t)) == hashOf(t, empty.with(files{"other.json": "2"}).write(t)) {
		t.Error("an empty Dockerfile.dockerignore excludes files")
	}
}

func TestContentHashTellsDockerfilesApart(t *testing.T) {
	dir := files{"Dockerfile": "FROM scratch", "debug.Dockerfile": "FROM scratch"}.write(t)
	first, err := ContentHash(dir, "./Dockerfile")
	must(t, err)
	second, err := ContentHash(dir, "debug.Dockerfile")
	must(t, err)
	if first != hashOf(t, dir) || first == second {
		t.Errorf("got %s for ./Dockerfile and %s for another, want that of Dockerfile and another", first, second)
	}
}

func TestContentHashResolvesTheFolder(t *testing.T) {
	dir := files{"Dockerfile": "FROM scratch", "main.go": "1"}.write(t)
	link := filepath.Join(t.TempDir(), "app")
	must(t, os.Symlink(dir, link))
	before := hashOf(t, link)
	if before != hashOf(t, dir) {
		t.Error("a link to the folder has another hash than the folder")
	}
	files{"main.go": "2"}.writeTo(t, dir)
	if hashOf(t, link) == before {
		t.Error("a change in the folder that the link leads to does not count")
	}
}

func TestContentHashIgnoresWhatACloneChanges(t *testing.T) {
	dir := files{"Dockerfile": "FROM scratch", "a": "1", "sub/b": ""}.write(t)
	want := hashOf(t, dir)
	old := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, os.Chtimes(filepath.Join(dir, "a"), old, old))
	must(t, os.Chmod(filepath.Join(dir, "a"), 0o664)) // another umask
	must(t, os.Chmod(filepath.Join(dir, "sub"), 0o775))
	if got := hashOf(t, dir); got != want {
		t.Errorf("got %s, want %s: times or permissions count", got, want)
	}
	must(t, os.Chmod(filepath.Join(dir, "a"), 0o755))
	if got := hashOf(t, dir); got == want {
		t.Error("the executable bit does not count, although it is part of the image")
	}
}

func TestContentHashCountsLinksNotTheirTargets(t *testing.T) {
	dir := files{"Dockerfile": "FROM scratch", "folder/file": "1"}.write(t)
	hashWithLinkTo := func(target string) string {
		link := filepath.Join(dir, "link")
		_ = os.Remove(link)
		must(t, os.Symlink(target, link))
		return hashOf(t, dir)
	}
	if hashWithLinkTo("missing-1") == hashWithLinkTo("missing-2") {
		t.Error("another link target gives the same hash")
	}
	outside := files{"file": "1"}.write(t)
	before := hashWithLinkTo(outside)
	files{"file": "2"}.writeTo(t, outside)
	if hashOf(t, dir) != before {
		t.Error("a file outside of the folder counts")
	}
}

func TestContentHashRefuses(t *testing.T) {
	linked := files{"real/Dockerfile": ""}.write(t)
	must(t, os.Symlink("real/Dockerfile", filepath.Join(linked, "Dockerfile")))
	must(t, os.Symlink("real", filepath.Join(linked, "folder")))
	pipe := files{"Dockerfile": ""}.write(t)
	must(t, syscall.Mkfifo(filepath.Join(pipe, "pipe"), 0o600))
	tests := map[string]struct{ dir, dockerfile, want string }{
		"a missing folder":            {filepath.Join(t.TempDir(), "missing"), "", "missing"},
		"a file":                      {filepath.Join(linked, "real", "Dockerfile"), "", "not a directory"},
		"no Dockerfile":               {files{"main.go": ""}.write(t), "", "Dockerfile"},
		"no such Dockerfile":          {files{"Dockerfile": ""}.write(t), "other", "other"},
		"a folder for a Dockerfile":   {files{"Dockerfile/": ""}.write(t), "", "must be a regular file"},
		"a link for a Dockerfile":     {linked, "", "must be a regular file"},
		"a Dockerfile behind a link":  {linked, "folder/Dockerfile", "not followed"},
		"a malformed .dockerignore":   {files{"Dockerfile": "", ".dockerignore": "[a-\n"}.write(t), "", "syntax error"},
		"a folder for .dockerignore":  {files{"Dockerfile": "", ".dockerignore/": ""}.write(t), "", ".dockerignore"},
		"what is neither file nor so": {pipe, "", "exclude it in .dockerignore"},
	}
	for name, test := range tests {
		if _, err := ContentHash(test.dir, test.dockerfile); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
	}
}

// An unreadable folder, such as the data of a database, causes no error if it is excluded.
func TestContentHashDoesNotReadWhatIsLeftOut(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	for _, ignore := range []string{"db", "*\n!main.go", "*\n!*.go", "*\n!**/x"} {
		dir := files{"Dockerfile": "", "main.go": "", "db/secret": "", ".dockerignore": ignore}.write(t)
		must(t, os.Chmod(filepath.Join(dir, "db"), 0))
		if _, err := ContentHash(dir, ""); err != nil {
			t.Errorf("%q: got error %v, want none", ignore, err)
		}
		files{".dockerignore": ""}.writeTo(t, dir)
		if _, err := ContentHash(dir, ""); err == nil {
			t.Error("an unreadable folder that is not excluded: got no error")
		}
		must(t, os.Chmod(filepath.Join(dir, "db"), 0o700))
	}
}

// Two trees have the same hash only if they are equal.
func FuzzContentHash(f *testing.F) {
	f.Add("a", "1", "b", "2")
	f.Add("a", "1", "a", "1")
	f.Add("a", "", "b", "file \"b\" false 0\n")
	f.Fuzz(func(t *testing.T, name1, content1, name2, content2 string) {
		for _, name := range []string{name1, name2} {
			if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "/\\*\x00") ||
				strings.HasPrefix(strings.ToLower(name), "dockerfile") || strings.EqualFold(name, ignoreSuffix) ||
				!utf8.ValidString(name) {
				t.Skip("not a file name for this test")
			}
		}
		first := hashOf(t, files{"Dockerfile": "", name1: content1}.write(t))
		second := hashOf(t, files{"Dockerfile": "", name2: content2}.write(t))
		if same := name1 == name2 && content1 == content2; (first == second) != same {
			t.Errorf("%q %q and %q %q: same hash %v, want %v", name1, content1, name2, content2, first == second, same)
		}
	})
}

func BenchmarkContentHash(b *testing.B) {
	tree := files{"Dockerfile": "FROM scratch"}
	for i := range 1000 {
		tree[filepath.Join("d", string(rune('a'+i%26)), strings.Repeat("f", i%50+1)+".go")] = strings.Repeat("x", 4096)
	}
	dir := tree.write(b)
	for b.Loop() {
		hashOf(b, dir)
	}
}
