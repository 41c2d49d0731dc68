package mirror_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// shelf is one dataset of a world.
type shelf struct {
	*world
	key mirror.Key
}

func (w *world) shelf(connection, name string) shelf {
	ta := w.access(w.vic, "kestrel")
	c, err := w.Store.Connection(w.t.Context(), ta, connection)
	if err != nil {
		w.t.Fatal(err)
	}
	return shelf{w, mirror.Key{Workspace: ta.Workspace.ID, Tenant: ta.Tenant.ID, Connection: c.ID, Name: name, Run: access.NewID()}}
}

func (s shelf) begin(full bool) (g int64) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) (err error) {
		g, err = mirror.BeginRound(ctx, tx, s.key, full)
		return err
	})
	return g
}

func (s shelf) put(g int64, rows ...mirror.Record) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) error { return mirror.PutRows(ctx, tx, s.key, g, rows) })
}

func (s shelf) remove(g int64, ids ...string) {
	s.t.Helper()
	for len(ids) > 0 {
		s.Write(func(ctx context.Context, tx db.Tx) error {
			done, err := mirror.RemoveRows(ctx, tx, s.key, g, ids)
			ids = ids[done:]
			return err
		})
	}
}

func (s shelf) members(g int64, group string, ids ...string) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) error {
		return mirror.PutMembers(ctx, tx, g, ofGroup(group, ids))
	})
}

func (s shelf) without(g int64, group string, ids ...string) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) error {
		return mirror.RemoveMembers(ctx, tx, g, ofGroup(group, ids))
	})
}

func ofGroup(group string, ids []string) []mirror.Member {
	list := make([]mirror.Member, len(ids))
	for i, id := range ids {
		list[i] = mirror.Member{Group: group, Member: id, Type: "#microsoft.graph.user"}
	}
	return list
}

func (s shelf) commit(g int64, delta string) (n int64, err error) {
	err = s.d.Write(s.t.Context(), func(ctx context.Context, tx db.Tx) error {
		d, err := mirror.CommitRound(ctx, tx, s.key, g, mirror.Committed{Delta: delta})
		n = d.Count
		return err
	})
	return n, err
}

func (s shelf) dataset() (d mirror.Dataset) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) (err error) {
		d, err = mirror.DatasetOf(ctx, tx, s.key)
		return err
	})
	return d
}

func (s shelf) sweep() (n int64) {
	s.t.Helper()
	s.Write(func(ctx context.Context, tx db.Tx) (err error) {
		n, err = mirror.Sweep(ctx, tx, 1000)
		return err
	})
	return n
}

func row(id string) mirror.Record {
	return mirror.Record{ID: id, Name: "Name " + id, Type: "#t", Data: json.RawMessage(`{"id":"` + id + `"}`)}
}

