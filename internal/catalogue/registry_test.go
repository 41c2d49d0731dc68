package catalogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// complete is an operation that nothing is missing of. It is never registered.
func complete() *catalogue.Definition {
	return &catalogue.Definition{
		Kind: "toys.sync", Version: 1, Place: 99,
		Words:      op.KindWords{Name: "Toy sync", Does: "Reads toys.", Start: "Start sync", Item: "toy", Items: "toys"},
		Icon:       "box",
		Capability: "toys.sync", Allows: "Sync toys", Roles: []tenancy.Role{tenancy.Owner},
		Datasets: []catalogue.DatasetInfo{{
			Name: "toys", Title: "Toys", Tab: "Toys", Lead: "Toys of {tenant}.", Icon: "box", Item: "toy", Items: "toys",
			Columns: []catalogue.Column{{Title: "Toy"}}, Sort: []catalogue.SortKey{catalogue.ByName},
			NotRead: catalogue.Empty{Title: "No toys yet", Text: "They appear after a sync."},
			None:    catalogue.Empty{Title: "The tenant has no toys", Text: "The last sync found none."},
		}},
		Permissions: []catalogue.Permission{{AnyOf: []string{"Toy.Read.All"}, For: "read toys"}},
		Canonical:   catalogue.NoParameters, Parameters: struct{}{},
		QueueLimit: time.Hour, RunLimit: time.Hour, CallLimit: time.Second, MaxDispatch: 1, Recovery: catalogue.Again,
		SignsIn: true,
		Run:     func(context.Context, *catalogue.Env) error { return nil },
	}
}

