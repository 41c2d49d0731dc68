package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// start makes a demo in a folder and ends it.
func start(t *testing.T, folder string) (Info, error) {
	t.Helper()
	d, err := New(t.Context(), Config{Folder: folder})
	if err != nil {
		return Info{}, err
	}
	defer d.Close()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	return d.Info, d.Serve(ctx)
}

// A demo whose first start was cut off at any point is created again; a complete one
// is kept.
func TestADemoThatWasCutOffIsMadeAnew(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	first, err := start(t, folder)
	if err != nil {
		t.Fatal(err)
	}
	again, err := start(t, folder)
	if err != nil || again.Users[0].Token != first.Users[0].Token {
		t.Fatalf("a demo that was made does not go on: %v", err)
	}

	// As if the power went out after the database and before the sign-ins were kept.
	k, err := (&Demo{folder: folder}).recall(Config{})
	if err != nil {
		t.Fatal(err)
	}
	k.Users = nil
	if err := (&Demo{folder: folder}).remember(k); err != nil {
		t.Fatal(err)
	}
	anew, err := start(t, folder)
	if err != nil || anew.Users[0].Token == first.Users[0].Token {
		t.Fatalf("a demo that was cut off is not made anew: %v", err)
	}

	whole, err := os.ReadFile(file(memory))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(file(memory), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := start(t, folder); err == nil || !strings.Contains(err.Error(), "remove the folder "+folder) {
			t.Errorf("with %d of %d bytes: %v, want what to do", size, len(whole), err)
		}
	}
}

// A folder with somebody's database in it is left as it is, however often the
// demo is started there.
func TestADemoLeavesOtherDatabasesAlone(t *testing.T) {
	folder := t.TempDir()
	theirs := filepath.Join(folder, database)
	if err := os.WriteFile(theirs, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := start(t, folder); err == nil || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("got %v, want a refusal that says what to do", err)
		}
	}
	if b, err := os.ReadFile(theirs); err != nil || string(b) != "theirs" {
		t.Errorf("the database reads %q, %v", b, err)
	}
}
