package store

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// Changes exchanges with the other processes on the database what each has changed.
// Tell and Hear must each be called by one goroutine only.
type Changes struct {
	db    *db.DB
	seq   int64            // of what was told
	heard map[string]int64 // by process: the last that was heard
	until int64            // database time until which everything was heard
}

// NewChanges returns the exchange on d.
func NewChanges(d *db.DB) *Changes { return &Changes{db: d, heard: make(map[string]int64)} }

// How long a row is kept, and how long after its own time a row may become visible.
const (
	changesKept = time.Minute
	changesLate = 5 * time.Second
)

// Tell tells the other processes about committed changes.
func (c *Changes) Tell(ctx context.Context, changes []op.Change) error {
	var seq int64
	err := c.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		seq = c.seq
		for _, ch := range changes {
			seq++
			if _, err := tx.Exec(ctx, `INSERT INTO changes (node, seq, workspace_id, tenant_id, run_id, at)
				VALUES ($1, $2, $3, $4, $5, interlock_now())`, c.db.BootID(), seq, ch.Workspace, ch.Tenant, ch.Run); err != nil {
				return err
			}
		}
		// A process deletes its own rows, so that two processes never wait for each
		// other. Its first call deletes what ended processes left behind.
		where, args := `node = $1 AND at < interlock_now() - $2`, []any{c.db.BootID(), changesKept.Microseconds()}
		if c.seq == 0 {
			where, args = `at < interlock_now() - $1`, []any{2 * changesKept.Microseconds()}
		}
		_, err := tx.Exec(ctx, `DELETE FROM changes WHERE `+where, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("tell of changes: %w", err)
	}
	c.seq = seq
	return nil
}

// Hear returns what other processes have told since the last call; the first call
// returns that of the last seconds. If the last call was too long ago it returns an empty
// change, which means that anything may have changed.
func (c *Changes) Hear(ctx context.Context) ([]op.Change, error) {
	var fresh []op.Change
	var now int64
	heard := make(map[string]int64, len(c.heard))
	err := c.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		fresh = nil
		clear(heard)
		if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
			return err
		}
		since := now
		if c.until > 0 {
			since = min(now, c.until)
		}
		if now-since > (changesKept - 2*changesLate).Microseconds() {
			fresh = []op.Change{{}}
		}
		rows, err := tx.Query(ctx, `SELECT node, seq, workspace_id, tenant_id, run_id FROM changes
			WHERE at >= $1 AND node <> $2 ORDER BY node, seq`, since-changesLate.Microseconds(), c.db.BootID())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node string
			var seq int64
			var ch op.Change
			if err := rows.Scan(&node, &seq, &ch.Workspace, &ch.Tenant, &ch.Run); err != nil {
				return err
			}
			if seq > c.heard[node] {
				fresh = append(fresh, ch)
			}
			heard[node] = max(seq, c.heard[node])
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("hear of changes: %w", err)
	}
	c.heard, c.until = heard, now
	return fresh, nil
}
