package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// shelf is a database with backups.
type shelf struct{ *gatetest.World }

func newShelf(t *testing.T, d *db.DB) shelf { return shelf{gatetest.New(t, d)} }

// filter is an item without parts.
func filter(id, rule string) backup.Contents {
	return item("assignmentFilters", id, `{"id":"`+id+`","displayName":"Filter `+id+`","platform":"iOS","rule":"`+rule+`"}`)
}

// item is an item of a type with a body.
func item(typ, id, body string) backup.Contents {
	p := policy.Item{Type: typ, ID: id, Body: json.RawMessage(body)}
	c := backup.Contents{Policy: p, Item: backup.Item{Type: typ, ID: id, Name: "Policy " + id}}
	if d, err := policy.Normalise(p); err == nil {
		c.Hash = d.Hash()
	}
	return c
}

// begin starts a set of a tenant.
func (s shelf) begin(workspace, tenant string) backup.Key {
	k := backup.Key{Workspace: workspace, Tenant: tenant, Set: access.NewID()}
	s.Write(func(ctx context.Context, tx db.Tx) error {
		return backup.Begin(ctx, tx, workspace, backup.Set{ID: k.Set, Tenant: tenant, Origin: backup.FromRun, AsOf: time.Now()})
	})
	return k
}

func (s shelf) put(k backup.Key, items ...backup.Contents) {
	for some := range backup.Batches(items) {
		packed := backup.Pack(some)
		s.Write(func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, k, packed) })
	}
}

func (s shelf) commit(k backup.Key, types ...backup.TypeRead) (set backup.Set) {
	s.Write(func(ctx context.Context, tx db.Tx) (err error) {
		set, err = backup.Commit(ctx, tx, k, types)
		return err
	})
	return set
}

// keep keeps a set of a tenant.
func (s shelf) keep(workspace, tenant string, items ...backup.Contents) backup.Set {
	k := s.begin(workspace, tenant)
	s.put(k, items...)
	return s.commit(k, backup.TypeRead{Type: "assignmentFilters", Items: int64(len(items))})
}

// sweep deletes at most limit rows.
func (s shelf) sweep(limit int64) (n int64) {
	s.Write(func(ctx context.Context, tx db.Tx) (err error) {
		n, err = backup.Sweep(ctx, tx, limit)
		return err
	})
	return n
}

func (s shelf) remove(sets ...backup.Set) {
	for _, set := range sets {
		s.Exec(`UPDATE backup_sets SET state = 'removed' WHERE id = $1`, set.ID)
	}
}

// rows are the numbers of sets, items, parts and contents.
func (s shelf) rows() (n [4]int64) {
	for i, table := range []string{"backup_sets", "backup_items", "backup_parts", "backup_blobs"} {
		n[i] = s.Int(`SELECT COUNT(*) FROM ` + table)
	}
	return n
}

// TestContentsAreShared: sets of a workspace share equal contents, whatever their tenants,
// and those of different workspaces share none. A content goes with its last user.
func TestContentsAreShared(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		wren, teal := s.Tenant(s.Workspace, "wren", "Wren"), s.Tenant(s.Workspace, "teal", "Teal")
		elsewhere := s.AddWorkspace("elsewhere", "Elsewhere")
		other := s.Tenant(elsewhere, "other", "Other")
		first := s.keep(s.Workspace, wren, filter("a", "x"), filter("b", "x"))
		second := s.keep(s.Workspace, wren, filter("a", "x"), filter("b", "y"))
		third := s.keep(s.Workspace, teal, filter("a", "x"))
		if n := s.rows(); n != [4]int64{3, 5, 5, 3} {
			t.Errorf("sets, items, parts, contents: %v; want one content of a, two of b", n)
		}
		foreign := s.keep(elsewhere, other, filter("a", "x"))
		if n := s.rows(); n != [4]int64{4, 6, 6, 4} {
			t.Errorf("with another workspace: %v; want a content of its own", n)
		}
		for _, step := range []struct {
			set  backup.Set
			left int64
		}{{first, 3}, {third, 3}, {foreign, 2}, {second, 0}} {
			s.remove(step.set)
			for s.sweep(100) > 0 {
			}
			if n := s.rows()[3]; n != step.left {
				t.Errorf("%d contents are left, want %d", n, step.left)
			}
		}
		if n := s.rows(); n != [4]int64{} {
			t.Errorf("left are %v", n)
		}
	})
}

