package review

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"example.com/scaleout/internal/rendered"
)

// golden matches the golden files of stacks: the folder of the project, the stack and the file.
var golden = regexp.MustCompile(`^((?:.*/)?)testdata/golden/([^/]+)/([^/]+)$`)

// Load returns the stacks of a Git repository, by name: at the commit that base and head have in common, and at head, a
// revision, or in the working tree if head is empty. It only reads. A stack has a Pulumi.<stack>.yaml beside
// testdata/golden/<stack>; the name of one in a subfolder begins with the folder, e.g. cluster/prod. It also returns
// the commit, abbreviated.
func Load(dir, base, head string) (before, after map[string]*rendered.Stack, commit string, err error) {
	r := repository{dir}
	top, err := r.git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, nil, "", err
	}
	r.dir = top
	found, err := r.commit("BASE", base)
	if err != nil {
		return nil, nil, "", err
	}
	tip, now, where := "HEAD", map[string]map[string]string(nil), "this working tree"
	if head == "" {
		now, err = r.workingTree()
	} else if tip, err = r.commit("HEAD", head); err == nil {
		where = "HEAD=" + head
		now, err = r.at(tip)
	}
	if err != nil {
		return nil, nil, "", err
	}
	commit = r.common(found, tip)
	then, err := r.at(commit)
	if err != nil {
		return nil, nil, "", err
	}
	commit = commit[:10]
	if len(then) == 0 {
		return nil, nil, "", fmt.Errorf("BASE=%s (%s) has no golden files of a stack: run `make golden` there and commit "+
			"the files, or set BASE to a later commit", base, commit)
	}
	parser := rendered.Parser{}
	if before, err = parser.Parse(then); err != nil {
		return nil, nil, "", fmt.Errorf("BASE=%s (%s): %w\nRun `make golden` there and commit the files, or set BASE to a "+
			"later commit", base, commit, err)
	}
	if after, err = parser.Parse(now); err != nil {
		return nil, nil, "", fmt.Errorf("%s: %w\nRun `make golden` and commit the files", where, err)
	}
	return before, after, commit, nil
}

// repository is the top folder of a clone.
type repository struct{ dir string }

// git runs a command that only reads. Without optional locks it does not even refresh the index.
func (r repository) git(args ...string) (string, error) {
	out, err := r.run(nil, args...)
	return strings.TrimSpace(string(out)), err
}

func (r repository) run(stdin io.Reader, args ...string) ([]byte, error) {
	command := exec.Command("git", append([]string{"--no-optional-locks"}, args...)...)
	var stderr bytes.Buffer
	command.Dir, command.Stdin, command.Stderr = r.dir, stdin, &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// commit returns the commit of a revision, which is the value of a variable.
func (r repository) commit(variable, revision string) (string, error) {
	// In two steps, since a revision such as :/fix extends to the end of the text.
	found, err := r.git("rev-parse", "--quiet", "--verify", "--end-of-options", revision)
	if err == nil {
		found, err = r.git("rev-parse", "--quiet", "--verify", found+"^{commit}")
	}
	if err != nil {
		unshallow := ""
		if shallow, _ := r.git("rev-parse", "--is-shallow-repository"); shallow == "true" {
			unshallow = " --unshallow"
		}
		return "", fmt.Errorf("%s=%s is not a commit in this clone: git fetch%s origin", variable, revision, unshallow)
	}
	return found, nil
}

// common returns the commit where a branch left its base, or the base if they have none in common, or if the clone does
// not reach back to it.
func (r repository) common(base, tip string) string {
	if common, err := r.git("merge-base", base, tip); err == nil {
		return common
	}
	return base
}

// workingTree returns the golden files on disk, by stack and name. Symbolic links are not followed: the comment on a
// branch of a stranger would contain what they point to.
func (r repository) workingTree() (map[string]map[string]string, error) {
	out, err := r.run(nil, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var paths []string
	for path := range strings.SplitSeq(string(out), "\x00") {
		if info, err := os.Lstat(filepath.Join(r.dir, path)); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	return ofStacks(paths, func(paths []string) ([]string, error) {
		contents := make([]string, len(paths))
		for i, path := range paths {
			content, err := os.ReadFile(filepath.Join(r.dir, path))
			if err != nil {
				return nil, fmt.Errorf("reading a golden file: %w", err)
			}
			contents[i] = string(content)
		}
		return contents, nil
	})
}

// at returns the golden files of a commit, by stack and name.
func (r repository) at(commit string) (map[string]map[string]string, error) {
	out, err := r.run(nil, "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	var paths []string
	objects := map[string]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") { // 100644 blob <object>\t<path>
		about, path, _ := strings.Cut(entry, "\t")
		if fields := strings.Fields(about); len(fields) == 3 && strings.HasPrefix(fields[0], "100") {
			paths, objects[path] = append(paths, path), fields[2]
		}
	}
	return ofStacks(paths, func(paths []string) ([]string, error) {
		var wanted strings.Builder
		for _, path := range paths {
			wanted.WriteString(objects[path] + "\n")
		}
		out, err := r.run(strings.NewReader(wanted.String()), "cat-file", "--batch")
		if err != nil {
			return nil, err
		}
		return batch(bufio.NewReader(bytes.NewReader(out)), len(paths))
	})
}

// batch reads the output of git cat-file --batch: a line with the object, its type and size, the content, a newline.
func batch(out *bufio.Reader, n int) ([]string, error) {
	contents := make([]string, n)
	for i := range contents {
		header, err := out.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("reading from git cat-file: %w", err)
		}
		fields := strings.Fields(header)
		size, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			return nil, fmt.Errorf("git cat-file: %s", strings.TrimSpace(header)) // a partial clone that is offline
		}
		content := make([]byte, size+1)
		if _, err := io.ReadFull(out, content); err != nil {
			return nil, fmt.Errorf("reading from git cat-file: %w", err)
		}
		contents[i] = string(content[:size])
	}
	return contents, nil
}

// ofStacks selects the golden files of the stacks that have a stack file, and that file, and returns their contents.
func ofStacks(paths []string, read func([]string) ([]string, error)) (map[string]map[string]string, error) {
	exists := map[string]bool{}
	for _, path := range paths {
		exists[path] = true
	}
	var selected []string
	stackFiles := map[string]string{} // the stacks by the paths of their stack files
	for _, path := range paths {
		m := golden.FindStringSubmatch(path)
		if m == nil || !exists[m[1]+"Pulumi."+m[2]+".yaml"] {
			continue
		}
		if file := m[1] + "Pulumi." + m[2] + ".yaml"; stackFiles[file] == "" {
			stackFiles[file] = m[1] + m[2]
			selected = append(selected, file)
		}
		selected = append(selected, path)
	}
	contents, err := read(selected)
	if err != nil {
		return nil, err
	}
	stacks := map[string]map[string]string{}
	for i, path := range selected {
		stack := stackFiles[path]
		if m := golden.FindStringSubmatch(path); m != nil {
			stack = m[1] + m[2]
		}
		if stacks[stack] == nil {
			stacks[stack] = map[string]string{}
		}
		stacks[stack][filepath.Base(path)] = contents[i]
	}
	return stacks, nil
}
