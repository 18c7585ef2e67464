package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stagingFolder holds, by tag, what the provider is given to build. It is in the program's folder, since the path is
// part of the recorded inputs and must be the same on every machine.
const stagingFolder = ".image-context"

// stageAge is how long a staged tree is kept after its last use: longer than any build, so that a run removes nothing
// that another one in the same folder is building from.
const stageAge = 24 * time.Hour

// stage copies what a build reads from a folder to stagingFolder, with its permissions as 644 and 755, and returns the
// path of the copy. The copy has the hash want, or there is an error. Given the folder itself, the provider would
//
//   - build whatever is there when it comes to it, which may be newer than the tag says. The registry, and a later run
//     with the old content back in place, would then take that for the image of the old content;
//   - see another image in a clone with another umask. Its Check puts a digest over path, mode and content into
//     build.contextDigest, and its Diff reports any change of the inputs (pulumi-docker 4.11.2, provider/provider.go).
//     IgnoreChanges of build.contextDigest does not help: the engine puts the old value back before Check, which writes
//     the new one over it, and leaves the answer of Diff alone (Pulumi 3.276.0, pkg/resource/deploy/step_generator.go:
//     processIgnoreChanges, diffResource). A registry with immutable tags refuses the result of such a build;
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

// copyTo copies the tree to an empty folder. An ignore file that names only itself keeps the provider from leaving out
// anything more.
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
	if info.IsDir() {
		return os.MkdirAll(to, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if isLink(info) {
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
