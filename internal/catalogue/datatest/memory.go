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
	rows  map[key]catalogue.Row
	stale op.Reason
}

type key struct{ parent, id string }

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
		m.sets[name] = &set{rows: make(map[key]catalogue.Row)}
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
	r := &round{memory: m, name: name, rows: make(map[key]catalogue.Row)}
	if !full {
		maps.Copy(r.rows, m.set(name).rows)
	}
	return r, ctx.Err()
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

// Rows returns what readers of the dataset see, by parent and id.
func (m *Memory) Rows(_ context.Context, name string) ([]catalogue.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.set(name).rows), func(a, b catalogue.Row) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.ID, b.ID))
	}), nil
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
	rows   map[key]catalogue.Row
}

func (r *round) Put(ctx context.Context, rows []catalogue.Row) error {
	for _, row := range rows {
		r.rows[key{row.Parent, row.ID}] = row
	}
	return ctx.Err()
}

func (r *round) Remove(ctx context.Context, parent string, ids []string) error {
	for _, id := range ids {
		delete(r.rows, key{parent, id})
		for k := range r.rows {
			if k.parent == id {
				delete(r.rows, k)
			}
		}
	}
	return ctx.Err()
}

func (r *round) Commit(ctx context.Context, delta string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	now := r.memory.now()
	s := r.memory.set(r.name)
	s.rows, s.stale = maps.Clone(r.rows), ""
	s.Dataset = catalogue.Dataset{AsOf: now, Count: int64(len(r.rows)), Delta: delta}
	if delta != "" {
		s.DeltaAt = now
	}
	return s.Count, nil
}
