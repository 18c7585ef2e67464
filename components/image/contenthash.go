package image

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
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

// ContentHash returns the hexadecimal SHA-256 of everything that a build can read from the folder: the path of the
// Dockerfile (relative to the folder; empty is Dockerfile) and all content that the ignore file does not exclude. Two
// folders have the same hash if and only if the builder receives the same content:
//
//   - A file counts with its path, its content and whether it is executable. The other permission bits depend on the
//     umask of the clone, so the builder gets 644 or 755 (see stage).
//   - A link counts with its target, because the builder copies it. Only the folder itself is resolved, as in BuildKit.
//   - An empty folder counts, because COPY creates it in the image.
//   - Times and owners do not count, because clones differ in them.
//
// It fails if the folder or a file in it cannot be read, if a name is not UTF-8, and if the ignore file is malformed.
func ContentHash(folder, dockerfile string) (string, error) {
	sent, err := list(folder, dockerfile)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "Dockerfile %q\n", sent.dockerfile) // a hash never returns an error
	for _, name := range slices.Sorted(maps.Keys(sent.leaves)) {
		if err := sent.hash(sum, name); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// tree is a folder, as a file system that has only what a build reads.
type tree struct {
	fs.ReadLinkFS
	dockerfile string
	sent       map[string]bool // paths
	leaves     map[string]bool // paths of files, links and empty folders
}

// ReadDir lists the entries of a folder that are sent to the builder.
func (t *tree) ReadDir(folder string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.ReadLinkFS, folder)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !t.sent[path.Join(folder, e.Name())] }), err
}

// list returns the content that is sent to the builder. It uses BuildKit's own walker, because another implementation
// of .dockerignore would differ. The walker does not enter folders that are excluded completely:
// https://pkg.go.dev/github.com/tonistiigi/fsutil
func list(folder, dockerfile string) (*tree, error) {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	t := &tree{
		ReadLinkFS: os.DirFS(root).(fs.ReadLinkFS), dockerfile: path.Clean(cmp.Or(dockerfile, "Dockerfile")),
		sent: map[string]bool{}, leaves: map[string]bool{},
	}
	excluded, err := t.excluded()
	if err != nil {
		return nil, err
	}
	// No file is opened during the walk: fsutil ends a folder early if one of its files disappears.
	err = fsutil.Walk(context.Background(), root, &fsutil.FilterOpt{ExcludePatterns: excluded},
		func(name string, info fs.FileInfo, err error) error {
			if err == nil && name == t.dockerfile && !info.Mode().IsRegular() {
				err = fmt.Errorf("%s must be a regular file, not a folder or a link", filepath.Join(folder, name))
			}
			t.sent[name], t.leaves[name] = true, true
			delete(t.leaves, path.Dir(name))
			return err
		})
	if err == nil && !t.sent[t.dockerfile] {
		err = fmt.Errorf("%s: %w in this folder (links to folders are not followed)",
			filepath.Join(folder, t.dockerfile), fs.ErrNotExist)
	}
	return t, err
}

// excluded returns the exclude patterns: those of <Dockerfile>.dockerignore, or else of .dockerignore
// (https://docs.docker.com/build/concepts/context/#filename-and-location), followed by those of this package, which
// take precedence because they are last. The Dockerfile is never excluded.
func (t *tree) excluded() ([]string, error) {
	own := t.dockerfile + ignoreSuffix
	content, err := fs.ReadFile(t, own)
	if errors.Is(err, fs.ErrNotExist) {
		content, err = fs.ReadFile(t, ignoreSuffix)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(content))
	return append(patterns, "!"+t.dockerfile, own, "**/"+stagingFolder), err
}

// ignoreSuffix is the name of the general ignore file, and the suffix of the ignore file of a single Dockerfile.
const ignoreSuffix = ".dockerignore"

