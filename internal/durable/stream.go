package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Stream creates or replaces the file at path with what write writes. If write fails, the
// file is as it was before: half of it is never there under its name.
func Stream(path string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it fails after the rename
	buffer := bufio.NewWriter(f)
	if err = write(buffer); err == nil {
		err = errors.Join(buffer.Flush(), f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(path)
}

// Spooled is data in a temporary file, for random access. The file has no name any more:
// it is gone once it is closed, or with the process.
type Spooled struct {
	*os.File
	Size int64
}

// Spool reads r to its end into a temporary file in the folder that TMPDIR names, or in
// /tmp. Only this process can read it. The caller limits r.
func Spool(r io.Reader) (*Spooled, error) {
	f, err := os.CreateTemp("", "interlock-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	err = os.Remove(f.Name())
	s := &Spooled{File: f}
	if err == nil {
		s.Size, err = io.Copy(f, r)
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, fmt.Errorf("spool: %w", err)
	}
	return s, nil
}