// TestCheck: what is incomplete or doubled is refused, with an error that says what.
func TestCheck(t *testing.T) {
	t.Parallel()
	if err := complete().Check(); err != nil {
		t.Fatal(err)
	}
	type d = catalogue.Definition
	set := func(change func(*catalogue.DatasetInfo)) func(*d) {
		return func(d *d) { change(&d.Datasets[0]) }
	}
	for _, c := range []struct {
		want   string
		change func(*d)
	}{
		{"Kind must be lower-case words", func(d *d) { d.Kind = "Toys" }},
		{"Version is missing", func(d *d) { d.Version = 0 }},
		{"Place is missing", func(d *d) { d.Place = 0 }},
		{"Icon is missing", func(d *d) { d.Icon = "" }},
		{"Canonical is missing", func(d *d) { d.Canonical = nil }},
		{"Parameters is missing", func(d *d) { d.Parameters = nil }},
		{"QueueLimit is missing", func(d *d) { d.QueueLimit = 0 }},
		{"RunLimit is missing", func(d *d) { d.RunLimit = 0 }},
		{"CallLimit is missing", func(d *d) { d.CallLimit = 0 }},
		{"MaxDispatch is missing", func(d *d) { d.MaxDispatch = 0 }},
		{"Recovery is missing", func(d *d) { d.Recovery = "" }},
		{`Recovery is "perhaps", which is none of again, resume and never`, func(d *d) { d.Recovery = "perhaps" }},
		{"MaxDispatch is 2, but there is no new try", func(d *d) { d.Recovery, d.MaxDispatch = catalogue.Never, 2 }},
		{"Run is missing", func(d *d) { d.Run = nil }},
		{"can't have Requires", func(d *d) {
			d.Baseline = true
			d.Requires = func(context.Context, catalogue.Question, catalogue.Stored) ([]op.Cause, error) { return nil, nil }
		}},
		{"SignsIn must be set", func(d *d) { d.SignsIn = false }},
		{"a permission lacks AnyOf or For", func(d *d) { d.Permissions[0].For = "" }},
		{"a permission lacks AnyOf or For", func(d *d) { d.Optional = []catalogue.Permission{{For: "read toys"}} }},
		{"Example is not accepted: parameters.colour", func(d *d) { d.Example = json.RawMessage(`{"colour":"red"}`) }},
		{"it is registered already", func(d *d) { d.Kind = op.InventorySync }},
		{"dataset toys belongs to another operation", func(d *d) { d.Datasets = append(d.Datasets, d.Datasets[0]) }},
		{"dataset groups belongs to another operation", set(func(s *catalogue.DatasetInfo) { s.Name = "groups" })},
		{"Name must be lower-case words", set(func(s *catalogue.DatasetInfo) { s.Name = "Toys/red" })},
		{"Title is missing", set(func(s *catalogue.DatasetInfo) { s.Title = "" })},
		{"Tab is missing", set(func(s *catalogue.DatasetInfo) { s.Tab = "" })},
		{"Lead is missing", set(func(s *catalogue.DatasetInfo) { s.Lead = "" })},
		{"dataset toys: Icon is missing", set(func(s *catalogue.DatasetInfo) { s.Icon = "" })},
		{"Item is missing", set(func(s *catalogue.DatasetInfo) { s.Item = "" })},
		{"Items is missing", set(func(s *catalogue.DatasetInfo) { s.Items = "" })},
		{"Columns is missing", set(func(s *catalogue.DatasetInfo) { s.Columns = nil })},
		{"Sort is missing", set(func(s *catalogue.DatasetInfo) { s.Sort = nil })},
		{"NotRead is missing", set(func(s *catalogue.DatasetInfo) { s.NotRead.Text = "" })},
		{"None is missing", set(func(s *catalogue.DatasetInfo) { s.None.Title = "" })},
		{"there are no Parts", set(func(s *catalogue.DatasetInfo) { s.Sort = []catalogue.SortKey{catalogue.ByPart} })},
		{"column 2 lacks", set(func(s *catalogue.DatasetInfo) { s.Columns = append(s.Columns, catalogue.Column{Title: "Colour"}) })},
		{`type "red" lacks`, set(func(s *catalogue.DatasetInfo) { s.Types = []catalogue.RowType{{Key: "red", Words: "Red"}} })},
		{"Types and Parts can't both", set(func(s *catalogue.DatasetInfo) {
			s.Types = []catalogue.RowType{{Key: "red", Words: "Red", Covers: []string{"red"}}}
			s.Parts = []catalogue.DatasetPart{{Key: "red", Words: "Red"}}
		})},
	} {
		def := complete()
		c.change(def)
		if err := def.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestRegisterRefuses: a program with half an operation does not start.
func TestRegisterRefuses(t *testing.T) {
	for want, change := range map[string]func(*catalogue.Definition){
		"Recovery is missing":                       func(d *catalogue.Definition) { d.Recovery = "" },
		"the capability is missing":                 func(d *catalogue.Definition) { d.Capability = "" },
		"the capability inventory.sync is taken":    func(d *catalogue.Definition) { d.Capability = "inventory.sync" },
		"the capability toys.sync has no name":      func(d *catalogue.Definition) { d.Allows = "" },
		"don't name owner":                          func(d *catalogue.Definition) { d.Roles = []tenancy.Role{tenancy.Operator} },
		`names the unknown role "guest"`:            func(d *catalogue.Definition) { d.Roles = append(d.Roles, "guest") },
		"operation toys.sync: words: Name is missi": func(d *catalogue.Definition) { d.Words.Name = "" },
	} {
		def := complete()
		change(def)
		func() {
			defer func() {
				if told, _ := recover().(string); !strings.Contains(told, want) {
					t.Errorf("%q, want %q", told, want)
				}
			}()
			catalogue.Register(def)
		}()
		if _, err := catalogue.Lookup("toys.sync"); !errors.Is(err, op.ErrNotFound) {
			t.Fatalf("%s: it was registered all the same", want)
		}
		if slices.Contains(tenancy.Capabilities(), "toys.sync") {
			t.Fatalf("%s: its capability was registered all the same", want)
		}
	}
}