// TestOneBadPolicy: a policy that can't be used leaves the others usable. It is told by
// name, wherever the set is read.
func TestOneBadPolicy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		owner := s.Member("Ann", "ann@x.test", tenancy.Owner)
		refused := item("assignmentFilters", "refused", "")
		refused.Missing = []backup.Missing{{Part: "object", Reason: op.PermissionMissing, Why: "no"}}
		twice := item("assignmentFilters", "twice", `{"id":"twice","displayName":"a","displayName":"b"}`)
		catalog := item("configurationPolicies", "lock", `{"id":"lock","name":"Lock","settingCount":0}`)
		catalog.Policy.Parts = map[string]json.RawMessage{"settings": json.RawMessage(`[ ]`)}
		catalog.Policy.Assignments = json.RawMessage(`[ ]`)
		set := s.keep(s.Workspace, tenant, filter("good", "x"), filter("damaged", "y"), filter("gone", "z"), refused, twice, catalog)
		content := func(id, part string) string {
			return s.Text(`SELECT hash FROM backup_parts WHERE object_id = $1 AND part = $2`, id, part)
		}
		s.Exec(`UPDATE backup_blobs SET data = (SELECT data FROM backup_blobs WHERE hash = $2) WHERE hash = $1`, content("damaged", ""), content("good", ""))
		s.Exec(`DELETE FROM backup_blobs WHERE hash = $1`, content("gone", ""))
		s.Exec(`UPDATE backup_parts SET hash = 'none' WHERE object_id = 'lock' AND part = 'assignments'`)

		whole, err := backup.Whole(t.Context(), func(fn func(context.Context, db.Tx) error) error { return d.Read(t.Context(), fn) }, s.Workspace, set)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range whole.Items {
			got = append(got, fmt.Sprintf("%s %q %v: %s", i.Key().ID, i.Policy.Name(), len(i.Policy.Canonical()) > 2, strings.Join(i.Incomplete, "; ")))
		}
		want := []string{
			`damaged "Policy damaged" false: object: the stored content is damaged`,
			`gone "Policy gone" false: object: the stored content is damaged`,
			`good "Filter good" true: `,
			`refused "Policy refused" false: object: no`,
			`twice "Policy twice" false: object: is not valid JSON: "displayName" stands twice in one object`,
			`lock "Lock" true: assignments: the stored content is damaged`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}

		down, err := backup.NewFiles(d).Download(t.Context(), owner, tenant, set.ID)
		if err != nil {
			t.Fatal(err)
		}
		var zipped bytes.Buffer
		if err := down.Write(t.Context(), &zipped); err != nil {
			t.Fatal(err)
		}
		b, err := archive.Zip(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, i := range b.Items {
			got = append(got, i.ID+" "+strings.Join(i.Missing, "; "))
		}
		for _, skipped := range b.Skipped {
			got = append(got, skipped.Path+" "+skipped.Why)
		}
		want = []string{
			"good ", "lock assignments: the stored content is damaged",
			"interlock-backup.json#assignmentFilters/damaged lists a policy that the backup could not read: object: the stored content is damaged",
			"interlock-backup.json#assignmentFilters/gone lists a policy that the backup could not read: object: the stored content is damaged",
			"interlock-backup.json#assignmentFilters/refused lists a policy that the backup could not read: object: no",
			`Filters/Policy twice.json is not valid JSON: "displayName" stands twice in one object`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("downloaded: -want +got:\n%s", diff)
		}
		again, err := backup.NewFiles(d).Upload(t.Context(), owner, tenant, b)
		if err != nil || again.Complete || !slices.ContainsFunc(again.Types, func(t backup.TypeRead) bool { return t.Type == "assignmentFilters" && t.Reason != "" }) {
			t.Errorf("uploaded again it is %+v, %v; want it incomplete", again, err)
		}
	})
}

