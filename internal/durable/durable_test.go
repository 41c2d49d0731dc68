package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alone fails unless the file is the only one in its folder.
func alone(t *testing.T, path string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, want the file alone: %v", files, err)
	}
}

// A file is replaced and never rewritten in place: a reader that has the old file open
// reads the old contents to the end.
func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept.json")
	if err := WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close() //nolint:errcheck // it was only read
	if err := WriteFile(path, []byte("new and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 20)
	if n, _ := old.Read(b); string(b[:n]) != "old" {
		t.Errorf("the file that was open reads %q, want the old contents", b[:n])
	}
	if got := contents(t, path); got != "new and longer" {
		t.Errorf("the file reads %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	alone(t, path)
}

func TestCreateFileReplacesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	var made atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch err := CreateFile(path, []byte("a key"), 0o600); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("got %v, want ErrExist", err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d callers made the file, want one", made.Load())
	}
	if got := contents(t, path); got != "a key" {
		t.Errorf("the file reads %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	alone(t, path)
}

func TestMissingFolderIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "file")
	if err := WriteFile(path, nil, 0o600); err == nil {
		t.Error("WriteFile into a folder that is not there succeeded")
	}
	if err := CreateFile(path, nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}
