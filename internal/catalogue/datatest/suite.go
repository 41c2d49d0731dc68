package datatest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
)

// Store is a [catalogue.Data] whose members can be read back.
type Store interface {
	catalogue.Data
	// Members returns the members of groups that they see, by group and id.
	Members(ctx context.Context, dataset string) ([]catalogue.Member, error)
}

// Run checks that a store keeps the promises of [catalogue.Data]. open returns an
// empty one.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *script)
	}{
		{"a round shows at its commit", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a"))
			s.want("a")
			r := s.begin(true)
			s.do(r, put("b"))
			s.want("a")
			s.commit(r, "t2", 1)
			s.want("b")
		}},
		{"a full round that is left changes nothing", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a"), members("a", "1"))
			s.do(s.begin(true), put("x"), members("a", "2"))
			s.want("a", "a/1")
			if got := s.dataset(); got.Delta != "t1" || got.Count != 1 || got.Members != 1 {
				t.Errorf("after a round that was left: %+v", got)
			}
			s.round(false, "t2", put("b"))
			s.want("a", "a/1", "b")
		}},
		{"an incremental round that is left leaves no token", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a"))
			s.do(s.begin(false), put("y"), remove("a"))
			if got := s.dataset(); got.Delta != "" || got.AsOf.IsZero() {
				t.Errorf("after a round that was cut off: %+v", got)
			}
			s.round(true, "t2", put("b"))
			s.want("b")
		}},
		{"a full round without rows empties the dataset", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a"), members("a", "1"))
			s.round(true, "t2")
			s.want()
		}},
		{"a round after it changes the last one", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a"), put("b"))
			s.round(false, "t2", put("c"), remove("a"))
			s.want("b", "c")
			s.round(false, "t3")
			s.want("b", "c")
			s.round(false, "t4", remove("b"))
			s.want("c")
		}},
		{"the last row with an id stays", func(t *testing.T, s *script) {
			s.round(true, "t1", put("a", "one"), put("a", "two"))
			s.want("a two")
			s.round(false, "t2", put("a", "three"), put("a", "four"))
			s.want("a four")
		}},
		{"removals take effect in their order", func(t *testing.T, s *script) {
			for _, full := range []bool{true, false} {
				s.round(true, "t1", put("a"))
				s.round(full, "t2", remove("a"), put("a", "back"))
				s.want("a back")
				s.round(full, "t3", put("a"), remove("a"), remove("never"))
				s.want()
			}
		}},
		{"members are put and taken away", func(t *testing.T, s *script) {
			for _, full := range []bool{true, false} {
				s.round(true, "t1", members("g", "1", "2", "2"), members("h", "1"))
				s.want("g/1", "g/2", "h/1")
				s.round(full, "t2", members("g", "1", "2"), members("h", "1"), without("g", "1", "never"), members("g", "3"))
				s.want("g/2", "g/3", "h/1")
			}
		}},
		{"the members of a removed group go too", func(t *testing.T, s *script) {
			for _, full := range []bool{true, false} {
				s.round(true, "t1", members("g", "a", "b"), members("h", "a"))
				s.round(full, "t2", members("g", "a"), members("h", "a"), members("g", "c"), remove("g", "none"), members("g", "d"))
				s.want("g/d", "h/a")
			}
		}},
		{"ids that are no GUIDs, and all that are", func(t *testing.T, s *script) {
			ids := []string{
				"8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2", "8C4E0D2A-6A3F-4F53-9A1E-0C9D5B7E91D2", "00000000-0000-0000-0000-000000000000",
				"x", "sixteen bytes ha", "seventeen bytes !", "8c4e0d2a6a3f4f539a1e0c9d5b7e91d2", "ü", strings.Repeat("long ", 50),
			}
			s.round(true, "t1", members(ids[1], ids...), members("sixteen bytes ha", ids...))
			var want []string
			for _, id := range ids {
				want = append(want, ids[1]+"/"+id, "sixteen bytes ha/"+id)
			}
			s.want(want...)
			s.round(false, "t2", without(ids[1], ids...))
			s.want(want[1], want[3], want[5], want[7], want[9], want[11], want[13], want[15], want[17])
		}},
		{"types of members stay as they were written", func(t *testing.T, s *script) {
			r := s.begin(true)
			types := []string{
				"#microsoft.graph.user", "#microsoft.graph.device", "#microsoft.graph.group", "#microsoft.graph.servicePrincipal",
				"#microsoft.graph.orgContact", "#microsoft.graph.new", "", "#u",
			}
			for i, of := range types {
				if err := r.PutMembers(t.Context(), []catalogue.Member{{Group: "g", ID: strconv.Itoa(i), Type: of}}); err != nil {
					t.Fatal(err)
				}
			}
			s.commit(r, "", 0)
			for i, m := range s.members() {
				if m.Type != types[i] {
					t.Errorf("%s has the type %q", m.ID, m.Type)
				}
			}
		}},
		{"more than one transaction's rows", func(t *testing.T, s *script) {
			var ids []string
			for i := range 1234 {
				ids = append(ids, fmt.Sprintf("id-%04d", i))
			}
			r := s.begin(true)
			rows := make([]catalogue.Row, len(ids))
			for i, id := range ids {
				rows[i] = catalogue.Row{ID: id, Data: json.RawMessage(`{}`)}
			}
			if err := r.Put(t.Context(), append(rows, rows[:7]...)); err != nil {
				t.Fatal(err)
			}
			s.do(r, members("g", ids...), members("h", ids[:600]...))
			s.commit(r, "t1", 1234)
			if got := s.dataset(); got.Count != 1234 || got.Members != 1834 {
				t.Errorf("%+v", got)
			}
			s.round(false, "t2", remove(append(slices.Clone(ids[:1200]), "g")...))
			if got := s.dataset(); got.Count != 34 || got.Members != 600 {
				t.Errorf("after the removal: %+v", got)
			}
			s.round(false, "t3", without("h", ids...), remove(ids[1200:]...))
			s.want()
		}},
		{"tokens and counts are kept", func(t *testing.T, s *script) {
			if got := s.dataset(); got != (catalogue.Dataset{}) {
				t.Errorf("an unknown dataset is %+v", got)
			}
			s.round(true, "t1", put("a"), put("b"))
			if got := s.dataset(); got.Delta != "t1" || got.Count != 2 || got.AsOf.IsZero() || got.DeltaAt.IsZero() {
				t.Errorf("after a commit: %+v", got)
			}
			if err := s.data.Stale(t.Context(), name, "provider_unreachable"); err != nil {
				t.Fatal(err)
			}
			s.want("a", "b")
			if got := s.dataset(); got.Delta != "t1" || got.Count != 2 {
				t.Errorf("stale: %+v", got)
			}
			s.round(true, "", put("a"))
			if got := s.dataset(); got.Delta != "" || got.Count != 1 {
				t.Errorf("without a token: %+v", got)
			}
		}},
		{"data stays byte for byte", func(t *testing.T, s *script) {
			const odd = `{ "b" : 1e2,"a":"ü<&>\u0041"}`
			r := s.begin(true)
			if err := r.Put(t.Context(), []catalogue.Row{{ID: "a", Name: "Ünï", Type: "#t", ModifiedAt: "0001-01-01T00:00:00Z", Data: json.RawMessage(odd)}}); err != nil {
				t.Fatal(err)
			}
			s.commit(r, "", 1)
			rows := s.rows()
			if len(rows) != 1 || string(rows[0].Data) != odd || rows[0].Name != "Ünï" || rows[0].Type != "#t" || rows[0].ModifiedAt != "0001-01-01T00:00:00Z" {
				t.Errorf("came back as %+v", rows)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.do(t, &script{t: t, data: open(t)}) })
	}
}

