package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandsReachTheServer(t *testing.T) {
	dir, err := os.MkdirTemp("", "l") //nolint:usetesting // short: the path of a socket has some 100 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "db.sock")
	if err := Call(t.Context(), path, "greet", nil, io.Discard); !errors.Is(err, ErrNobody) {
		t.Errorf("without a server: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left behind by a server that was killed
		t.Fatal(err)
	}
	stop, err := Listen(t.Context(), path, func(_ context.Context, command string, args json.RawMessage, out io.Writer) error {
		var name string
		if command != "key greet" {
			return ErrUnknown
		}
		if err := json.Unmarshal(args, &name); err != nil {
			return err
		}
		fmt.Fprintf(out, "hello %s\n", name)
		if name == "nobody" {
			return errors.New("nobody is there:\nat all, 100%")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	for name, want := range map[string]string{"Mei": "", "nobody": "nobody is there:\nat all, 100%"} {
		var out strings.Builder
		err := Call(t.Context(), path, "key greet", name, &out)
		if out.String() != "hello "+name+"\n" || (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q, %v", out.String(), err)
		}
	}
	if err := Call(t.Context(), path, "no such", nil, io.Discard); err == nil || err.Error() != ErrUnknown.Error() {
		t.Errorf("got %v, want %v", err, ErrUnknown)
	}
	stop()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
