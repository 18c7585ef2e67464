package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// ContentHash is a hexadecimal SHA-256 of all that a build can read from the folder: the path of the Dockerfile
// (relative to the folder; empty is Dockerfile) and everything that the ignore file lets through. Two folders have one
// hash exactly if the builder gets the same from both:
//
//   - A file counts with its path, its content and whether it is executable. The other permission bits follow from the
//     umask of a clone, so the builder gets them as 644 or 755 (see stage).
//   - A link counts with its target: the builder copies the link. Only the folder itself is resolved first, as in BuildKit.
//   - An empty folder counts: COPY creates it in the image.
//   - Times and owners do not count: clones differ in them.
//
// It fails where the folder, its Dockerfile or a file in it cannot be read, and where the ignore file is malformed.
func ContentHash(folder, dockerfile string) (string, error) {
	sent, err := list(folder, dockerfile)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "Dockerfile %q\n", sent.dockerfile) // a hash takes everything
	for _, name := range sent.names {
		if err := sent.hash(sum, name); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// tree is what a build reads from a folder.
type tree struct {
	root, dockerfile string
	names            []string // of files, links and empty folders, with slashes, sorted
}

// list finds what goes to the builder. BuildKit's own walker decides it, since a second reading of .dockerignore would
// differ somewhere; it does not enter a folder in which nothing is wanted:
// https://pkg.go.dev/github.com/tonistiigi/fsutil
func list(folder, dockerfile string) (*tree, error) {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	sent := &tree{root: root, dockerfile: path.Clean(cmp.Or(dockerfile, "Dockerfile"))}
	excluded, err := sent.ignored()
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	// Nothing is opened during the walk: fsutil takes a file that vanishes for the end of its folder.
	err = fsutil.Walk(context.Background(), root, &fsutil.FilterOpt{ExcludePatterns: excluded},
		func(name string, info fs.FileInfo, err error) error {
			name = filepath.ToSlash(name)
			if err == nil && name == sent.dockerfile && !info.Mode().IsRegular() {
				err = fmt.Errorf("%s must be a file itself, not a folder or a link", filepath.Join(folder, name))
			}
			found[name] = true
			return err
		})
	if err != nil {
		return nil, err
	}
	if !found[sent.dockerfile] {
		return nil, fmt.Errorf("%s: %w in this folder (links to folders are not followed)",
			filepath.Join(folder, sent.dockerfile), fs.ErrNotExist)
	}
	for _, name := range slices.Collect(maps.Keys(found)) {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			delete(found, parent)
		}
	}
	sent.names = slices.Sorted(maps.Keys(found))
	return sent, nil
}

