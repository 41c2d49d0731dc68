package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// TestRoundTripRestore restores all public policies that can be restored into an empty
// tenant, by a run, with assignments to mapped groups. Read back, all of them are equal to
// the backup: a second preview has nothing to do.
func TestRoundTripRestore(t *testing.T) {
	const shared = "../../../../shared/graph-data/"
	data, err := os.ReadFile(filepath.FromSlash(shared + "policies/index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/graph-data is absent: the public policies are restored where it is present")
	}
	var index []struct{ File, Collection string }
	if err := errors.Join(err, json.Unmarshal(data, &index)); err != nil {
		t.Fatal(err)
	}
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.known[policy.Groups] = []restore.Object{{ID: "g2", Name: "Pilots"}}
	b.mappings = []restore.Mapping{{Kind: policy.Groups, SourceDirectory: elsewhereDirectory, Source: "g1", TargetDirectory: gatetest.Directory("kestrel"), Target: "g2"}}
	for _, row := range index {
		i := slices.IndexFunc(policy.Types(), func(t *policy.Type) bool { return t.Path == row.Collection })
		if i < 0 {
			continue
		}
		body, err := os.ReadFile(filepath.FromSlash(shared + row.File))
		if err != nil {
			t.Fatal(err)
		}
		item := policy.Item{Type: policy.Types()[i].Key, ID: row.File, Body: bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))}
		if policy.Types()[i].Assign.Can() { // the files have no assignments
			item.Assignments = json.RawMessage(`[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g1"}}]`)
		}
		d, err := policy.Normalise(item)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Obstacles()) > 0 {
			continue
		}
		b.backup = append(b.backup, d)
		for _, r := range d.References() {
			if policy.Everywhere(r.Kind, r.ID) || r.Kind == policy.Groups && r.ID == "g1" {
				continue
			}
			if !slices.ContainsFunc(b.known[r.Kind], func(o restore.Object) bool { return o.ID == r.ID }) {
				b.known[r.Kind] = append(b.known[r.Kind], restore.Object{ID: r.ID, Name: "known " + r.ID})
				b.mappings = append(b.mappings, restore.Mapping{Kind: r.Kind, SourceDirectory: elsewhereDirectory, Source: r.ID, TargetDirectory: gatetest.Directory("kestrel"), Target: r.ID})
			}
		}
	}
	run := b.restore()
	b.deliver(run.ID)
	b.expect(run.ID, "succeeded")
	if n := b.Int(`SELECT COUNT(*) FROM run_items WHERE result = 'created' AND failed = 0`); n != 222 || len(b.s.names()) != 222 {
		t.Errorf("%d created, %d there, want 222", n, len(b.s.names()))
	}
	var bad []string
	if b.rows(`SELECT name || ' ' || result || ' ' || reason || ' ' || args FROM run_items WHERE failed > 0 OR result <> 'created' ORDER BY key`, &bad); len(bad) > 0 {
		t.Errorf("items: %q", bad)
	}
	recorded, err := b.w.plans.Between(t.Context(), b.Workspace, elsewhereDirectory, gatetest.Directory("kestrel"))
	if err != nil || len(recorded) != 222 {
		t.Errorf("%d mappings: %v", len(recorded), err)
	}
	b.mappings = append(b.mappings, recorded...)
	again := b.preview()
	if n := again.Count(restore.Unchanged); n != 222 {
		t.Errorf("%d are equal, want 222", n)
	}
	for _, s := range again.Steps {
		if s.Action != restore.Unchanged {
			t.Errorf("%s %s is %s:\n%s", s.Type, s.Name, s.Action, policy.Text(s.Diff))
		}
	}
}
