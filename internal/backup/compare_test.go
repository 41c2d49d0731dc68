package backup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestCompareSaysWhatItCantKnow: a policy that only one backup has differs only if the
// other one holds all policies of its type. A policy that lacks a part is not compared,
// neither with the policy of its id nor, in another directory, with that of its name.
func TestCompareSaysWhatItCantKnow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		s.Exec(`INSERT INTO backup_rules (workspace_id, newest, daily, monthly) VALUES ($1, 400, 0, 0)`, s.Workspace)
		files := backup.NewFiles(d)
		keep := func(types []backup.TypeRead, items ...backup.Contents) string {
			k := backup.Key{Workspace: s.Workspace, Tenant: tenant, Set: access.NewID()}
			s.Write(func(ctx context.Context, tx db.Tx) error {
				return backup.Begin(ctx, tx, k.Workspace, backup.Set{ID: k.Set, Tenant: tenant, Run: access.NewID(), Origin: backup.FromRun, AsOf: time.Now()})
			})
			s.put(k, items...)
			return s.commit(k, types...).ID
		}
		without := func(c backup.Contents, part string) backup.Contents {
			c.Missing = []backup.Missing{{Part: part, Reason: op.PermissionMissing}}
			return c
		}
		named := func(id, name, rule string) backup.Contents {
			return item("assignmentFilters", id, `{"id":"`+id+`","displayName":"`+name+`","platform":"iOS","rule":"`+rule+`"}`)
		}
		whole, broken := backup.TypeRead{Type: "assignmentFilters"}, backup.TypeRead{Type: "assignmentFilters", Reason: op.ProviderFault}
		tag := item("roleScopeTags", "t1", `{"id":"t1","displayName":"Tag"}`)
		absent := backup.TypeRead{Type: "roleScopeTags", Reason: op.NotLicensed, Absent: true}
		for name, c := range map[string]struct {
			before, after string
			differ, left  []string
		}{
			"all was read": {
				keep([]backup.TypeRead{whole}, filter("a", "x"), filter("b", "x")), keep([]backup.TypeRead{whole}, filter("b", "y"), filter("c", "x")),
				[]string{"removed a", "changed b", "added c"},
				nil,
			},
			"the newer lacks policies of the type": {
				keep([]backup.TypeRead{whole}, filter("a", "x"), filter("b", "x")), keep([]backup.TypeRead{broken}, filter("b", "y"), filter("c", "x")),
				[]string{"changed b", "added c"},
				[]string{"assignmentFilters  older=false []"},
			},
			"the older didn't read the type": {
				keep([]backup.TypeRead{whole}), keep([]backup.TypeRead{whole, {Type: "roleScopeTags", Items: 1}}, tag),
				nil,
				[]string{"roleScopeTags  older=true []"},
			},
			"the tenant didn't have the service": {
				keep([]backup.TypeRead{absent}), keep([]backup.TypeRead{{Type: "roleScopeTags", Items: 1}}, tag), []string{"added t1"}, nil,
			},
			"a part is missing": {
				keep([]backup.TypeRead{whole}, without(filter("a", "x"), "assignments"), filter("b", "x")), keep([]backup.TypeRead{whole}, filter("a", "y"), filter("b", "x")),
				nil,
				[]string{"assignmentFilters a older=true [assignments]"},
			},
			"a part is missing, by name": {
				keep([]backup.TypeRead{whole}, without(named("a1", "Policy a1", "x"), "assignments")), keep([]backup.TypeRead{whole}, func() backup.Contents {
					c := named("a2", "Policy a1", "y")
					c.Name = "Policy a1"
					return c
				}()), nil, []string{"assignmentFilters a1 older=true [assignments]"},
			},
			"an unreadable policy": {
				keep([]backup.TypeRead{whole}, without(item("assignmentFilters", "a", `[]`), "object")), keep([]backup.TypeRead{whole}, filter("a", "y"), filter("b", "x")),
				[]string{"added b"},
				[]string{"assignmentFilters a older=true [object]"},
			},
		} {
			got, err := files.Compare(t.Context(), s.Viewer, tenant, c.before, c.after)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var differ, left []string
			for _, p := range got.Policies {
				differ = append(differ, string(p.How)+" "+p.ID)
			}
			for _, l := range got.LeftOut {
				left = append(left, fmt.Sprintf("%s %s older=%v %v", l.Type, l.ID, l.Older, l.Parts))
			}
			slices.Sort(differ)
			slices.Sort(c.differ)
			if !slices.Equal(differ, c.differ) || !slices.Equal(left, c.left) {
				t.Errorf("%s: %q, left out %q, want %q, %q", name, differ, left, c.differ, c.left)
			}
		}
	})
}

