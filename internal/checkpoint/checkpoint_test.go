package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/vault"
)

func newSigner(t *testing.T) vault.Signer {
	t.Helper()
	s, err := vault.NewSigner(vault.NewSigningKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExportsAreReadAsTheyWereSigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heads.jsonl")
	signer := newSigner(t)
	if _, err := Read(path, signer.Public()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	at := time.Date(2026, 11, 28, 10, 0, 0, 1234567, time.FixedZone("", 3600))
	for n := range 3 {
		heads := []Head{{"w1", "lattice", int64(n + 1), strings.Repeat("a", 64)}, {"w2", "büro & söhne", 7, strings.Repeat("b", 64)}}
		if err := Append(path, signer, at.Add(time.Duration(n)*time.Hour), heads[:n]); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Read(path, signer.Public())
	if err != nil || len(all) != 3 || len(all[2].Heads) != 2 || all[2].Heads[0].Seq != 3 || !all[1].At.Equal(at.Add(time.Hour).Truncate(time.Microsecond)) {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := Read(path, newSigner(t).Public()); !errors.Is(err, ErrForged) {
		t.Errorf("by another key: %v", err)
	}

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Every byte counts, save the line ends.
	for i := range text {
		if text[i] == '\n' {
			continue
		}
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, signer.Public()); !errors.Is(err, ErrForged) {
			t.Errorf("byte %d (%q) changed: %v, %d exports", i, text[max(0, i-10):min(len(text), i+10)], err, len(got))
		}
	}
	if err := os.WriteFile(path, text[:len(text)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, signer.Public()); !errors.Is(err, ErrForged) {
		t.Errorf("cut off: %v", err)
	}
}

func TestOldExportsAreKeptBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heads.jsonl")
	signer := newSigner(t)
	many := make([]Head, 4000) // some 500 kB a line
	for i := range many {
		many[i] = Head{"workspace", "slug", int64(i), strings.Repeat("c", 64)}
	}
	for n := range 5 {
		if err := Append(path, signer, time.Unix(int64(n), 0), many); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Errorf("the files are %v", files)
	}
	all, err := Read(path, signer.Public())
	if err != nil || len(all) != 5 {
		t.Fatalf("%d exports, %v", len(all), err)
	}
	for n, e := range all {
		if e.At.Unix() != int64(n) {
			t.Errorf("export %d is of %v", n, e.At)
		}
	}
}
