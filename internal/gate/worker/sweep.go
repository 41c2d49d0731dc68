package worker

import (
	"context"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
)

// How long records are kept. The audit trail is kept forever.
const (
	keepKeys     = 24 * time.Hour       // idempotency keys, from the end of their run
	keepRefusals = 90 * 24 * time.Hour  // from the last request that the record counts
	keepRuns     = 400 * 24 * time.Hour // runs with everything that belongs to them, from their end
)

// A sweep deletes records that are older than they must be kept, the oldest first. It
// finds a few at the oldest end of an index, so that a round with nothing to delete
// reads almost nothing, and deletes them by id: with a DELETE that contains the search,
// PostgreSQL reads whole tables.
type sweep struct {
	what string
	keep time.Duration
	// find returns at most $1 ids of records older than $2, a time in microseconds. If
	// byID is set, $3 is the smallest id of that time; it is for tables that are searched
	// by an id that sorts by time.
	find   string
	byID   bool
	remove []string // each followed by the list of ids
}

var sweeps = []sweep{
	{
		"idempotency keys", keepKeys, `SELECT k.run_id FROM idempotency_keys k LEFT JOIN runs r ON r.id = k.run_id
		WHERE k.run_id < $3 AND (r.id IS NULL OR r.ended_at < $2) ORDER BY k.run_id LIMIT $1`, true,
		[]string{`DELETE FROM idempotency_keys WHERE run_id IN `},
	},
	{
		"refusals", keepRefusals, `SELECT a.id FROM start_attempts a WHERE a.run_id IS NULL AND a.last_at < $2 ORDER BY a.last_at LIMIT $1`, false,
		[]string{`DELETE FROM start_attempts WHERE id IN `},
	},
	{"runs", keepRuns, `SELECT r.id FROM runs r WHERE r.id < $3 AND r.ended_at < $2 ORDER BY r.id LIMIT $1`, true, []string{
		`DELETE FROM run_journal WHERE run_id IN `, `DELETE FROM run_items WHERE run_id IN `, `DELETE FROM run_events WHERE run_id IN `, `DELETE FROM start_attempts WHERE run_id IN `,
		`DELETE FROM notifications WHERE run_id IN `, `DELETE FROM runs WHERE id IN `,
	}},
}

// batch deletes at most limit records, each with what belongs to it, and returns how
// many it deleted.
func (s sweep) batch(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	var now int64
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return 0, err
	}
	before := db.Time(now).Add(-s.keep)
	args := []any{limit, db.Micros(before)}
	if s.byID {
		args = append(args, access.FirstID(before))
	}
	ids, err := s.ids(ctx, tx, args)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	list, values := inList(ids)
	for _, sql := range s.remove {
		if _, err := tx.Exec(ctx, sql+list, values...); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

func (s sweep) ids(ctx context.Context, tx db.Tx, args []any) (ids []string, err error) {
	rows, err := tx.Query(ctx, s.find, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// inList returns a list of ids in parentheses. It repeats the last id up to a power of
// two, so that there are few distinct statements to prepare.
func inList(ids []string) (text string, values []any) {
	var b strings.Builder
	for i := range 1 << bits.Len(uint(len(ids)-1)) {
		sep := ", $"
		if i == 0 {
			sep = "($"
		}
		b.WriteString(sep + strconv.Itoa(i+1))
		values = append(values, ids[min(i, len(ids)-1)])
	}
	return b.String() + ")", values
}

// When old records are deleted. The first sweep comes soon, so that a server that is
// restarted every night sweeps too.
const (
	firstSweep = 2 * time.Minute
	sweepEvery = time.Hour
)

// settleEvery is how often outdated readiness of tenants is judged again.
const settleEvery = 10 * time.Second

// keepRecords sweeps and updates the database's statistics until ctx ends.
func (w *Worker) keepRecords(ctx context.Context) {
	for wait := firstSweep; ; wait = sweepEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := w.sweep(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "could not sweep old records", "error", err)
		}
		if err := w.db.Analyze(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "could not bring the database's statistics up to date", "error", err)
		}
	}
}

// sweep deletes everything that is older than it must be kept.
func (w *Worker) sweep(ctx context.Context) error {
	for _, s := range sweeps {
		err := w.inBatches(ctx, s.batch)
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	if err := w.inBatches(ctx, backup.Sweep); err != nil {
		return err
	}
	if err := w.inBatches(ctx, mirror.Sweep); err != nil {
		return fmt.Errorf("rows that nobody can read: %w", err)
	}
	for _, remove := range []func(context.Context, db.Tx, int64) (int64, error){
		access.SweepLinks, access.SweepTokens, access.SweepSignIns, access.SweepCeremonies, store.SweepConsents, plans.Sweep,
	} {
		if err := w.inBatches(ctx, remove); err != nil {
			return err
		}
	}
	return nil
}

// A batch is as large as fits in batchTime on this machine: SQLite's one writer
// serves nobody else meanwhile.
const (
	batchTime            = 10 * time.Millisecond
	minBatch, firstBatch = 1, 10
	maxBatch             = 1024
)

// inBatches deletes in small transactions until one finds fewer rows than it
// might delete. Between two of them it leaves the database to others for as long
// as it has used it.
func (w *Worker) inBatches(ctx context.Context, remove func(ctx context.Context, tx db.Tx, limit int64) (int64, error)) error {
	for batch := int64(firstBatch); ; {
		var n int64
		var took time.Duration
		err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			began := time.Now() // the wait for the writer is not our doing
			n, err = remove(ctx, tx, batch)
			took = time.Since(began)
			return err
		})
		if err != nil || n < batch {
			return err
		}
		batch = nextBatch(batch, took)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(took):
		}
	}
}

// nextBatch is how many rows to delete at a time after a batch took so long.
func nextBatch(batch int64, took time.Duration) int64 {
	switch {
	case took > batchTime:
		return max(minBatch, batch*int64(batchTime)/int64(took))
	case took < batchTime/2:
		return min(maxBatch, batch*2)
	}
	return batch
}
