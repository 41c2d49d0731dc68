// Package durable writes files that survive a power cut: a reader finds the old
// contents or the new, never a part of either.
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

// WriteFile replaces the file at path, or creates it, with the given mode. The
// contents are written to a file beside it, synced and renamed, and then the
// folder is synced.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	// The replacement takes over the mode of a file that exists. Set it first, so
	// that a secret is never readable by more people than mode allows.
	if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := atomic.WriteFile(path, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// A new file has mode 0600 so far.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(path)
}

// CreateFile is WriteFile for a file that must not exist yet; one that does is
// an [fs.ErrExist]. Of two callers at the same time, one succeeds, where the file
// system has hard links.
func CreateFile(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // a rename took it away
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	// A link fails when the name is taken, which a rename does not.
	err = os.Link(f.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // no hard links here
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

// syncFolder makes the name of the file at path survive a power cut.
func syncFolder(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync the folder of %s: %w", path, err)
	}
	err = f.Sync()
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, errors.ErrUnsupported) { // some file systems can't
		err = nil
	}
	return errors.Join(err, f.Close())
}

// Rotate moves the file at path out of the way: to path.1, the one there to path.2,
// and so on. The one numbered keep goes. A file that is not there is left out.
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