// names returns "id name" of the rows that readers see.
func (s shelf) names() []string {
	s.t.Helper()
	var list []string
	s.Write(func(ctx context.Context, tx db.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT r.id, r.name FROM records r JOIN datasets d ON d.generation = r.generation
			WHERE d.connection_id = $1 AND d.name = $2`, s.key.Connection, s.key.Name)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, name string
			if err := rows.Scan(&id, &name); err != nil {
				return err
			}
			list = append(list, id+" "+name)
		}
		return rows.Err()
	})
	slices.Sort(list)
	return list
}

func TestRounds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.connection("first")
		s := w.shelf("first", "groups")
		if got := s.dataset(); !got.AsOf.IsZero() || got.Count != 0 || got.Delta != "" {
			t.Errorf("before the first round: %+v", got)
		}
		sees := func(want ...string) {
			t.Helper()
			if got := s.names(); !slices.Equal(got, want) {
				t.Errorf("readers see %q, want %q", got, want)
			}
		}

		s.begin(true)       // and given up
		g := s.begin(false) // there is nothing to change, so it is full
		s.put(g, row("a"), row("b"))
		s.put(g, row("b"), row("c"), row("c")) // again, and twice in one call
		sees()
		if n, err := s.commit(g, "delta-1"); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		sees("a Name a", "b Name b", "c Name c")
		if n := w.Int(`SELECT COUNT(*) FROM datasets WHERE generation = 0`); n != 0 {
			t.Error("generation 0 holds rows")
		}
		if got := s.dataset(); got.AsOf.IsZero() || got.Count != 3 || got.Delta != "delta-1" || got.DeltaAt.IsZero() {
			t.Errorf("%+v", got)
		}
		_, err := s.commit(g, "again")
		wantErr(t, err, op.ErrConflict)

		g = s.begin(false)
		s.remove(g, "a", "never there")
		s.put(g, mirror.Record{ID: "b", Name: "B2"}, row("d"))
		s.remove(g, "c")
		s.put(g, row("c")) // there again
		sees("b B2", "c Name c", "d Name d")
		if got := s.dataset(); got.Delta != "" || !got.DeltaAt.IsZero() || got.AsOf.IsZero() {
			t.Errorf("a round that changes rows in place leaves %+v", got)
		}
		if n, err := s.commit(g, "delta-2"); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		sees("b B2", "c Name c", "d Name d")

		abandoned := s.begin(true)
		s.put(abandoned, row("zombie"))
		s.Write(func(ctx context.Context, tx db.Tx) error {
			return mirror.MarkStale(ctx, tx, s.key, op.ProviderThrottled)
		})
		if got := s.dataset(); got.Stale != op.ProviderThrottled || got.Count != 3 {
			t.Errorf("%+v", got)
		}
		sees("b B2", "c Name c", "d Name d")
		g = s.begin(true)
		s.put(g, row("x"))
		_, err = s.commit(abandoned, "")
		wantErr(t, err, op.ErrConflict)
		err = d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			return mirror.PutRows(ctx, tx, s.key, abandoned, []mirror.Record{row("zombie 2")})
		})
		wantErr(t, err, op.ErrConflict)
		if n := s.sweep(); n != 1 { // and leaves the round in progress alone
			t.Errorf("swept %d rows, want the zombie", n)
		}
		if n, err := s.commit(g, ""); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		sees("x Name x")
		if got := s.dataset(); got.Stale != "" || got.Delta != "" || !got.DeltaAt.IsZero() {
			t.Errorf("%+v", got)
		}
		if n := s.sweep(); n != 3 {
			t.Errorf("swept %d rows, want the 3 of the round before", n)
		}
		if n := w.Int(`SELECT COUNT(*) FROM records`); n != 1 {
			t.Errorf("%d rows are left, want 1", n)
		}
		if n := w.Int(`SELECT COUNT(*) FROM generations`); n != 1 {
			t.Errorf("%d generations are left, want 1", n)
		}
		w.Write(func(ctx context.Context, tx db.Tx) error { return mirror.Drop(ctx, tx, s.key.Connection) })
		if n := s.sweep(); n != 1 {
			t.Errorf("swept %d rows of a removed connection, want 1", n)
		}
		if n := w.Int(`SELECT COUNT(*) FROM generations`); n != 0 {
			t.Errorf("%d generations of a removed connection are left", n)
		}
	})
}

func TestHostileRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.connection("first")
		s := w.shelf("first", "groups")
		g := s.begin(true)
		s.put(g,
			mirror.Record{ID: "nul", Name: "a\x00b", Type: "\xff", ModifiedAt: "\x00", Data: json.RawMessage("{}")},
			mirror.Record{ID: "long", Name: strings.Repeat("é", 1<<20), Data: json.RawMessage("{}")},
			mirror.Record{ID: "quote'); DROP TABLE records; --", Name: `%_\'"`, Data: json.RawMessage("{}")},
		)
		var many []mirror.Record
		for i := range 1700 {
			many = append(many, row(fmt.Sprint(i)))
		}
		s.put(g, many...)
		if n, err := s.commit(g, ""); n != 1703 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			return mirror.PutRows(ctx, tx, s.key, g, []mirror.Record{row(strings.Repeat("x", 513))})
		})
		if err == nil || !strings.Contains(err.Error(), "512") {
			t.Errorf("a long id: %v", err)
		}
		ta := w.access(w.vic, "kestrel")
		if list, _, err := w.Groups(t.Context(), ta, mirror.Filter{Query: `%_\'`}); err != nil || len(list) != 1 {
			t.Errorf("search for wildcards: %d, %v", len(list), err)
		}
		if list, _, err := w.Groups(t.Context(), ta, mirror.Filter{Query: "%"}); err != nil || len(list) != 1 {
			t.Errorf("search for a percent sign: %d, %v", len(list), err)
		}
	})
}

