package cli_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/policy"
)

// packs makes a zip file of a folder: packs FILE FOLDER.
func packs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: packs FILE FOLDER")
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	ts.Check(w.AddFS(os.DirFS(ts.MkAbs(args[1]))))
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}

// keeps sets a variable to the standard output of the last command: keeps NAME.
func keeps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keeps NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// backUp keeps what a run of policy.backup would: a filter with a rule.
func backUp(ctx context.Context, tx db.Tx, run, rule string) error {
	var k backup.Key
	if err := tx.QueryRow(ctx, `SELECT workspace_id, tenant_id FROM runs WHERE id = $1`, run).Scan(&k.Workspace, &k.Tenant); err != nil {
		return err
	}
	k.Set = access.NewID()
	if err := backup.Begin(ctx, tx, k.Workspace, backup.Set{ID: k.Set, Tenant: k.Tenant, Run: run, Origin: backup.FromRun, AsOf: time.Now()}); err != nil {
		return err
	}
	item := policy.Item{Type: "assignmentFilters", ID: "f1", Body: json.RawMessage(`{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"` + rule + `"}`)}
	if err := backup.Put(ctx, tx, k, backup.Pack([]backup.Contents{{Policy: item, Item: backup.Item{Type: item.Type, ID: item.ID, Name: "Kiosks"}}})); err != nil {
		return err
	}
	_, err := backup.Commit(ctx, tx, k, []backup.TypeRead{{Type: "assignmentFilters", Items: 1, Reason: "list_incomplete"}})
	return err
}

// TestDownloadCutOff: a download that breaks off leaves the file as it was.
func TestDownloadCutOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		_, _ = io.WriteString(w, "PK half of it")
		_ = http.NewResponseController(w).Flush() // the client has it
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	t.Setenv("INTERLOCK_URL", server.URL)
	t.Setenv("INTERLOCK_TOKEN", "ilk_x")
	t.Setenv("INTERLOCK_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	folder := t.TempDir()
	file := filepath.Join(folder, "kestrel.zip")
	if err := os.WriteFile(file, []byte("yesterday's"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	root := cli.Root(cli.IO{In: strings.NewReader(""), Out: io.Discard, Err: &errs})
	root.SetArgs([]string{"backups", "download", "b", "--tenant", "kestrel", "--file", file})
	if code := cli.Execute(t.Context(), root); code != 1 || !strings.Contains(errs.String(), "broke off") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	got, err := os.ReadFile(file)
	left, err2 := os.ReadDir(folder)
	if err != nil || err2 != nil || string(got) != "yesterday's" || len(left) != 1 {
		t.Errorf("the file holds %q, the folder %v, %v %v", got, left, err, err2)
	}
}
