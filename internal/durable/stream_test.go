package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStream: a file is replaced by what was written whole. If writing fails, it is as it
// was, and nothing else is left.
func TestStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept.zip")
	write := func(err error) error {
		return Stream(path, 0o600, func(w io.Writer) error {
			_, wrong := io.WriteString(w, strings.Repeat("new", 10_000))
			return errors.Join(wrong, err)
		})
	}
	broken := errors.New("broken")
	if err := write(broken); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("half a file is there")
	}
	if err := write(nil); err != nil {
		t.Fatal(err)
	}
	if err := write(broken); !errors.Is(err, broken) || contents(t, path) != strings.Repeat("new", 10_000) {
		t.Errorf("the file was changed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	alone(t, path)
}

// TestSpool: what was spooled can be read anywhere, and no file has a name.
func TestSpool(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	s, err := Spool(strings.NewReader("an upload"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it is thrown away
	end := make([]byte, 6)
	if _, err := s.ReadAt(end, 3); err != nil || string(end) != "upload" || s.Size != 9 {
		t.Errorf("reads %q of %d bytes, %v", end, s.Size, err)
	}
	broken := errors.New("broken")
	if _, err := Spool(io.MultiReader(strings.NewReader("x"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
		t.Errorf("left are %v, %v", files, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
