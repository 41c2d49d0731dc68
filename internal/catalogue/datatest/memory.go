// Package datatest has what tests of operations need in place of the store: a
// [catalogue.Data] in memory, and the suite that every Data must pass, so that
// the two can't drift apart.
package datatest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
)

// Memory keeps datasets in memory. The zero Memory is empty and ready; it is safe
// for concurrent use.
type Memory struct {
	Now func() time.Time // nil: the clock

	mu     sync.Mutex
	sets   map[string]*set
	learnt []catalogue.Facts
}

var _ catalogue.Data = (*Memory)(nil)

type set struct {
	catalogue.Dataset
	rows    map[string]catalogue.Row
	members map[key]string // type
	stale   op.Reason
}

func newSet() *set { return &set{rows: make(map[string]catalogue.Row), members: make(map[key]string)} }

type key struct{ group, member string }

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func (m *Memory) set(name string) *set {
	if m.sets == nil {
		m.sets = make(map[string]*set)
	}
	if m.sets[name] == nil {
		m.sets[name] = newSet()
	}
	return m.sets[name]
}

// Dataset implements [catalogue.Data].
func (m *Memory) Dataset(ctx context.Context, name string) (catalogue.Dataset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set(name).Dataset, ctx.Err()
}

// Begin implements [catalogue.Data].
func (m *Memory) Begin(ctx context.Context, name string, full bool) (catalogue.Round, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	shown := m.set(name)
	if full || shown.AsOf.IsZero() {
		return &round{memory: m, name: name, into: newSet()}, ctx.Err()
	}
	shown.Delta, shown.DeltaAt = "", time.Time{}
	return &round{memory: m, name: name, into: shown}, ctx.Err()
}

// Stale implements [catalogue.Data].
func (m *Memory) Stale(ctx context.Context, name string, why op.Reason) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(name).stale = why
	return ctx.Err()
}

// Learn implements [catalogue.Data].
func (m *Memory) Learn(ctx context.Context, f catalogue.Facts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learnt = append(m.learnt, f)
	return ctx.Err()
}

// Names returns the names of the datasets that were written, sorted.
func (m *Memory) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.sets))
}

// Rows implements [catalogue.Data].
func (m *Memory) Rows(_ context.Context, name string) ([]catalogue.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.set(name).rows), func(a, b catalogue.Row) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// Members returns the members of groups that readers of the dataset see, by group
// and id.
func (m *Memory) Members(_ context.Context, name string) ([]catalogue.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []catalogue.Member
	for k, of := range m.set(name).members {
		list = append(list, catalogue.Member{Group: k.group, ID: k.member, Type: of})
	}
	slices.SortFunc(list, func(a, b catalogue.Member) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// StaleReason returns why the dataset's last try kept the old rows; empty when it
// did not.
func (m *Memory) StaleReason(name string) op.Reason {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set(name).stale
}

// Learnt returns what was learnt, in order.
func (m *Memory) Learnt() []catalogue.Facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.learnt)
}

type round struct {
	memory *Memory
	name   string
	into   *set
}

// do changes the round's rows.
func (r *round) do(ctx context.Context, fn func()) error {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	fn()
	return ctx.Err()
}

func (r *round) Put(ctx context.Context, rows []catalogue.Row) error {
	return r.do(ctx, func() {
		for _, row := range rows {
			r.into.rows[row.ID] = row
		}
	})
}

func (r *round) Remove(ctx context.Context, ids []string) error {
	return r.do(ctx, func() {
		for _, id := range ids {
			delete(r.into.rows, id)
			maps.DeleteFunc(r.into.members, func(k key, _ string) bool { return k.group == id })
		}
	})
}

func (r *round) PutMembers(ctx context.Context, members []catalogue.Member) error {
	return r.do(ctx, func() {
		for _, m := range members {
			if _, ok := r.into.members[key{m.Group, m.ID}]; !ok {
				r.into.members[key{m.Group, m.ID}] = m.Type
			}
		}
	})
}

func (r *round) RemoveMembers(ctx context.Context, members []catalogue.Member) error {
	return r.do(ctx, func() {
		for _, m := range members {
			delete(r.into.members, key{m.Group, m.ID})
		}
	})
}

func (r *round) Commit(ctx context.Context, end catalogue.Committed) (catalogue.Dataset, error) {
	if err := ctx.Err(); err != nil {
		return catalogue.Dataset{}, err
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	now := r.memory.now()
	unreadable := end.Unreadable
	if r.memory.sets[r.name] == r.into {
		unreadable += r.into.Unreadable
	}
	r.memory.sets[r.name], r.into.stale = r.into, ""
	r.into.Dataset = catalogue.Dataset{
		AsOf: now, Count: int64(len(r.into.rows)), Members: int64(len(r.into.members)), Unreadable: unreadable, Delta: end.Delta,
	}
	if end.Delta != "" {
		r.into.DeltaAt = now
	}
	return r.into.Dataset, nil
}
