// Package durable writes files atomically and durably: after a power cut a file has its
// old contents or its new contents, never a mixture.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/natefinch/atomic"
)

// WriteFile creates or replaces the file at path, with the given mode. It writes a
// temporary file beside it, syncs and renames it, and syncs the folder.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	// The replacement inherits the mode of an existing file. Set that mode first, so that
	// the new contents are never readable by more people than mode allows.
	if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := atomic.WriteFile(path, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// A file that is new has mode 0600 until now.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(path)
}

// CreateFile is like [WriteFile] but returns [fs.ErrExist] if the file exists. On a file
// system with hard links, only one of two concurrent callers succeeds.
func CreateFile(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it fails after a rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	// A link fails if the name exists; a rename would replace the file.
	err = os.Link(f.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // the file system has no hard links
		if _, missing := os.Lstat(path); !errors.Is(missing, fs.ErrNotExist) {
			err = fs.ErrExist
		} else {
			err = os.Rename(f.Name(), path)
		}
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return syncFolder(path)
}

// syncFolder syncs the folder of path, so that the file's name survives a power cut.
func syncFolder(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync the folder of %s: %w", path, err)
	}
	err = f.Sync()
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, errors.ErrUnsupported) { // some file systems can't sync folders
		err = nil
	}
	return errors.Join(err, f.Close())
}

// Rotate renames the file at path to path.1, path.1 to path.2 and so on, and drops the
// file numbered keep. Missing files are skipped.
func Rotate(path string, keep int) error {
	name := func(n int) string {
		if n == 0 {
			return path
		}
		return path + "." + strconv.Itoa(n)
	}
	for n := keep - 1; n >= 0; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate %s: %w", path, err)
		}
	}
	return syncFolder(path)
}