// TestSweepGoesInSmallSteps: whatever was retired, one transaction deletes few rows.
func TestSweepGoesInSmallSteps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.connection("first")
		s := w.shelf("first", "groups")
		fill := func() {
			g := s.begin(true)
			for i := range 30 {
				s.put(g, row(fmt.Sprint("small-", i)))
				s.members(g, fmt.Sprint("small-", i), "1", "2", "3")
			}
			var many []string
			for i := range 250 {
				many = append(many, fmt.Sprint(i))
			}
			s.members(g, "large", many...)
			if _, err := s.commit(g, ""); err != nil {
				t.Fatal(err)
			}
		}
		fill()
		fill()
		steps := 0
		for before := w.Int(`SELECT COUNT(*) FROM memberships`) + w.Int(`SELECT COUNT(*) FROM records`); ; steps++ {
			var n int64
			w.Write(func(ctx context.Context, tx db.Tx) (err error) {
				n, err = mirror.Sweep(ctx, tx, 50)
				return err
			})
			after := w.Int(`SELECT COUNT(*) FROM memberships`) + w.Int(`SELECT COUNT(*) FROM records`)
			if before-after > 50 || before-after != n {
				t.Errorf("step %d deleted %d rows and says %d, want at most 50", steps, before-after, n)
			}
			if before = after; n < 50 {
				break
			}
		}
		if steps < 7 { // 30 groups, 340 members
			t.Errorf("%d steps", steps)
		}
		if n := w.Int(`SELECT COUNT(*) FROM memberships`); n != 340 {
			t.Errorf("%d members are left, want those that readers see", n)
		}
		if n := w.Int(`SELECT COUNT(*) FROM group_sizes`); n != 31 {
			t.Errorf("%d sizes are left", n)
		}
		if got := s.dataset(); got.Count != 30 || got.Members != 340 {
			t.Errorf("%+v", got)
		}
	})
}

// TestRoundsAreLikeAMap draws rounds and compares what readers see with maps.
func TestRoundsAreLikeAMap(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.connection("first")
		example := 0
		rapid.Check(t, func(rt *rapid.T) {
			example++
			s := w.shelf("first", fmt.Sprintf("set-%d", example))
			ids := rapid.SampledFrom([]string{"a", "b", "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"})
			type state struct {
				rows    map[string]string
				members map[[2]string]bool
			}
			clone := func(s state) state { return state{maps.Clone(s.rows), maps.Clone(s.members)} }
			shown := state{map[string]string{}, map[[2]string]bool{}}
			committed, token := false, ""
			for round := range rapid.IntRange(1, 4).Draw(rt, "rounds") {
				full := rapid.Bool().Draw(rt, "full")
				g := s.begin(full)
				inPlace := !full && committed
				staged := state{map[string]string{}, map[[2]string]bool{}}
				if inPlace {
					staged, token = clone(shown), ""
				}
				for i := range rapid.IntRange(0, 8).Draw(rt, "steps") {
					id, group := ids.Draw(rt, "id"), ids.Draw(rt, "group")
					switch rapid.IntRange(0, 3).Draw(rt, "step") {
					case 0:
						s.put(g, mirror.Record{ID: id, Name: fmt.Sprint(i), Data: json.RawMessage("{}")})
						staged.rows[id] = fmt.Sprint(i)
					case 1:
						s.remove(g, id)
						delete(staged.rows, id)
						maps.DeleteFunc(staged.members, func(k [2]string, _ bool) bool { return k[0] == id })
					case 2:
						s.members(g, group, id)
						staged.members[[2]string{group, id}] = true
					case 3:
						s.without(g, group, id)
						delete(staged.members, [2]string{group, id})
					}
				}
				if rapid.Bool().Draw(rt, "sweep") {
					s.sweep()
				}
				if inPlace {
					shown = staged
				}
				if rapid.Bool().Draw(rt, "commit") {
					token = fmt.Sprint("t", round)
					n, err := s.commit(g, token)
					if err != nil || int(n) != len(staged.rows) {
						rt.Fatalf("commit: %d, %v; want %d", n, err, len(staged.rows))
					}
					shown, committed = staged, true
					if got := s.dataset(); int(got.Members) != len(staged.members) {
						rt.Fatalf("%d members, want %d", got.Members, len(staged.members))
					}
				}
				want := []string{}
				for id, name := range shown.rows {
					want = append(want, id+" "+name)
				}
				slices.Sort(want)
				if got := s.names(); !slices.Equal(got, want) {
					rt.Fatalf("readers see %q, want %q", got, want)
				}
				var members int
				w.Write(func(ctx context.Context, tx db.Tx) error {
					return tx.QueryRow(ctx, `SELECT COUNT(*) FROM memberships m JOIN datasets d ON d.generation = m.generation
						WHERE d.connection_id = $1 AND d.name = $2`, s.key.Connection, s.key.Name).Scan(&members)
				})
				if members != len(shown.members) {
					rt.Fatalf("readers see %d members, want %v", members, shown.members)
				}
				if got := s.dataset().Delta; got != token {
					rt.Fatalf("token %q, want %q", got, token)
				}
			}
			// Sizes are those of the members, whatever came in between.
			if n := w.Int(`SELECT COUNT(*) FROM group_sizes s WHERE s.members <> (SELECT COUNT(*) FROM memberships m
				WHERE m.generation = s.generation AND m.group_id = s.group_id)`); n != 0 {
				rt.Fatalf("%d groups have another size than they have members", n)
			}
		})
	})
}

