package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ContentHash is a hexadecimal SHA-256 of everything that `docker build` reads from the folder dir: the Dockerfile,
// and each file that .dockerignore lets through with its path, its executable bit and its content. The path of dir,
// times, owners and the other permission bits differ between two clones of one commit, so they do not count.
//
// It fails where the folder, its Dockerfile or a file in it cannot be read, and where .dockerignore is malformed.
func ContentHash(dir string) (string, error) {
	ignored, err := readIgnoreFile(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	// The builder reads the Dockerfile even where .dockerignore excludes it from the context.
	if err := hashFile(sum, dir, "Dockerfile"); err != nil {
		return "", err
	}
	// WalkDir goes in lexical order, so the same content always gives the same sum.
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(name)
		switch {
		case err != nil:
			return err
		case skip && entry.IsDir() && !ignored.Exclusions():
			return fs.SkipDir // with `!` patterns something below may still be wanted
		case skip || entry.IsDir():
			return nil
		}
		return hashFile(sum, dir, name)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// readIgnoreFile reads dir/.dockerignore with the library that Docker itself uses; a missing file ignores nothing.
func readIgnoreFile(dir string) (*patternmatcher.PatternMatcher, error) {
	path := filepath.Join(dir, ".dockerignore")
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	matcher, err := patternmatcher.New(slices.DeleteFunc(patterns, func(p string) bool { return p == "" }))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return matcher, nil
}

// hashFile adds one file to sum. Name and size go before the content, so that no two trees share a byte stream.
func hashFile(sum io.Writer, dir, name string) error {
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	slash := filepath.ToSlash(name)
	switch {
	case info.Mode()&fs.ModeSymlink != 0: // the builder copies the link, not what it points to
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "link %q %q\n", slash, filepath.ToSlash(target))
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file, a folder nor a link: exclude it in .dockerignore", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := fmt.Fprintf(sum, "file %q %t %d\n", slash, info.Mode()&0o111 != 0, info.Size()); err != nil {
		return err
	}
	_, err = io.Copy(sum, file)
	return err
}
