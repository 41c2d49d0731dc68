package backup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
)

// rings is a database on which a backup and another one, or the sweep, meet.
type rings struct {
	shelf
	t    *testing.T
	pair *dbtest.Pair
}

func newRings(t *testing.T) rings {
	pair := dbtest.NewPair(t, func(p db.Point) bool { return p.Write && (p.Op == db.OpCommit || strings.Contains(p.SQL, "backup_")) })
	return rings{shelf{gatetest.New(t, pair.Handles[0])}, t, pair}
}

// meet runs two writing functions at the same time, in all orders in which one of them is
// interrupted once. before prepares each, after looks at what they left.
func (r rings) meet(before func() [2]func(context.Context, db.Tx) error, after func(errs [2]error, ran dbtest.Ran)) {
	r.t.Helper()
	try := func(plan dbtest.Plan) dbtest.Ran {
		both := before()
		var errs [2]error
		var do [2]func(context.Context)
		for i, fn := range both {
			do[i] = func(ctx context.Context) { errs[i] = r.pair.Handles[i].Write(ctx, fn) }
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		ran := r.pair.Run(ctx, plan, do)
		if ran.Deadlock {
			r.t.Errorf("a deadlock:\n%s", ran)
		}
		after(errs, ran)
		return ran
	}
	schedules := 0
	for first := range 2 {
		whole := try(dbtest.Plan{First: first})
		for i := 1; i < whole.Points[first]; i++ {
			try(dbtest.Plan{First: first, Turns: []int{i, 1 << 20}})
			schedules++
		}
	}
	r.t.Logf("%d schedules", schedules)
}

// orphans are the numbers of parts without a content, of contents without a part, and of
// items and parts without a set.
func (r rings) orphans() string {
	return fmt.Sprint(
		r.Int(`SELECT COUNT(*) FROM backup_parts p WHERE NOT EXISTS (SELECT 1 FROM backup_blobs b WHERE b.workspace_id = p.workspace_id AND b.hash = p.hash)`),
		r.Int(`SELECT COUNT(*) FROM backup_blobs b WHERE NOT EXISTS (SELECT 1 FROM backup_parts p WHERE b.workspace_id = p.workspace_id AND b.hash = p.hash)`),
		r.Int(`SELECT COUNT(*) FROM backup_items i WHERE NOT EXISTS (SELECT 1 FROM backup_sets s WHERE s.id = i.set_id)`)+
			r.Int(`SELECT COUNT(*) FROM backup_parts p WHERE NOT EXISTS (SELECT 1 FROM backup_sets s WHERE s.id = p.set_id)`),
	)
}

// TestContentUsedWhileItIsSwept: a backup takes contents again while the sweep deletes
// their last user, in every order. No part is left without its content.
func TestContentUsedWhileItIsSwept(t *testing.T) {
	r := newRings(t)
	tenant := r.Tenant(r.Workspace, "wren", "Wren")
	items := []backup.Contents{filter("a", "x"), filter("b", "x")}
	r.meet(func() [2]func(context.Context, db.Tx) error {
		r.wipe()
		r.remove(r.keep(r.Workspace, tenant, items...))
		k := r.begin(r.Workspace, tenant)
		packed := backup.Pack(items)
		return [2]func(context.Context, db.Tx) error{
			func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, k, packed) },
			func(ctx context.Context, tx db.Tx) error {
				_, err := backup.Sweep(ctx, tx, 100)
				return err
			},
		}
	}, func(errs [2]error, ran dbtest.Ran) {
		if errs != [2]error{} {
			t.Errorf("%v:\n%s", errs, ran)
		}
		if got := r.orphans(); got != "0 0 0" {
			t.Errorf("parts without a content, contents without a part, rows without a set: %s:\n%s", got, ran)
		}
	})
}

