package backup

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
)

// Sweep deletes at most limit parts, items and sets of those that were removed, or whose
// run ended before they were complete, and the contents that no other item uses. It
// returns how many it deleted.
func Sweep(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	n, err := sweep(ctx, tx, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep backups: %w", err)
	}
	return n, nil
}

// uploadWithin is how long an upload may be building. One that is older was cut off.
const uploadWithin = time.Hour

func sweep(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	var now int64
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return 0, err
	}
	// Ids begin with the time of their creation, in milliseconds.
	cut := fmt.Sprintf("%012x", db.Time(now).Add(-uploadWithin).UnixMilli())
	// "state <> 'kept'" is the condition of the index, which SQLite looks for word by word.
	if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE state = 'building' AND state <> 'kept' AND run_id = '' AND id < $1`, cut[:8]+"-"+cut[8:]); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE id IN (SELECT s.id FROM backup_sets s LEFT JOIN runs r ON r.id = s.run_id
		WHERE s.state = 'building' AND s.state <> 'kept' AND s.run_id <> '' AND (r.id IS NULL OR r.state = 'finished') ORDER BY s.id LIMIT 10)`); err != nil {
		return 0, err
	}
	q := query.Of(`SELECT id FROM backup_sets WHERE state = 'removed' AND state <> 'kept' ORDER BY id LIMIT 10`)
	sets, err := query.All(ctx, tx, q, func(row db.Row) (id string, err error) { return id, row.Scan(&id) })
	if err != nil {
		return 0, err
	}
	var done int64
	for _, set := range sets {
		n, err := sweepItems(ctx, tx, set, limit-done)
		if done += n; err != nil || done >= limit {
			return done, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM backup_sets WHERE id = $1`, set); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

type partKey struct{ typ, id, part, workspace, hash string }

func sweepItems(ctx context.Context, tx db.Tx, set string, limit int64) (int64, error) {
	q := query.Of(`SELECT type, object_id, part, workspace_id, hash FROM backup_parts WHERE set_id = $1 ORDER BY type, object_id, part LIMIT $2`, set, limit)
	parts, err := query.All(ctx, tx, q, func(row db.Row) (p partKey, err error) {
		return p, row.Scan(&p.typ, &p.id, &p.part, &p.workspace, &p.hash)
	})
	if err != nil {
		return 0, err
	}
	for _, p := range parts {
		if _, err := tx.Exec(ctx, `DELETE FROM backup_parts WHERE set_id = $1 AND type = $2 AND object_id = $3 AND part = $4`, set, p.typ, p.id, p.part); err != nil {
			return 0, err
		}
		// Two statements: the first waits for a backup that is using the content again, and
		// the second sees it then. One DELETE with the condition would not, on PostgreSQL.
		if _, err := tx.Exec(ctx, `UPDATE backup_blobs SET used_at = used_at WHERE workspace_id = $1 AND hash = $2`, p.workspace, p.hash); err != nil {
			return 0, err
		}
		// The first hash from this one on: with NOT EXISTS, PostgreSQL reads all parts for a
		// content without users when it expects that most parts have it.
		if _, err := tx.Exec(ctx, `DELETE FROM backup_blobs WHERE workspace_id = $1 AND hash = $2 AND $2 <>
			COALESCE((SELECT p.hash FROM backup_parts p WHERE p.workspace_id = $1 AND p.hash >= $2 ORDER BY p.hash LIMIT 1), '')`, p.workspace, p.hash); err != nil {
			return 0, err
		}
	}
	if int64(len(parts)) == limit {
		return limit, nil
	}
	n, err := tx.Exec(ctx, `DELETE FROM backup_items WHERE set_id = $1 AND (type, object_id) IN
		(SELECT type, object_id FROM backup_items WHERE set_id = $1 ORDER BY type, object_id LIMIT $2)`, set, limit-int64(len(parts)))
	return int64(len(parts)) + n, err
}