func TestDataReaders(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		ta := w.access(w.vic, "kestrel")
		if list, next, err := w.Groups(ctx, ta, mirror.Filter{}); len(list) != 0 || next != "" || err != nil {
			t.Errorf("without a connection: %v, %q, %v", list, next, err)
		}
		w.connection("first")
		second := w.connection("second")
		fill := func(connection, dataset string, rows ...mirror.Record) {
			s := w.shelf(connection, dataset)
			g := s.begin(true)
			s.put(g, rows...)
			if _, err := s.commit(g, ""); err != nil {
				t.Fatal(err)
			}
		}
		named := func(id, name string) mirror.Record {
			return mirror.Record{ID: id, Name: name, Data: json.RawMessage(`{}`)}
		}
		s := w.shelf("first", "groups")
		g := s.begin(true)
		s.put(g, named("3", "Drivers"), named("1", "drivers"), named("2", "Board"), named("4", "Écoute"))
		s.members(g, "1", "u1")
		s.members(g, "2", "u2")
		if _, err := s.commit(g, ""); err != nil {
			t.Fatal(err)
		}
		fill("first", "inventory/apps", named("p1", "App"), named("p2", "Zip"))
		fill("first", "inventory/devices", named("d1", "Laptop"), named("d2", "Apple"))
		fill("second", "groups", named("9", "Other"))

		ids := func(f mirror.Filter) (got []string) {
			t.Helper()
			for {
				list, next, err := w.Groups(ctx, ta, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					got = append(got, r.ID)
				}
				if f.Cursor = next; next == "" {
					return got
				}
			}
		}
		for limit := 1; limit <= 5; limit++ {
			if got := ids(mirror.Filter{Limit: limit}); !slices.Equal(got, []string{"2", "1", "3", "4"}) {
				t.Errorf("by %d: %q", limit, got)
			}
		}
		if got := ids(mirror.Filter{Query: "DRIV"}); !slices.Equal(got, []string{"1", "3"}) {
			t.Errorf("search: %q", got)
		}
		if got := ids(mirror.Filter{Connection: second}); !slices.Equal(got, []string{"9"}) {
			t.Errorf("other connection: %q", got)
		}
		members, _, err := w.GroupMembers(ctx, ta, "1", mirror.Filter{})
		if err != nil || len(members) != 1 || members[0].ID != "u1" {
			t.Errorf("%+v, %v", members, err)
		}
		sizes, err := w.GroupSizes(ctx, ta, "", []string{"1", "2", "3", "77"})
		if err != nil || !maps.Equal(sizes, map[string]int64{"1": 1, "2": 1}) {
			t.Errorf("%v, %v", sizes, err)
		}
		_, _, err = w.GroupMembers(ctx, ta, "77", mirror.Filter{})
		wantErr(t, err, op.ErrNotFound)
		_, err = w.Group(ctx, ta, "", "\x00")
		wantErr(t, err, op.ErrNotFound)
		if g, err := w.Group(ctx, ta, "", "3"); err != nil || g.Name != "Drivers" {
			t.Errorf("%+v, %v", g, err)
		}

		for limit := 1; limit <= 5; limit++ {
			var got []string
			f := mirror.Filter{Limit: limit}
			for {
				list, next, err := w.Inventory(ctx, ta, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					got = append(got, r.Part+" "+r.ID)
				}
				if f.Cursor = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, []string{"apps p1", "apps p2", "devices d2", "devices d1"}) {
				t.Errorf("inventory by %d: %q", limit, got)
			}
		}
		if list, _, err := w.Inventory(ctx, ta, mirror.Filter{Type: "devices"}); err != nil || len(list) != 2 {
			t.Errorf("one type: %+v, %v", list, err)
		}
		if list, _, err := w.Inventory(ctx, ta, mirror.Filter{Type: "groups"}); err != nil || len(list) != 0 {
			t.Errorf("not a type: %+v, %v", list, err)
		}
		sets, err := w.Datasets(ctx, ta, "")
		if err != nil || len(sets) != 3 || sets[1].Name != "inventory/apps" || sets[1].Count != 2 {
			t.Errorf("%+v, %v", sets, err)
		}

		_, _, err = w.Groups(ctx, ta, mirror.Filter{Limit: 201})
		wantField(t, err, "limit")
		_, _, err = w.Groups(ctx, ta, mirror.Filter{Query: strings.Repeat("q", 201)})
		wantField(t, err, "q")
		_, _, err = w.Groups(ctx, ta, mirror.Filter{Cursor: "nonsense"})
		wantErr(t, err, op.ErrBadCursor)
		_, next, err := w.Groups(ctx, ta, mirror.Filter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = w.Inventory(ctx, ta, mirror.Filter{Cursor: next})
		wantErr(t, err, op.ErrBadCursor)
		// A cursor of one reader shows another nothing.
		if list, _, err := w.Groups(ctx, w.access(w.olga, "harbour"), mirror.Filter{Cursor: next}); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		_, _, err = w.Groups(ctx, w.access(w.olga, "harbour"), mirror.Filter{Connection: second})
		wantErr(t, err, op.ErrNotFound)
	})
}

