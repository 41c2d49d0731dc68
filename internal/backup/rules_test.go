package backup_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestKeepRules: each rule alone, and the ends of days and months, which are in UTC.
func TestKeepRules(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 14*60*60)
	now := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	at := func(text string) backup.Set {
		when, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return backup.Set{ID: text, AsOf: when.In(east), Origin: backup.FromRun} // the same moment, written in another zone
	}
	pinned := at("2020-01-01 00:00")
	pinned.Pinned = true
	whole := func(text string, origin backup.Origin, types ...string) backup.Set {
		s := at(text)
		s.Complete, s.Origin = true, origin
		for _, typ := range types {
			s.Types = append(s.Types, backup.TypeRead{Type: typ, Absent: typ == "intents"})
		}
		return s
	}
	for name, c := range map[string]struct {
		rules backup.Rules
		sets  []backup.Set // newest first
		want  string       // of those that are kept: when they began, and until when
	}{
		"newest": {backup.Rules{Newest: 2}, []backup.Set{at("2026-03-15 11:00"), at("2026-03-15 10:00"), at("2026-03-15 09:00")}, "2026-03-15 11:00; 2026-03-15 10:00"},
		"last of each day": {
			backup.Rules{Newest: 1, Daily: 2},
			[]backup.Set{at("2026-03-15 11:00"), at("2026-03-14 23:59"), at("2026-03-14 00:00"), at("2026-03-13 23:00"), at("2026-03-13 12:00")},
			"2026-03-15 11:00; 2026-03-14 23:59 until 2026-03-16 23:59; 2026-03-13 23:00 until 2026-03-15 23:00",
		},
		"a day is over at its hour":         {backup.Rules{Newest: 1, Daily: 2}, []backup.Set{at("2026-03-15 11:00"), at("2026-03-13 12:00")}, "2026-03-15 11:00"},
		"days are those of UTC":             {backup.Rules{Newest: 1, Daily: 5}, []backup.Set{at("2026-03-15 11:00"), at("2026-03-14 11:00"), at("2026-03-14 09:00")}, "2026-03-15 11:00; 2026-03-14 11:00 until 2026-03-19 11:00"},
		"last of each month":                {backup.Rules{Newest: 1, Monthly: 1}, []backup.Set{at("2026-03-15 11:00"), at("2026-02-28 23:00"), at("2026-02-01 00:00"), at("2026-01-31 23:59")}, "2026-03-15 11:00; 2026-02-28 23:00 until 2026-04-01 00:00"},
		"months are those of UTC":           {backup.Rules{Newest: 1, Monthly: 3}, []backup.Set{at("2026-03-15 11:00"), at("2026-01-31 23:00"), at("2026-01-31 09:00")}, "2026-03-15 11:00; 2026-01-31 23:00 until 2026-05-01 00:00"},
		"pinned":                            {backup.Rules{Newest: 1}, []backup.Set{at("2026-03-15 11:00"), at("2026-03-15 10:00"), pinned}, "2026-03-15 11:00; 2020-01-01 00:00"},
		"the newest complete one":           {backup.Rules{Newest: 1}, []backup.Set{at("2026-03-15 11:00"), whole("2025-02-02 00:00", backup.FromRun, "a"), whole("2025-02-01 00:00", backup.FromRun, "a")}, "2026-03-15 11:00; 2025-02-02 00:00"},
		"an upload is not the complete one": {backup.Rules{Newest: 1}, []backup.Set{at("2026-03-15 11:00"), whole("2025-02-03 00:00", backup.FromUpload, "a"), whole("2025-02-02 00:00", backup.FromRun, "a")}, "2026-03-15 11:00; 2025-02-03 00:00; 2025-02-02 00:00"},
		"uploads don't displace runs": {
			backup.Rules{Newest: 1, Daily: 2, Monthly: 2},
			[]backup.Set{
				whole("2026-03-15 11:00", backup.FromUpload), whole("2026-03-15 10:00", backup.FromUpload), at("2026-03-15 09:00"),
				whole("2026-03-14 23:00", backup.FromUpload), at("2026-03-14 22:00"), whole("2026-02-28 02:00", backup.FromUpload), at("2026-02-28 01:00"),
			},
			"2026-03-15 11:00; 2026-03-15 09:00; 2026-03-14 23:00 until 2026-03-16 23:00; 2026-03-14 22:00 until 2026-03-16 22:00; " +
				"2026-02-28 02:00 until 2026-05-01 00:00; 2026-02-28 01:00 until 2026-05-01 00:00",
		},
		"the newest complete one of each type": {
			backup.Rules{Newest: 1},
			[]backup.Set{at("2026-03-15 11:00"), whole("2025-02-03 00:00", backup.FromRun, "a"), whole("2025-02-02 00:00", backup.FromRun, "a", "b", "intents"), whole("2025-02-01 00:00", backup.FromRun, "b", "intents")},
			"2026-03-15 11:00; 2025-02-03 00:00; 2025-02-02 00:00",
		},
	} {
		var got []string
		for i, k := range c.rules.Keep(c.sets, now) {
			if line := c.sets[i].ID; k.Kept {
				if !k.Until.IsZero() {
					line += " until " + k.Until.UTC().Format("2006-01-02 15:04")
				}
				got = append(got, line)
			}
		}
		if line := strings.Join(got, "; "); line != c.want {
			t.Errorf("%s: %s, want %s", name, line, c.want)
		}
	}
}