// TestAwkwardTexts: names and times that a database or an index does not take are kept
// without what it refuses. The contents keep every byte.
func TestAwkwardTexts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		c := item("assignmentFilters", "a", `{"id":"a","displayName":"a\u0000b","platform":"iOS","rule":"x"}`)
		c.Name, c.ModifiedAt = "a\x00b"+strings.Repeat("é", 10_000), "2026\x00"
		c.Missing = []backup.Missing{{Part: "settings", Why: strings.Repeat("no\x00", 10_000)}}
		set := s.keep(s.Workspace, tenant, c)
		if name := s.Text(`SELECT name FROM backup_items WHERE set_id = $1`, set.ID); name != "ab"+strings.Repeat("é", 298) {
			t.Errorf("the name is %q", name)
		}
		whole, err := backup.Whole(t.Context(), func(fn func(context.Context, db.Tx) error) error { return d.Read(t.Context(), fn) }, s.Workspace, set)
		if err != nil || whole.Items[0].Policy.Name() != "a\x00b" || len(whole.Items[0].Incomplete[0]) > 400 {
			t.Errorf("%+v, %v", whole, err)
		}
	})
}

// TestSweepInSteps: a step of the sweep deletes no more rows than it is allowed, counts
// them, and leaves other sets alone. The set's row goes last, so that a step that is lost
// loses nothing.
func TestSweepInSteps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		var items []backup.Contents
		for _, typ := range []string{"assignmentFilters", "roleDefinitions", "roleScopeTags"} { // the same ids in each
			for i := range 5 {
				items = append(items, item(typ, fmt.Sprint(i), fmt.Sprintf(`{"id":"%d","displayName":%q}`, i, typ)))
			}
		}
		stays := s.keep(s.Workspace, tenant, items[:7]...)
		s.remove(s.keep(s.Workspace, tenant, items...), s.keep(s.Workspace, tenant, items...))
		before := s.rows()
		for steps := 0; ; steps++ {
			n := s.sweep(4)
			after := s.rows()
			deleted := before[0] - after[0] + before[1] - after[1] + before[2] - after[2]
			if n != deleted || n > 4 {
				t.Errorf("step %d says %d and deletes %d, of at most 4", steps, n, deleted)
			}
			if n < 4 {
				break
			}
			before = after
		}
		if n := s.rows(); n != [4]int64{1, 7, 7, 7} || s.Int(`SELECT COUNT(*) FROM backup_sets WHERE id = $1`, stays.ID) != 1 {
			t.Errorf("left are %v", n)
		}
	})
}

// TestNamesAreKept: the display names of a policy's settings are stored with it, shared as
// contents are, and in the downloaded file. They are no part of the policy, and nothing
// depends on them.
func TestNamesAreKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		owner := s.Member("Ann", "ann@x.test", tenancy.Owner)
		for _, typ := range policy.Types() {
			if typ.Part("names") != nil {
				t.Fatalf("%s has a part of that name", typ.Key)
			}
		}
		lock := func(choice string) backup.Contents {
			c := item("configurationPolicies", "p", `{"id":"p","name":"P","settingCount":1}`)
			c.Policy.Parts = map[string]json.RawMessage{"settings": json.RawMessage(`[{"settingInstance":{"settingDefinitionId":"lock","choiceSettingValue":{"value":"lock_` + choice + `"}}}]`)}
			c.Policy.Names = map[string]string{"lock": "Lock", "lock_0": "Off", "lock_1": "On"}
			return c
		}
		first, second := s.keep(s.Workspace, tenant, lock("0")), s.keep(s.Workspace, tenant, lock("1"))
		if n := s.rows(); n != [4]int64{2, 2, 6, 4} {
			t.Errorf("sets, items, parts, contents: %v", n)
		}
		files := backup.NewFiles(d)
		changed := func(a, b string) string {
			got, err := files.Compare(t.Context(), owner, tenant, a, b)
			if err != nil || len(got.Policies) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			return policy.Text(got.Policies[0].Changes)
		}
		if got := changed(first.ID, second.ID); got != "~ Lock: Off → On\n" {
			t.Errorf("they differ in %q", got)
		}
		down, err := files.Download(t.Context(), owner, tenant, first.ID)
		if err != nil {
			t.Fatal(err)
		}
		var zipped bytes.Buffer
		if err := down.Write(t.Context(), &zipped); err != nil {
			t.Fatal(err)
		}
		b, err := archive.Zip(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lock("0").Policy, b.Items[0].Item); diff != "" {
			t.Errorf("-kept +downloaded:\n%s", diff)
		}
		s.Exec(`UPDATE backup_parts SET hash = 'none' WHERE part = 'names'`)
		if got := changed(first.ID, second.ID); got != "~ lock: lock_0 → lock_1\n" {
			t.Errorf("without the names they differ in %q", got)
		}
	})
}