// TestGroupsByType: each type has its groups in the order of names, page by page,
// whatever else is asked for.
func TestGroupsByType(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		w.connection("first")
		ta := w.access(w.vic, "kestrel")
		s := w.shelf("first", "groups")
		fill := func(rows ...mirror.Record) {
			g := s.begin(true)
			s.put(g, rows...)
			if _, err := s.commit(g, ""); err != nil {
				t.Fatal(err)
			}
		}
		group := func(id, name string, of tenancy.GroupType) mirror.Record {
			return mirror.Record{ID: id, Name: name, Type: string(of), Data: json.RawMessage(`{}`)}
		}
		fill(group("0", "Of an earlier round", tenancy.SecurityGroup))
		fill(
			group("1", "Drivers", tenancy.Microsoft365Group.ByRule()), group("2", "drivers", tenancy.SecurityGroup),
			group("3", "Board", tenancy.SecurityGroup.ByRule()), group("4", "Alarm", tenancy.MailSecurityGroup),
			group("5", "Écoute", tenancy.SecurityGroup), group("6", "News", tenancy.DistributionGroup),
			group("7", "Strange", ""), group("8", "Stranger", tenancy.GroupType("").ByRule()), group("9", "Board", tenancy.SecurityGroup),
		)
		for _, tt := range []struct {
			f    mirror.Filter
			want []string
		}{
			{mirror.Filter{}, []string{"4", "3", "9", "1", "2", "6", "7", "8", "5"}},
			{mirror.Filter{Type: "security"}, []string{"3", "9", "2", "5"}},
			{mirror.Filter{Type: "microsoft_365"}, []string{"1"}},
			{mirror.Filter{Type: "mail_enabled_security"}, []string{"4"}},
			{mirror.Filter{Type: "distribution"}, []string{"6"}},
			{mirror.Filter{Type: "dynamic"}, []string{"3", "1", "8"}},
			{mirror.Filter{Type: "security", Query: "R"}, []string{"3", "9", "2"}},
			{mirror.Filter{Type: "dynamic", Query: "driv"}, []string{"1"}},
			{mirror.Filter{Type: "distribution", Query: "driv"}, nil},
		} {
			for limit := 1; limit <= 5; limit++ {
				var got []string
				for f := tt.f; ; {
					f.Limit = limit
					list, next, err := w.Groups(ctx, ta, f)
					if err != nil || len(list) > limit {
						t.Fatalf("%+v: %d rows, %v", f, len(list), err)
					}
					for _, r := range list {
						got = append(got, r.ID)
					}
					if f.Cursor = next; next == "" {
						break
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%+v by %d: %q, want %q", tt.f, limit, got, tt.want)
				}
			}
		}
		for _, bad := range []string{"Security", "dynamic_security", "unified", " ", "security\x00"} {
			_, _, err := w.Groups(ctx, ta, mirror.Filter{Type: bad})
			wantField(t, err, "type")
			if want := "must be one of security, microsoft_365, mail_enabled_security, distribution, dynamic"; !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q is answered with %v", bad, err)
			}
		}
	})
}
