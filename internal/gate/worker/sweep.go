package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/store"
)

// How long records are kept. Idempotency keys live until a day after their run
// has ended, refusals for 90 days, runs and accepted attempts for 400 days.
const (
	keepKeys     = 24 * time.Hour
	keepRefusals = 90 * 24 * time.Hour
	keepRuns     = 400 * 24 * time.Hour
	sweepBatch   = 500
)

// sweeps delete at most sweepBatch rows each time they run; $1 is the age in microseconds.
var sweeps = []struct {
	what string
	age  time.Duration
	sql  string
}{
	{"idempotency keys", keepKeys, `DELETE FROM idempotency_keys WHERE run_id IN (
		SELECT k.run_id FROM idempotency_keys k LEFT JOIN runs r ON r.id = k.run_id
		WHERE r.id IS NULL OR r.ended_at < interlock_now() - $1 LIMIT $2)`},
	{"refusals", keepRefusals, `DELETE FROM start_attempts WHERE id IN (
		SELECT id FROM start_attempts WHERE outcome IN ('blocked', 'scope_busy') AND last_at < interlock_now() - $1 LIMIT $2)`},
	{"results of old runs", keepRuns, `DELETE FROM run_items WHERE run_id IN (
		SELECT id FROM runs WHERE state = 'finished' AND ended_at < interlock_now() - $1 LIMIT $2)`},
	{"timelines of old runs", keepRuns, `DELETE FROM run_events WHERE run_id IN (
		SELECT id FROM runs WHERE state = 'finished' AND ended_at < interlock_now() - $1 LIMIT $2)`},
	{"attempts of old runs", keepRuns, `DELETE FROM start_attempts WHERE run_id IN (
		SELECT id FROM runs WHERE state = 'finished' AND ended_at < interlock_now() - $1 LIMIT $2)`},
	{"notifications of old runs", keepRuns, `DELETE FROM notifications WHERE run_id IN (
		SELECT id FROM runs WHERE state = 'finished' AND ended_at < interlock_now() - $1 LIMIT $2)`},
	{"old runs", keepRuns, `DELETE FROM runs WHERE id IN (
		SELECT r.id FROM runs r WHERE r.state = 'finished' AND r.ended_at < interlock_now() - $1
		AND NOT EXISTS (SELECT 1 FROM run_items i WHERE i.run_id = r.id)
		AND NOT EXISTS (SELECT 1 FROM run_events e WHERE e.run_id = r.id)
		AND NOT EXISTS (SELECT 1 FROM start_attempts a WHERE a.run_id = r.id) LIMIT $2)`},
}

// sweep deletes what is older than it has to be kept, in small transactions.
func (w *Worker) sweep(ctx context.Context) error {
	for _, s := range sweeps {
		for {
			var n int64
			err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
				n, err = tx.Exec(ctx, s.sql, s.age.Microseconds(), sweepBatch)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", s.what, err)
			}
			if n == 0 {
				break
			}
		}
	}
	for {
		var n int64
		err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			n, err = store.SweepGenerations(ctx, tx, sweepBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("rows that nobody can read: %w", err)
		}
		if n < sweepBatch {
			break
		}
	}
	return access.SweepSignIns(ctx, w.db)
}