// hash adds an entry to sum. Name and size precede the content, so that no two trees share a byte stream.
func (t *tree) hash(sum io.Writer, name string) error {
	info, err := t.Lstat(name)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		fmt.Fprintf(sum, "folder %q\n", name)
		return nil
	case isLink(info):
		target, err := t.ReadLink(name)
		fmt.Fprintf(sum, "link %q %q\n", name, target)
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file, a folder or a link: exclude it in %s", name, ignoreSuffix)
	}
	file, err := t.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Fprintf(sum, "file %q %t %d\n", name, isExecutable(info), info.Size())
	_, err = io.Copy(sum, file)
	return err
}

func isLink(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink != 0 }

func isExecutable(info fs.FileInfo) bool { return info.Mode()&0o111 != 0 }

// stagingFolder contains the folders that the provider builds, one for each tag. It is in the program's folder,
// because the path is part of the recorded inputs and must be the same on every machine.
const stagingFolder = ".image-context"

// stageAge is the time since its last use after which a staged tree is deleted. No build takes longer.
const stageAge = 24 * time.Hour

// stage copies the content that a build reads to stagingFolder, with the permissions 644 and 755, and returns the
// path of the copy. The copy has the hash want, or there is an error. With the original folder, the provider would
//
//   - build the content at the time of the build, which may be newer than the tag;
//   - report a change in a clone with another umask: it compares path, mode and content, and IgnoreChanges does not
//     hide the difference (pulumi-docker 4.11.2, provider/provider.go: Check and Diff);
//   - apply .dockerignore in two ways: with BuildKit's walker for the digest, and for the content that it sends with
//     one that ignores exceptions with a wildcard (go-archive 0.1.0, Tarballer.Do). With `*` and `!**/*.go` it sends
//     no folder.
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
	defer func() { _ = os.RemoveAll(temporary) }() // prepare deletes leftovers later
	sent, err := list(folder, dockerfile)
	if err != nil {
		return "", err
	}
	if err := sent.copyTo(temporary); err != nil {
		return "", err
	}
	if !holds(temporary, dockerfile, want) {
		return "", errors.New("a file changed while it was read: run the command again")
	}
	if os.Rename(temporary, to) == nil || holds(to, dockerfile, want) { // another run may have created it
		return to, nil
	}
	if err := os.RemoveAll(to); err != nil { // its content was changed
		return "", err
	}
	return to, os.Rename(temporary, to)
}

// holds reports whether a staged folder has the hash want.
func holds(dir, dockerfile, want string) bool {
	got, err := ContentHash(dir, dockerfile)
	return err == nil && got == want
}

// prepare creates the folder for staged trees, which Git ignores, and deletes unused trees. Only its owner has
// access, because the copies are world-readable while the originals may not be.
func prepare() error {
	if err := os.MkdirAll(stagingFolder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stagingFolder, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return err
	}
	staged, err := os.ReadDir(stagingFolder)
	for _, entry := range staged {
		info, err := entry.Info()
		if err == nil && info.IsDir() && time.Since(info.ModTime()) >= stageAge { // otherwise another run deleted it
			_ = os.RemoveAll(filepath.Join(stagingFolder, entry.Name())) // or else the next run does
		}
	}
	return err
}

// copyTo copies the tree to an empty folder, and adds an ignore file that excludes only itself.
func (t *tree) copyTo(dir string) error {
	if err := os.CopyFS(dir, t); err != nil {
		return err
	}
	ignore := t.dockerfile + ignoreSuffix
	if err := os.WriteFile(filepath.Join(dir, ignore), []byte(ignore+"\n"), 0o644); err != nil {
		return err
	}
	return fs.WalkDir(t, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		copied := filepath.Join(dir, name)
		switch {
		case err != nil:
			return err
		case isLink(info):
			// The provider's Check would fail for it (4.11.2, provider/provider.go: hashPath).
			if _, err := filepath.EvalSymlinks(copied); err != nil {
				return fmt.Errorf("the link %s leads to no file in the build context, which the Docker provider rejects: "+
					"exclude it in %s and create it in the Dockerfile", name, ignoreSuffix)
			}
			return nil
		case info.IsDir() || isExecutable(info): // the permissions that Git sets with the usual umask
			return os.Chmod(copied, 0o755)
		}
		return os.Chmod(copied, 0o644)
	})
}