const name = "suite"

// script runs steps against one dataset.
type script struct {
	t    *testing.T
	data Store
}

type step func(ctx context.Context, r catalogue.Round) error

func put(id string, name ...string) step {
	row := catalogue.Row{ID: id, Data: json.RawMessage(`{}`)}
	if len(name) > 0 {
		row.Name = name[0]
	}
	return func(ctx context.Context, r catalogue.Round) error { return r.Put(ctx, []catalogue.Row{row}) }
}

func remove(ids ...string) step {
	return func(ctx context.Context, r catalogue.Round) error { return r.Remove(ctx, ids) }
}

func of(group string, ids []string) []catalogue.Member {
	list := make([]catalogue.Member, len(ids))
	for i, id := range ids {
		list[i] = catalogue.Member{Group: group, ID: id}
	}
	return list
}

func members(group string, ids ...string) step {
	return func(ctx context.Context, r catalogue.Round) error { return r.PutMembers(ctx, of(group, ids)) }
}

func without(group string, ids ...string) step {
	return func(ctx context.Context, r catalogue.Round) error { return r.RemoveMembers(ctx, of(group, ids)) }
}

func (s *script) begin(full bool) catalogue.Round {
	s.t.Helper()
	r, err := s.data.Begin(s.t.Context(), name, full)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *script) do(r catalogue.Round, steps ...step) {
	s.t.Helper()
	for _, step := range steps {
		if err := step(s.t.Context(), r); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *script) commit(r catalogue.Round, token string, want int64) {
	s.t.Helper()
	got, err := r.Commit(s.t.Context(), catalogue.Committed{Delta: token})
	if err != nil || got.Count != want {
		s.t.Fatalf("commit: %+v, %v; want %d rows", got, err, want)
	}
}

func (s *script) round(full bool, token string, steps ...step) {
	s.t.Helper()
	r := s.begin(full)
	s.do(r, steps...)
	got, err := r.Commit(s.t.Context(), catalogue.Committed{Delta: token})
	if rows, members := len(s.rows()), len(s.members()); err != nil || got.Count != int64(rows) || got.Members != int64(members) {
		s.t.Fatalf("commit: %+v, %v; readers see %d rows and %d members", got, err, rows, members)
	}
}

func (s *script) rows() []catalogue.Row {
	s.t.Helper()
	rows, err := s.data.Rows(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

func (s *script) members() []catalogue.Member {
	s.t.Helper()
	list, err := s.data.Members(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *script) dataset() catalogue.Dataset {
	s.t.Helper()
	d, err := s.data.Dataset(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// want compares what readers see with rows written as "id name" and members
// written as "group/id".
func (s *script) want(rows ...string) {
	s.t.Helper()
	var got []string
	for _, r := range s.rows() {
		got = append(got, strings.TrimSpace(r.ID+" "+r.Name))
	}
	for _, m := range s.members() {
		got = append(got, m.Group+"/"+m.ID)
	}
	slices.Sort(got)
	rows = slices.Sorted(slices.Values(rows))
	if !slices.Equal(got, rows) {
		s.t.Errorf("readers see %q, want %q", got, rows)
	}
}