// TestPinHoldsAgainstACommit: a backup that somebody pins while the keep rules would
// remove it is pinned and there, or removed and not found. It is never pinned and gone.
func TestPinHoldsAgainstACommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		s.Exec(`INSERT INTO backup_rules (workspace_id, newest, daily, monthly) VALUES ($1, 1, 0, 0)`, s.Workspace)
		shelf := backup.New(d)
		removed := s.keep(s.Workspace, tenant, filter("a", "x"))
		s.keep(s.Workspace, tenant, filter("a", "x"))
		if _, err := shelf.Pin(t.Context(), s.Operator, tenant, removed.ID, true); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a removed backup is pinned: %v", err)
		}
		for range 10 {
			old := s.keep(s.Workspace, tenant, filter("a", "x"))
			k := s.begin(s.Workspace, tenant)
			committed := make(chan error, 1)
			go func() {
				committed <- d.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx db.Tx) error {
					_, err := backup.Commit(ctx, tx, k, nil)
					return err
				})
			}()
			pinned, err := shelf.Pin(t.Context(), s.Operator, tenant, old.ID, true)
			if err := <-committed; err != nil {
				t.Fatal(err)
			}
			there := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE id = $1 AND state = 'kept'`, old.ID) == 1
			both := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE state = 'removed' AND pinned`)
			if there != (err == nil) || there && !pinned.Pinned || both != 0 {
				t.Errorf("pinned %v, %v; it is there: %v; %d are pinned and removed", pinned.Pinned, err, there, both)
			}
			s.Exec(`UPDATE backup_sets SET state = 'removed', pinned = FALSE`)
		}
	})
}

// TestKeptBy: a backup names every rule that keeps it, the one that keeps it longest
// first.
func TestKeptBy(t *testing.T) {
	now := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	at := func(text string, pinned bool) backup.Set {
		asOf, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return backup.Set{AsOf: asOf, Pinned: pinned}
	}
	got := backup.Rules{Newest: 1, Daily: 30, Monthly: 2}.Keep([]backup.Set{
		at("2026-03-15 11:00", false), at("2026-03-15 10:00", false), at("2026-03-14 10:00", false), at("2026-02-28 10:00", true), at("2026-02-27 10:00", false),
	}, now)
	want := [][]string{{"newest", "monthly", "daily"}, nil, {"daily"}, {"pinned", "monthly", "daily"}, {"daily"}}
	for i, k := range got {
		if !slices.Equal(k.By, want[i]) || k.Kept != (len(want[i]) > 0) {
			t.Errorf("backup %d is kept by %v, want %v", i+1, k.By, want[i])
		}
	}
}

// TestRulesAreTheOwners: an owner who has just signed in changes the keep rules. Nobody
// else does, whichever surface asks.
func TestRulesAreTheOwners(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		shelf, to := backup.New(d), backup.Rules{Newest: 3, Daily: 2, Monthly: 1}
		if err := shelf.SetRules(t.Context(), s.Operator, to); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("an operator: %v", err)
		}
		if err := shelf.SetRules(t.Context(), s.Owner, to); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("a token: %v", err)
		}
		var wrong *op.FieldError
		if err := shelf.SetRules(t.Context(), s.Owner, backup.Rules{Newest: 0, Daily: 2}); !errors.As(err, &wrong) || wrong.Field != "newest" {
			t.Errorf("no newest backup: %v", err)
		}
		if got, err := shelf.Rules(t.Context(), s.Viewer); err != nil || got != backup.DefaultRules {
			t.Errorf("the rules are %+v, %v", got, err)
		}
		owner, err := access.Authenticate(t.Context(), d, s.Session(s.Owner))
		if err != nil {
			t.Fatal(err)
		}
		if err := shelf.SetRules(t.Context(), owner, to); err != nil {
			t.Errorf("an owner: %v", err)
		}
		if got, err := shelf.Rules(t.Context(), s.Viewer); err != nil || got != to {
			t.Errorf("the rules are %+v, %v", got, err)
		}
	})
}
