package worker

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/stored"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// data stores what the operation read. Each write compares the run's fence.
type data struct{ x *execution }

// write runs fn in a transaction that first compares the fence.
func (x *execution) write(ctx context.Context, fn func(context.Context, db.Tx) error) error {
	return x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := ledger.Guard(ctx, tx, x.claim.RunID, x.claim.Fence); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

func (x *execution) dataset(name string) mirror.Key {
	return mirror.Key{
		Workspace: x.claim.Workspace, Tenant: x.claim.Tenant, Connection: x.claim.Connection, Name: name, Run: x.claim.RunID,
	}
}

func (d data) Dataset(ctx context.Context, name string) (out catalogue.Dataset, err error) {
	err = d.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		ds, err := mirror.DatasetOf(ctx, tx, d.x.dataset(name))
		out = stored.Known(ds)
		return err
	})
	return out, err
}

func (d data) Rows(ctx context.Context, name string) (all []catalogue.Row, err error) {
	for after := ""; ; {
		var some []mirror.Record
		err := d.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			some, err = mirror.RowsOf(ctx, tx, d.x.dataset(name), after)
			return err
		})
		if err != nil || len(some) == 0 {
			return all, err
		}
		for _, r := range some {
			all = append(all, catalogue.Row{ID: r.ID, Name: r.Name, Type: r.Type, ModifiedAt: r.ModifiedAt, Data: r.Data})
		}
		after = some[len(some)-1].ID
	}
}

func (d data) Begin(ctx context.Context, name string, full bool) (catalogue.Round, error) {
	r := &round{x: d.x, key: d.x.dataset(name)}
	err := d.x.write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		r.generation, err = mirror.BeginRound(ctx, tx, r.key, full)
		return err
	})
	return r, err
}

func (d data) Stale(ctx context.Context, name string, why op.Reason) error {
	return d.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return mirror.MarkStale(ctx, tx, d.x.dataset(name), why)
	})
}

func (d data) Learn(ctx context.Context, f catalogue.Facts) error {
	var checks json.RawMessage
	if len(f.Checks) > 0 {
		var err error
		if checks, err = json.Marshal(f.Checks); err != nil {
			return fmt.Errorf("verification report: %w", err)
		}
	}
	return d.x.learn(ctx, store.Learned{
		Run: d.x.claim.RunID, Checks: checks, Verdict: f.Verdict, Reason: f.Reason,
		Consent: f.Consent, Credential: f.Credential, SignIn: f.SignIn, Directory: f.Directory, Permissions: f.Permissions,
		CredentialVersion: d.x.pinned.Connection.CredentialVersion,
	})
}

// learn stores facts about the connection. It locks the connection before the claim, as
// every other transaction does.
func (x *execution) learn(ctx context.Context, l store.Learned) error {
	return x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := store.Learn(ctx, tx, x.claim.Connection, l); err != nil {
			return err
		}
		return ledger.Guard(ctx, tx, x.claim.RunID, x.claim.Fence)
	})
}

type round struct {
	x          *execution
	key        mirror.Key
	generation int64
}

func (r *round) Put(ctx context.Context, rows []catalogue.Row) error {
	out := make([]mirror.Record, len(rows))
	for i, row := range rows {
		out[i] = mirror.Record{ID: row.ID, Name: row.Name, Type: row.Type, ModifiedAt: row.ModifiedAt, Data: row.Data}
	}
	for batch := range mirror.Batches(out) {
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
			return mirror.PutRows(ctx, tx, r.key, r.generation, batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) Remove(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		var done int
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			done, err = mirror.RemoveRows(ctx, tx, r.key, r.generation, ids)
			return err
		})
		if err != nil {
			return err
		}
		ids = ids[done:]
	}
	return nil
}

func (r *round) PutMembers(ctx context.Context, members []catalogue.Member) error {
	return r.members(ctx, members, mirror.PutMembers)
}

func (r *round) RemoveMembers(ctx context.Context, members []catalogue.Member) error {
	return r.members(ctx, members, mirror.RemoveMembers)
}

// members calls do for the members of groups, batch by batch.
func (r *round) members(ctx context.Context, members []catalogue.Member, do func(context.Context, db.Tx, int64, []mirror.Member) error) error {
	list := make([]mirror.Member, len(members))
	for i, m := range members {
		list[i] = mirror.Member{Group: m.Group, Member: m.ID, Type: m.Type}
	}
	for batch := range mirror.MemberBatches(list) {
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return do(ctx, tx, r.generation, batch) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) Commit(ctx context.Context, end catalogue.Committed) (out catalogue.Dataset, err error) {
	err = r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		d, err := mirror.CommitRound(ctx, tx, r.key, r.generation, mirror.Committed{Delta: end.Delta, Unreadable: end.Unreadable})
		out = stored.Known(d)
		return err
	})
	return out, err
}

// report stores what the run is doing. Each write compares the fence.
type report struct{ x *execution }

func (r report) Progress(ctx context.Context, c op.Counts) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Progress(ctx, tx, r.x.claim.RunID, c)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}

func (r report) Item(ctx context.Context, it op.Item) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Item(ctx, tx, r.x.claim.RunID, r.x.claim.Fence, it)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}

func (r report) NotReached(items []op.Item) {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	r.x.left = items
}

func (r report) Event(ctx context.Context, text string) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Event(ctx, tx, r.x.claim.RunID, r.x.claim.Fence, op.EventStep, text)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}