// ignored are the patterns of what does not go to the builder: those of <Dockerfile>.dockerignore, or else of
// .dockerignore (https://docs.docker.com/build/concepts/context/#filename-and-location), and our own, which are last
// and so count most. The Dockerfile goes along whatever they say.
func (t *tree) ignored() ([]string, error) {
	patterns, err := readIgnoreFile(filepath.Join(t.root, t.dockerfile+ignoreSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		patterns, err = readIgnoreFile(filepath.Join(t.root, ignoreSuffix))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return append(patterns, "!"+t.dockerfile, t.dockerfile+ignoreSuffix, "**/"+stagingFolder), nil
}

// ignoreSuffix is the name of the ignore file for every Dockerfile, and the end of the name of that for a single one.
const ignoreSuffix = ".dockerignore"

func readIgnoreFile(name string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return patterns, nil
}

// hash adds what has this name to sum. Name and size go before the content, so that no two trees share a byte stream.
func (t *tree) hash(sum io.Writer, name string) error {
	info, err := os.Lstat(t.path(name))
	switch {
	case err != nil:
		return err
	case info.IsDir():
		fmt.Fprintf(sum, "folder %q\n", name)
		return nil
	case isLink(info):
		target, err := os.Readlink(t.path(name))
		fmt.Fprintf(sum, "link %q %q\n", name, filepath.ToSlash(target))
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file, a folder nor a link: exclude it in %s", t.path(name), ignoreSuffix)
	}
	file, err := os.Open(t.path(name))
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Fprintf(sum, "file %q %t %d\n", name, isExecutable(info), info.Size())
	_, err = io.Copy(sum, file)
	return err
}

func (t *tree) path(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

func isLink(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink != 0 }

func isExecutable(info fs.FileInfo) bool { return info.Mode()&0o111 != 0 }

// stagingFolder holds, by tag, what the provider is given to build. It is in the program's folder, since the path is
// part of the recorded inputs and must be the same on every machine.
const stagingFolder = ".image-context"

// stageAge after its last use a staged tree is removed. No build takes longer.
const stageAge = 24 * time.Hour

// stage copies what a build reads from a folder to stagingFolder, with its permissions as 644 and 755, and returns the
// path of the copy. The copy has the hash want, or there is an error. Given the folder itself, the provider would
//
//   - build whatever is there when it comes to it, which may be newer than the tag says;
//   - see another image in a clone with another umask: it compares path, mode and content, and reports any difference as a
//     change that IgnoreChanges does not hide (pulumi-docker 4.11.2, provider/provider.go: Check and Diff);
//   - read .dockerignore in two ways: for its digest with BuildKit's walker, for what it sends with one that sees no
//     exception with a wildcard (go-archive 0.1.0, Tarballer.Do). Of `*` and `!**/*.go` it sends no folder.
//
// The tag changes with the content, and with it the image's name and the path of the copy, so every change is built.
func stage(folder, dockerfile, tag, want string) (string, error) {
	to := filepath.Join(stagingFolder, tag)
	if holds(to, dockerfile, want) {
		now := time.Now()
		return to, os.Chtimes(to, now, now)
	}
	if err := prepare(); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(stagingFolder, "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // what is left of it goes with age
	sent, err := list(folder, dockerfile)
	if err != nil {
		return "", err
	}
	if err := sent.copyTo(temporary); err != nil {
		return "", err
	}
	if !holds(temporary, dockerfile, want) {
		return "", errors.New("a file changed while it was read: run it again")
	}
	if os.Rename(temporary, to) == nil || holds(to, dockerfile, want) { // another run may have been faster
		return to, nil
	}
	if err := os.RemoveAll(to); err != nil { // somebody changed it
		return "", err
	}
	return to, os.Rename(temporary, to)
}

// holds tells whether a staged folder is what a tag stands for.
func holds(dir, dockerfile, want string) bool {
	got, err := ContentHash(dir, dockerfile)
	return err == nil && got == want
}

// prepare makes the folder for staged trees, which Git does not see, and removes those that nothing uses any more. It
// is for its owner alone: a copy is readable for all where the original may not be.
func prepare() error {
	if err := os.MkdirAll(stagingFolder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stagingFolder, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return err
	}
	staged, err := os.ReadDir(stagingFolder)
	if err != nil {
		return err
	}
	for _, entry := range staged {
		info, err := entry.Info()
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < stageAge {
			continue // what has gone since is another run's doing
		}
		if err := os.RemoveAll(filepath.Join(stagingFolder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyTo copies the tree to an empty folder, with an ignore file that names only itself.
func (t *tree) copyTo(dir string) error {
	for _, name := range t.names {
		if err := copyOne(t.path(name), filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	ignore := t.dockerfile + ignoreSuffix
	if err := os.WriteFile(filepath.Join(dir, ignore), []byte(ignore+"\n"), 0o644); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		switch {
		case err != nil:
			return err
		case isLink(info):
			return checkLink(dir, path)
		}
		return os.Chmod(path, modeOf(info)) // whatever the umask made of it
	})
}

// checkLink refuses a link for which the provider's Check fails (4.11.2, provider/provider.go: hashPath).
func checkLink(dir, path string) error {
	if _, err := filepath.EvalSymlinks(path); err != nil {
		name, _ := filepath.Rel(dir, path)
		return fmt.Errorf("the link %s leads to nothing that is sent to the builder, which the Docker provider refuses: "+
			"exclude it in %s and make it in the Dockerfile", name, ignoreSuffix)
	}
	return nil
}

func copyOne(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return os.MkdirAll(to, 0o755)
	case isLink(info):
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, modeOf(info))
	if err != nil {
		return err
	}
	_, err = copied.ReadFrom(source)
	return errors.Join(err, copied.Close())
}

// modeOf has the permissions that Git gives with the usual umask.
func modeOf(info fs.FileInfo) fs.FileMode {
	if info.IsDir() || isExecutable(info) {
		return 0o755
	}
	return 0o644
}
