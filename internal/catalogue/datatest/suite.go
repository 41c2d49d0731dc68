package datatest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
)

// Store is a [catalogue.Data] whose rows can be read back.
type Store interface {
	catalogue.Data
	// Rows returns what readers of the dataset see, in any order.
	Rows(ctx context.Context, dataset string) ([]catalogue.Row, error)
}

// Run checks that a store keeps the promises of [catalogue.Data]. open returns an
// empty one.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *script)
	}{
		{"a round shows at its commit", func(t *testing.T, s *script) {
			s.round(true, "t1", put("", "a"))
			s.want("/a")
			r := s.begin(true)
			s.do(r, put("", "b"))
			s.want("/a")
			s.commit(r, "t2", 1)
			s.want("/b")
		}},
		{"a round that is left changes nothing", func(t *testing.T, s *script) {
			s.round(true, "t1", put("", "a"))
			s.do(s.begin(true), put("", "x"))
			s.do(s.begin(false), put("", "y"), remove("", "a"))
			s.round(false, "t2", put("", "b"))
			s.want("/a", "/b")
		}},
		{"a full round without rows empties the dataset", func(t *testing.T, s *script) {
			s.round(true, "t1", put("", "a"))
			s.round(true, "t2")
			s.want()
		}},
		{"a round after it changes the last one", func(t *testing.T, s *script) {
			s.round(true, "t1", put("", "a"), put("", "b"))
			s.round(false, "t2", put("", "c"), remove("", "a"))
			s.want("/b", "/c")
			s.round(false, "t3")
			s.want("/b", "/c")
			s.round(false, "t4", remove("", "b"))
			s.want("/c")
		}},
		{"the last row with an id stays", func(t *testing.T, s *script) {
			s.round(true, "t1", put("", "a", "one"), put("", "a", "two"))
			s.want("/a two")
			s.round(false, "t2", put("", "a", "three"), put("", "a", "four"))
			s.want("/a four")
		}},
		{"removals take effect in their order", func(t *testing.T, s *script) {
			for _, full := range []bool{true, false} {
				s.round(true, "t1", put("", "a"))
				s.round(full, "t2", remove("", "a"), put("", "a", "back"))
				s.want("/a back")
				s.round(full, "t3", put("", "a"), remove("", "a"), remove("", "never"))
				s.want()
			}
		}},
		{"the rows below a removed one go too", func(t *testing.T, s *script) {
			for _, full := range []bool{true, false} {
				s.round(true, "t1", put("g", "a"), put("g", "b"), put("h", "a"))
				s.round(full, "t2", put("g", "a"), put("h", "a"), put("g", "c"), remove("", "g"), put("g", "d"))
				s.want("g/d", "h/a")
			}
		}},
		{"a removed member leaves its namesakes alone", func(t *testing.T, s *script) {
			s.round(true, "t1", put("g", "a"), put("h", "a"))
			s.round(false, "t2", remove("g", "a"))
			s.want("h/a")
		}},
		{"tokens and counts are kept", func(t *testing.T, s *script) {
			if got := s.dataset(); got != (catalogue.Dataset{}) {
				t.Errorf("an unknown dataset is %+v", got)
			}
			s.round(true, "t1", put("", "a"), put("", "b"))
			if got := s.dataset(); got.Delta != "t1" || got.Count != 2 || got.AsOf.IsZero() || got.DeltaAt.IsZero() {
				t.Errorf("after a commit: %+v", got)
			}
			if err := s.data.Stale(t.Context(), name, "provider_unreachable"); err != nil {
				t.Fatal(err)
			}
			s.want("/a", "/b")
			if got := s.dataset(); got.Delta != "t1" || got.Count != 2 {
				t.Errorf("stale: %+v", got)
			}
			s.round(true, "", put("", "a"))
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

func put(parent, id string, name ...string) step {
	row := catalogue.Row{Parent: parent, ID: id, Data: json.RawMessage(`{}`)}
	if len(name) > 0 {
		row.Name = name[0]
	}
	return func(ctx context.Context, r catalogue.Round) error { return r.Put(ctx, []catalogue.Row{row}) }
}

func remove(parent string, ids ...string) step {
	return func(ctx context.Context, r catalogue.Round) error { return r.Remove(ctx, parent, ids) }
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
	got, err := r.Commit(s.t.Context(), token)
	if err != nil || got != want {
		s.t.Fatalf("commit: %d rows, %v; want %d", got, err, want)
	}
}

func (s *script) round(full bool, token string, steps ...step) {
	s.t.Helper()
	r := s.begin(full)
	s.do(r, steps...)
	got, err := r.Commit(s.t.Context(), token)
	if err != nil || got != int64(len(s.rows())) {
		s.t.Fatalf("commit: %d rows, %v; readers see %d", got, err, len(s.rows()))
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

func (s *script) dataset() catalogue.Dataset {
	s.t.Helper()
	d, err := s.data.Dataset(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// want compares what readers see with rows written as "parent/id name".
func (s *script) want(rows ...string) {
	s.t.Helper()
	var got []string
	for _, r := range s.rows() {
		line := fmt.Sprintf("%s/%s", r.Parent, r.ID)
		if r.Name != "" {
			line += " " + r.Name
		}
		got = append(got, line)
	}
	slices.Sort(got)
	slices.Sort(rows)
	if !slices.Equal(got, rows) {
		s.t.Errorf("readers see %q, want %q", got, rows)
	}
}