// TestSetSweptWhileItIsWritten: an upload that takes too long adds to its backup, or
// completes it, while the sweep removes it, in every order. It is there whole, or not at
// all and with an error.
func TestSetSweptWhileItIsWritten(t *testing.T) {
	r := newRings(t)
	tenant := r.Tenant(r.Workspace, "wren", "Wren")
	const old = "00000000-0000-7000-8000-000000000001"
	for name, write := range map[string]func(context.Context, db.Tx, backup.Key) error{
		"put": func(ctx context.Context, tx db.Tx, k backup.Key) error {
			return backup.Put(ctx, tx, k, backup.Pack([]backup.Contents{filter("b", "x")}))
		},
		"commit": func(ctx context.Context, tx db.Tx, k backup.Key) error {
			_, err := backup.Commit(ctx, tx, k, nil)
			return err
		},
	} {
		r.meet(func() [2]func(context.Context, db.Tx) error {
			r.wipe()
			k := backup.Key{Workspace: r.Workspace, Tenant: tenant, Set: old}
			r.Write(func(ctx context.Context, tx db.Tx) error {
				return backup.Begin(ctx, tx, r.Workspace, backup.Set{ID: old, Tenant: tenant, Origin: backup.FromUpload, AsOf: time.Now()})
			})
			r.put(k, filter("a", "x"))
			return [2]func(context.Context, db.Tx) error{
				func(ctx context.Context, tx db.Tx) error { return write(ctx, tx, k) },
				func(ctx context.Context, tx db.Tx) error {
					_, err := backup.Sweep(ctx, tx, 1) // marks the set, and begins to delete it
					return err
				},
			}
		}, func(errs [2]error, ran dbtest.Ran) {
			if errs[1] != nil {
				t.Errorf("%s: the sweep: %v:\n%s", name, errs[1], ran)
			}
			for r.sweep(100) > 0 {
			}
			rows, whole := r.rows(), [4]int64{1, 1, 1, 1}
			if errs[0] != nil || name == "put" { // a put that came first is swept with its set
				whole = [4]int64{}
			}
			if rows != whole {
				t.Errorf("%s: %v, left are %v sets, items, parts and contents, want %v:\n%s", name, errs[0], rows, whole, ran)
			}
		})
	}
}

// TestSetThatIsNotBuilding: nothing is added to a set that is complete or was removed, and
// a removed one is not made visible again.
func TestSetThatIsNotBuilding(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		for _, state := range []string{"kept", "removed"} {
			k := s.begin(s.Workspace, tenant)
			s.put(k, filter("a", "x"))
			s.Exec(`UPDATE backup_sets SET state = $2 WHERE id = $1`, k.Set, state)
			put := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				return backup.Put(ctx, tx, k, backup.Pack([]backup.Contents{filter("b", "x")}))
			})
			commit := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				_, err := backup.Commit(ctx, tx, k, nil)
				return err
			})
			items := s.Int(`SELECT COUNT(*) FROM backup_items WHERE set_id = $1`, k.Set)
			if put == nil || commit == nil || items != 1 || s.Text(`SELECT state FROM backup_sets WHERE id = $1`, k.Set) != state {
				t.Errorf("a set that is %s: put %v, commit %v, %d items", state, put, commit, items)
			}
		}
	})
}

// TestTwoBackupsOfOneContent: two backups write the same contents at the same time, in
// every order, without waiting for each other for ever.
func TestTwoBackupsOfOneContent(t *testing.T) {
	r := newRings(t)
	tenant := r.Tenant(r.Workspace, "wren", "Wren")
	items := []backup.Contents{filter("a", "x"), filter("b", "x"), filter("c", "x"), filter("d", "x"), filter("e", "x")}
	r.meet(func() [2]func(context.Context, db.Tx) error {
		r.wipe()
		var both [2]func(context.Context, db.Tx) error
		for i := range both {
			k, packed := r.begin(r.Workspace, tenant), backup.Pack(items)
			slices.Reverse(packed[:len(packed)*i]) // the second one backwards
			both[i] = func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, k, packed) }
		}
		return both
	}, func(errs [2]error, ran dbtest.Ran) {
		if n := r.rows(); errs != [2]error{} || n != [4]int64{2, 10, 10, 5} {
			t.Errorf("%v, %v sets, items, parts and contents:\n%s", errs, n, ran)
		}
	})
}

func (s shelf) wipe() {
	for _, table := range []string{"backup_parts", "backup_items", "backup_sets", "backup_blobs"} {
		s.Exec(`DELETE FROM ` + table)
	}
}