// TestRulesOutOfLimits: the error names the rule and its limits.
func TestRulesOutOfLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules backup.Rules
		want  string
	}{
		{backup.Rules{Newest: 0}, "newest must be from 1 to 400"},
		{backup.Rules{Newest: 401}, "newest must be from 1 to 400"},
		{backup.Rules{Newest: 1, Daily: -1}, "daily must be from 0 to 400"},
		{backup.Rules{Newest: 1, Daily: 401}, "daily must be from 0 to 400"},
		{backup.Rules{Newest: 1, Monthly: 121}, "monthly must be from 0 to 120"},
		{backup.DefaultRules, " "},
		{backup.Rules{Newest: 400, Daily: 400, Monthly: 120}, " "},
	} {
		var field op.FieldError
		if wrong := new(op.FieldError); errors.As(c.rules.Check(), &wrong) {
			field = *wrong
		}
		if got := field.Field + " " + field.Detail; got != c.want {
			t.Errorf("%+v: %q, want %q", c.rules, got, c.want)
		}
	}
}

// TestRulesAtCommit: the commit of a backup marks those that its tenant's rules no longer
// keep, some at a time, the oldest first. Those of other tenants and pinned ones stay.
func TestRulesAtCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant, other := s.Tenant(s.Workspace, "wren", "Wren"), s.Tenant(s.Workspace, "teal", "Teal")
		old := time.Now().AddDate(-3, 0, 0)
		insert := func(tenant string, day int, pinned bool) (id string) {
			id = access.NewID()
			s.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
				VALUES ($1, $2, $3, '', '', 'kept', 'run', '', '', $4, '[]', $5, 0, 0, 0, $6)`, id, s.Workspace, tenant, db.Micros(old.AddDate(0, 0, day)), true, pinned)
			return id
		}
		insert(other, 0, false)
		pinned := insert(tenant, 0, true)
		var ids []string
		for i := range 120 {
			ids = append(ids, insert(tenant, i, false))
		}
		kept := func() (n int64) {
			return s.Int(`SELECT COUNT(*) FROM backup_sets WHERE tenant_id = $1 AND state = 'kept'`, tenant)
		}
		var counts []int64
		for range 4 {
			s.keep(s.Workspace, tenant, filter("a", "x"))
			counts = append(counts, kept())
			if oldest := s.Text(`SELECT MIN(id) FROM backup_sets WHERE tenant_id = $1 AND state = 'kept' AND NOT pinned`, tenant); counts[0] == kept() && oldest != ids[50] {
				t.Errorf("the oldest that is left is number %d, want 50", slices.Index(ids, oldest))
			}
		}
		// 121 and one new; then 50 less each time, until the newest 10 and the pinned one are left.
		if got, want := fmt.Sprint(counts), "[72 23 11 11]"; got != want {
			t.Errorf("kept are %s, want %s", got, want)
		}
		if n := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE state = 'kept' AND (id = $1 OR tenant_id = $2)`, pinned, other); n != 2 {
			t.Errorf("%d of the pinned one and the other tenant's are left", n)
		}
	})
}

// TestUploadsRemoveNoRunBackup: as many uploads as the rules keep, and more, leave the
// backups of runs where they are. Only older uploads make room.
func TestUploadsRemoveNoRunBackup(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShelf(t, d)
		tenant := s.Tenant(s.Workspace, "wren", "Wren")
		s.Exec(`INSERT INTO backup_rules (workspace_id, newest, daily, monthly) VALUES ($1, 2, 0, 0)`, s.Workspace)
		for range 2 {
			s.keep(s.Workspace, tenant, filter("a", "x"))
		}
		for range 4 {
			if _, err := backup.NewFiles(d).Upload(t.Context(), s.Owner, tenant, bundle("y")); err != nil {
				t.Fatal(err)
			}
		}
		for origin, want := range map[backup.Origin]int64{backup.FromRun: 2, backup.FromUpload: 2} {
			if n := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE tenant_id = $1 AND state = 'kept' AND origin = $2`, tenant, string(origin)); n != want {
				t.Errorf("%d of origin %s are kept, want %d", n, origin, want)
			}
		}
	})
}
