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

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// ContentHash is a hexadecimal SHA-256 of all that a build can read from the folder: the path of the Dockerfile
// (relative to the folder; empty is Dockerfile) and everything that the ignore file lets through. Two folders have one
// hash exactly if the builder gets the same from both:
//
//   - A file counts with its path, its content and whether it is executable. The other permission bits follow from the
//     umask of a clone, so the builder gets them as 644 or 755 (see stage). BuildKit's cache key holds all of them
//     (cache/contenthash/filehash.go), which is right within one builder, but not between two clones of one commit.
//   - A link counts with where it leads: the builder copies the link. Only the folder itself is resolved first, as in
//     BuildKit and the Docker CLI.
//   - A folder with nothing in it counts: COPY creates it in the image. Any other is in the paths of what it holds.
//   - Times and owners do not count: clones differ in them. BuildKit's key has no times, and what is sent has owner 0.
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
// differ somewhere. It enters an excluded folder only if an exception could match something inside, and passes over one
// that may not be read if nothing in it is wanted (https://pkg.go.dev/github.com/tonistiigi/fsutil, filter.go).
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
