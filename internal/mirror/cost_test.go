package mirror_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// TestNoStatementWalksAGeneration counts what every statement of a sync, of the
// sweep and of the readers of groups looks at, in a directory that is large
// against one transaction's rows: none depends on how many there are.
func TestNoStatementWalksAGeneration(t *testing.T) {
	const groups, large = 20_000, 30_000 // rows; members of the largest group
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.connection("first")
		s := w.shelf("first", "groups")
		ta := w.access(w.vic, "kestrel")
		fill := func() int64 {
			g := s.begin(true)
			s.put(g, row("large"))
			s.members(g, "large", "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2")
			blob := `CAST(printf('%020d', i) AS BLOB)`
			if d.Engine() == db.Postgres {
				blob = `convert_to(lpad(CAST(i AS TEXT), 20, '0'), 'UTF8')`
			}
			escaped := strings.ReplaceAll(blob, "%", "%%")
			numbers := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, max(groups, large))
			w.Write(func(ctx context.Context, tx db.Tx) error {
				for _, sql := range []string{
					fmt.Sprintf(`INSERT INTO records (generation, id, name, name_key, type, modified_at, data) `+numbers+`
						SELECT %d, 'g' || CAST(i AS TEXT), 'G', 'g' || CAST(i AS TEXT), 'security', '', '{}'
						FROM n WHERE i <= %d`, g, groups),
					fmt.Sprintf(`INSERT INTO memberships (generation, group_id, member_id, type) `+numbers+`
						SELECT %d, s.group_id, `+escaped+`, CASE WHEN i %% 100 = 0 THEN 'g' ELSE 'u' END FROM n, group_sizes s
						WHERE s.generation = %[1]d AND i <= %d`, g, large),
					fmt.Sprintf(`UPDATE group_sizes SET members = %d WHERE generation = %d`, large+1, g),
					fmt.Sprintf(`INSERT INTO group_sizes (generation, group_id, members) `+numbers+` SELECT %d, `+escaped+`, 2 FROM n WHERE i <= %d`, g, groups),
					fmt.Sprintf(`INSERT INTO memberships (generation, group_id, member_id, type)
						SELECT %d, s.group_id, m.member_id, 'u' FROM group_sizes s, memberships m
						WHERE s.generation = %[1]d AND s.members = 2 AND m.generation = %[1]d AND m.member_id IN (SELECT x.member_id FROM memberships x
						WHERE x.generation = %[1]d ORDER BY x.member_id DESC LIMIT 2)`, g),
					`ANALYZE`,
				} {
					if _, err := tx.Exec(ctx, sql); err != nil {
						return err
					}
				}
				return nil
			})
			return g
		}
		g := fill()
		if _, err := s.commit(g, "d"); err != nil {
			t.Fatal(err)
		}
		recording := dbtest.Record(d)
		looks := func(what string, most int64) {
			t.Helper()
			seen := 0
			for _, st := range recording.Take() {
				cost, err := dbtest.CostOf(t.Context(), d, st)
				if err != nil {
					t.Fatalf("%s: %s: %v", what, st.SQL, err)
				}
				if seen++; cost.Rows > most {
					t.Errorf("%s looks at %d rows, at most %d are fine: %.200s\n%s", what, cost.Rows, most, st.SQL, cost.Plan)
				}
			}
			if seen == 0 {
				t.Errorf("%s ran no statement", what)
			}
		}
		const page, batch = 1_000, 4_000 // of a list, and of the rows of one transaction
		for _, tt := range []struct {
			f    mirror.Filter
			most int64
		}{
			{mirror.Filter{Limit: 200}, page},
			{mirror.Filter{Limit: 200, Type: "security"}, page},
			{mirror.Filter{Limit: 200, Type: "distribution"}, page},
			{mirror.Filter{Limit: 200, Type: "dynamic"}, page},
			{mirror.Filter{Query: "g1", Limit: 200}, groups + page},       // a search reads names until its page is full,
			{mirror.Filter{Query: "nothing", Type: "distribution"}, page}, // and those of the type only
			{mirror.Filter{Query: "nothing", Type: "security"}, 2*groups + page},
		} {
			for pages := 0; pages < 2; pages++ {
				list, next, err := w.Groups(t.Context(), ta, tt.f)
				if err != nil {
					t.Fatal(err)
				}
				looks(fmt.Sprintf("page %d of %d groups with %+v", pages, len(list), tt.f), tt.most)
				if tt.f.Cursor = next; next == "" {
					break
				}
			}
		}
		if g, err := w.Group(t.Context(), ta, "", "g19999"); err != nil || g.ID != "g19999" {
			t.Errorf("%+v, %v", g, err)
		}
		looks("one group", page)
		for _, f := range []mirror.Filter{{}, {Query: "g1"}, {Query: "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"}} {
			for {
				list, next, err := w.GroupMembers(t.Context(), ta, "large", f)
				if err != nil || f.Query == "" && len(list) == 0 {
					t.Fatalf("%d members, %v", len(list), err)
				}
				looks(fmt.Sprintf("a page of members with q=%q", f.Query), page)
				if f.Cursor != "" || next == "" {
					break
				}
				f.Cursor = next
			}
		}
		if of, err := w.GroupSizes(t.Context(), ta, "", []string{"large", "none"}); err != nil || of["large"] != large+1 {
			t.Errorf("%v, %v", of, err)
		}
		looks("the sizes of a page of groups", page)

		g = s.begin(false)
		var rows []mirror.Record
		var many []string
		for i := range 500 {
			many = append(many, fmt.Sprintf("%08d-6a3f-4f53-9a1e-0c9d5b7e91d2", i))
			rows = append(rows, row(many[i]))
		}
		s.put(g, rows...)
		s.put(g, rows...)
		s.members(g, "large", many...)
		s.without(g, "large", many...)
		looks("writing 500 rows and members", batch)
		s.Write(func(ctx context.Context, tx db.Tx) error {
			_, err := mirror.RemoveRows(ctx, tx, s.key, g, append(many, "large"))
			return err
		})
		s.Write(func(ctx context.Context, tx db.Tx) error { // a part of its members
			_, err := mirror.RemoveRows(ctx, tx, s.key, g, []string{"large"})
			return err
		})
		looks("removing groups", batch)
		if _, err := s.commit(g, "d2"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.commit(s.begin(true), "d3"); err != nil {
			t.Fatal(err)
		}
		looks("beginning and committing rounds", page)
		for range 70 {
			s.Write(func(ctx context.Context, tx db.Tx) error {
				_, err := mirror.Sweep(ctx, tx, 500)
				return err
			})
			looks("sweeping", batch)
		}
	})
}