// TestOneTransaction: a batch is bounded by items and bytes, and its transaction by
// statements.
func TestOneTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		var items []backup.Contents
		for i := range 45 {
			c := filter(fmt.Sprint(i), strings.Repeat("x", i))
			c.Policy.Assignments = []byte(fmt.Sprint("[", i, "]"))
			items = append(items, c)
		}
		items[7].Policy.Body = make([]byte, 3<<20) // more than a batch may have
		var sizes []int
		for some := range backup.Batches(items) {
			sizes = append(sizes, len(some))
		}
		if got := fmt.Sprint(sizes); got != "[7 1 20 17]" {
			t.Errorf("batches of %s items", got)
		}
		k := s.begin(s.Workspace, tenant)
		recording := dbtest.Record(d)
		for some := range backup.Batches(items) {
			recording.Take()
			packed := backup.Pack(some)
			s.Write(func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, k, packed) })
			if n := len(recording.Take()); n > 20 {
				t.Errorf("a batch of %d items takes %d statements", len(some), n)
			}
		}
		d.WithSteps(nil)
		if n := s.rows(); n != [4]int64{1, 45, 90, 90} {
			t.Errorf("stored are %v", n)
		}
	})
}

// TestBackupsAreFoundByTheirIndexes counts what the statements about backups look at,
// beside many backups of many tenants: no more than they are about.
func TestBackupsAreFoundByTheirIndexes(t *testing.T) {
	const tenants, each = 100, 60
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		// Backups of other tenants, each with two policies, as SQL makes them: many, and fast.
		s.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + fmt.Sprint(tenants*each) + `)
			SELECT '00000000-0000-7000-8000-' || substr('000000000000' || CAST(i AS TEXT), length(CAST(i AS TEXT)) + 1), '` + s.Workspace + `', 'tenant ' || CAST(i % ` + fmt.Sprint(tenants) + ` AS TEXT), '', 'run ' || CAST(i AS TEXT), 'kept', 'run', '', '', i, '[]', i > 0, 2, 0, 0, i < 0 FROM n`)
		for _, of := range []string{"a", "b"} {
			s.Exec(`INSERT INTO backup_items (set_id, type, object_id, tenant_id, name, name_key, modified_at, hash, missing, incomplete)
				SELECT id, 'assignmentFilters', '` + of + `', tenant_id, '', '', '', '', '[]', pinned FROM backup_sets`)
			s.Exec(`INSERT INTO backup_parts (set_id, type, object_id, part, workspace_id, hash) SELECT id, 'assignmentFilters', '` + of + `', '', workspace_id, '` + of + `' FROM backup_sets`)
		}
		s.Exec(`INSERT INTO backup_blobs (workspace_id, hash, size, data, used_at) SELECT DISTINCT workspace_id, hash, 0, CAST('' AS ` + blob(d) + `), 0 FROM backup_parts`)
		set := s.keep(s.Workspace, tenant, filter("c", "x"))
		gone := s.keep(s.Workspace, tenant, filter("d", "x"))
		s.Analyze()
		s.remove(gone)
		recording := dbtest.Record(d)
		err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := backup.Find(ctx, tx, s.Workspace, set.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Whole(t.Context(), func(fn func(context.Context, db.Tx) error) error { return d.Read(t.Context(), fn) }, s.Workspace, set); err != nil {
			t.Fatal(err)
		}
		k := backup.Key{Workspace: s.Workspace, Tenant: tenant, Set: access.NewID()}
		s.Write(func(ctx context.Context, tx db.Tx) error {
			return backup.Begin(ctx, tx, s.Workspace, backup.Set{ID: k.Set, Tenant: tenant, Run: "a run", Origin: backup.FromRun, AsOf: time.Now()})
		})
		s.put(k, filter("a", "y"))
		s.commit(k)
		statements := recording.Take()
		s.sweep(100)
		statements = append(statements, recording.Take()...)
		d.WithSteps(nil)
		if len(statements) < 20 {
			t.Errorf("only %d statements were seen", len(statements))
		}
		for _, st := range statements {
			if strings.HasPrefix(st.SQL, "INSERT") { // it looks at nothing but its keys, and can't be run twice
				continue
			}
			cost, err := dbtest.CostOf(t.Context(), d, st)
			if err != nil {
				t.Fatalf("%v: %s", err, st.SQL)
			}
			if cost.Rows > 60 {
				t.Errorf("it looks at %d rows: %.300s\n%s", cost.Rows, st.SQL, cost.Plan)
			}
		}
	})
}

func blob(d *db.DB) string {
	if d.Engine() == db.SQLite {
		return "BLOB"
	}
	return "BYTEA"
}
