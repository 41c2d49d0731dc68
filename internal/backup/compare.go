package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Difference is what two backups differ in.
type Difference struct {
	Policies []policy.Comparison
	LeftOut  []LeftOut // what could not be compared
}

// LeftOut is a type, or a policy, that was not compared because a backup doesn't hold all
// of it.
type LeftOut struct {
	Type  string
	ID    string   // empty: policies of the type that only one of the backups has
	Name  string   // of the policy
	Older bool     // it is the older backup that lacks something
	Parts []string // of the policy, that are missing
}

// side is one of two backups that are compared.
type side struct {
	set   Set
	items []Contents
}

// Compare returns in which policies two backups of a tenant differ. It needs
// [tenancy.ViewBackups]. Settings and objects are told by the names that the backups hold.
// A policy counts as added or removed only if the other backup holds all policies of its
// type. A policy that lacks a part in one of the backups is left out.
//
// Both backups are held in memory.
func (f *Files) Compare(ctx context.Context, a access.Actor, tenant, before, after string) (Difference, error) {
	var sides [2]side
	for i, id := range []string{before, after} {
		var err error
		if sides[i], err = f.side(ctx, a, tenant, id); err != nil {
			return Difference{}, err
		}
	}
	var d Difference
	skip := make(map[string]bool) // type and lower-case id or name of what is not compared
	for i, s := range sides {
		for _, c := range s.items {
			if len(c.Missing) == 0 {
				continue
			}
			l := LeftOut{Type: c.Type, ID: c.ID, Name: c.Name, Older: i == 0}
			for _, m := range c.Missing {
				l.Parts = append(l.Parts, m.Part)
			}
			d.LeftOut = append(d.LeftOut, l)
			skip[c.Type+"/"+strings.ToLower(c.ID)], skip[c.Type+"//"+c.Name] = true, c.Name != ""
		}
	}
	var both [2][]policy.Document
	for i, s := range sides {
		ids := make(map[string]bool)
		for _, c := range sides[1-i].items {
			ids[c.Type+"/"+strings.ToLower(c.ID)] = true
		}
		for _, c := range s.items {
			id := c.Type + "/" + strings.ToLower(c.ID)
			if skip[id] || !ids[id] && skip[c.Type+"//"+c.Name] {
				continue
			}
			doc, err := policy.Normalise(c.Policy)
			if err != nil {
				return Difference{}, fmt.Errorf("compare backups: %w", err)
			}
			both[i] = append(both[i], doc)
		}
	}
	for _, c := range policy.Compare(both[0], both[1], policy.NamesIn(slices.Concat(both[1], both[0])...)) {
		older := c.How == policy.Added
		if c.How == policy.Changed || older && sides[0].set.whole(c.Type) || !older && sides[1].set.whole(c.Type) {
			d.Policies = append(d.Policies, c)
		} else if l := (LeftOut{Type: c.Type, Older: older}); !slices.ContainsFunc(d.LeftOut, l.same) {
			d.LeftOut = append(d.LeftOut, l)
		}
	}
	slices.SortStableFunc(d.LeftOut, func(a, b LeftOut) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return d, nil
}

func (l LeftOut) same(o LeftOut) bool { return l.Type == o.Type && l.ID == o.ID && l.Older == o.Older }

// whole reports whether a set holds all policies of a type. Files of other tools hold what
// they hold: they are whole in the types that they have.
func (s Set) whole(typ string) bool {
	return slices.ContainsFunc(s.Types, func(t TypeRead) bool { return t.Type == typ && (t.Reason == "" || t.Absent) })
}

// side reads one of two backups that are compared.
func (f *Files) side(ctx context.Context, a access.Actor, tenant, id string) (side, error) {
	var workspace string
	s, err := query.Read(ctx, f.db, "compare backups", func(ctx context.Context, tx db.Tx) (Set, error) {
		ta, s, err := find(ctx, tx, a, tenant, id, tenancy.ViewBackups)
		workspace = ta.Workspace.ID
		return s, err
	})
	if err != nil {
		return side{}, err
	}
	out := side{set: s}
	read := func(fn func(context.Context, db.Tx) error) error { return f.db.Read(ctx, fn) }
	for c, err := range walk(read, workspace, id) {
		if err != nil {
			return side{}, fmt.Errorf("compare backups: %w", err)
		}
		out.items = append(out.items, c)
	}
	if int64(len(out.items)) != s.Items {
		return side{}, fmt.Errorf("compare backups: removed meanwhile: %w", op.ErrNotFound)
	}
	return out, nil
}
