package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
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

// TestHistory: the history of a demo shows a trend of snapshots, backups of which the first
// one is pinned and the last one incomplete, a restore that was executed, and a preview that waits for a second
// person. A later start doesn't write it again.
func TestHistory(t *testing.T) {
	folder := t.TempDir()
	d, err := New(t.Context(), Config{Folder: folder, History: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Told(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(sql string) (all []string) {
		t.Helper()
		err := d.app.DB.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			rows, err := tx.Query(ctx, sql)
			if err != nil {
				return err
			}
			defer rows.Close()
			for all = nil; rows.Next(); {
				var line string
				if err := rows.Scan(&line); err != nil {
					return err
				}
				all = append(all, line)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	const of = ` FROM runs r JOIN tenants t ON t.id = r.tenant_id AND t.slug = 'rowan-hill' ORDER BY r.id`
	want := []string{
		"connection.verify succeeded", "inventory.sync succeeded", "directory.groups.sync succeeded", "directory.roles.sync succeeded", "directory.roles.sync succeeded",
		"compliance.snapshot succeeded", "policy.backup succeeded", "policy.backup succeeded", "policy.backup partial", "policy.restore.preview succeeded",
		"policy.restore succeeded", "policy.restore.preview succeeded",
	}
	if got := ask(`SELECT r.operation || ' ' || r.outcome` + of); !slices.Equal(got, want) {
		t.Errorf("the runs are %q, want %q", got, want)
	}
	for sql, want := range map[string][]string{
		`SELECT CAST(COUNT(*) AS TEXT) FROM compliance_history`: {"15"},
		`SELECT CASE WHEN pinned THEN 'pinned, ' ELSE '' END || CASE WHEN complete THEN 'complete' ELSE 'incomplete' END FROM backup_sets ORDER BY as_of`: {"pinned, complete", "complete", "incomplete"},
		`SELECT result || ' ' || name FROM run_items WHERE run_id = (SELECT id FROM runs WHERE operation = 'policy.restore') ORDER BY name`: {
			"unchanged " + corp, "created " + guests, "updated " + kiosk,
		},
		`SELECT name FROM run_items WHERE reason = 'object_added'`:                                 {"Reception helpdesk"},
		`SELECT CASE WHEN executed_by = '' THEN 'open' ELSE 'executed' END FROM plans ORDER BY id`: {"executed", "open"},
		`SELECT slug FROM workspaces WHERE restore_approval`:                                       {lattice},
	} {
		if got := ask(sql); !slices.Equal(got, want) {
			t.Errorf("%s gives %q, want %q", sql, got, want)
		}
	}
	asked(t, d)
	d.Close()
	if k, err := (&Demo{folder: folder}).recall(Config{}); err != nil || !k.Told {
		t.Errorf("that it was written is not kept: %v", err)
	}
}

// asked reads the history as people do: the trend and what changed in the roles, from the
// API and on the command line.
func asked(t *testing.T, d *Demo) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	viewer := d.Info.Users[2].Token
	c, err := client.New(d.Info.URL, viewer, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failing []int64
	for p := (client.Paging{Limit: 4}); ; {
		list, err := c.ComplianceHistory(ctx, "rowan-hill", "", p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list.Items {
			failing = append(failing, m.Counts.Noncompliant)
		}
		if list.Next == nil {
			break
		}
		p.Cursor = *list.Next
	}
	if len(failing) != days+1 || !slices.IsSorted(failing) || failing[0] == failing[days] {
		t.Errorf("the trend of failing devices, newest first, is %v", failing)
	}
	syncs, err := c.Runs(ctx, client.RunFilter{Tenant: "rowan-hill", Operation: rolesSync})
	if err != nil || len(syncs.Items) != 2 {
		t.Fatalf("%d syncs of roles, %v", len(syncs.Items), err)
	}
	items, err := c.RunItems(ctx, syncs.Items[0].ID, client.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, it := range items.Items {
		lines = append(lines, it.Name+": "+it.Detail)
	}
	want := []string{
		"Scope tags: 1 of 1, 0 added, 0 changed, 0 removed", "Role definitions: 8 of 8, 1 added, 0 changed, 0 removed",
		"Reception helpdesk: New since the last sync.", "Role assignments: 3 of 3, 0 added, 0 changed, 0 removed",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the second sync says %q, want %q", lines, want)
	}
	t.Setenv("INTERLOCK_URL", d.Info.URL)
	t.Setenv("INTERLOCK_TOKEN", viewer)
	var out bytes.Buffer
	command := cli.Root(cli.IO{In: strings.NewReader(""), Out: &out, Err: io.Discard})
	command.SetArgs([]string{"run", syncs.Items[0].Code})
	if code := cli.Execute(ctx, command); code != 0 || !strings.Contains(out.String(), "New since the last sync.") {
		t.Errorf("the command exits with %d and prints\n%s", code, out.String())
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
