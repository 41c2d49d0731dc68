package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// Progress replaces the counts of a run. The caller holds [Guard].
func Progress(ctx context.Context, tx db.Tx, run string, c op.Counts) error {
	_, err := tx.Exec(ctx, `UPDATE runs SET done = $2, failed = $3, total = $4, progress_at = interlock_now() WHERE id = $1`,
		run, c.Done, c.Failed, c.Total)
	return err
}

// Item writes or replaces one item of a run by its key. fence is that of the dispatch
// that reports it. The caller holds [Guard].
func Item(ctx context.Context, tx db.Tx, run string, fence int64, it op.Item) error {
	args, err := json.Marshal(it.Args)
	if err != nil {
		return fmt.Errorf("item %s: %w", it.Key, err)
	}
	evidence := ""
	if it.Evidence != nil {
		b, err := json.Marshal(it.Evidence)
		if err != nil {
			return fmt.Errorf("evidence of item %s: %w", it.Key, err)
		}
		evidence = string(b)
	}
	_, err = tx.Exec(ctx, `INSERT INTO run_items (run_id, key, seq, name, result, done, failed, total, reason, args, evidence, fence, at)
		SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, interlock_now() FROM run_items WHERE run_id = $1
		ON CONFLICT (run_id, key) DO UPDATE SET name = excluded.name, result = excluded.result, done = excluded.done,
			failed = excluded.failed, total = excluded.total, reason = excluded.reason, args = excluded.args,
			evidence = excluded.evidence, fence = excluded.fence, at = excluded.at`,
		run, it.Key, it.Name, string(it.Result), it.Counts.Done, it.Counts.Failed, it.Counts.Total, string(it.Reason), string(args), evidence, fence)
	if err != nil {
		return fmt.Errorf("item %s: %w", it.Key, err)
	}
	return nil
}

// Keys returns the keys of the stored items of a run.
func Keys(ctx context.Context, tx db.Tx, run string) (map[string]bool, error) {
	rows, err := tx.Query(ctx, `SELECT key FROM run_items WHERE run_id = $1`, run)
	if err != nil {
		return nil, fmt.Errorf("items of run %s: %w", run, err)
	}
	defer rows.Close()
	keys := make(map[string]bool)
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("items of run %s: %w", run, err)
		}
		keys[key] = true
	}
	return keys, rows.Err()
}

// Forget removes the items that earlier dispatches of a run reported. The caller holds
// [Guard].
func Forget(ctx context.Context, tx db.Tx, run string, fence int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM run_items WHERE run_id = $1 AND fence < $2`, run, fence); err != nil {
		return fmt.Errorf("items of run %s: %w", run, err)
	}
	return nil
}

// Results sum up the stored items of a run, as far as they decide its outcome.
type Results struct {
	Good, Bad int
	InDoubt   int     // bad ones that are changes with an unknown result
	First     op.Item // the bad one with the smallest key
}

// ResultsOf sums up the stored items of a run, of all its dispatches.
func ResultsOf(ctx context.Context, tx db.Tx, run string) (r Results, err error) {
	rows, err := tx.Query(ctx, `SELECT key, result, failed, reason FROM run_items WHERE run_id = $1`, run)
	if err != nil {
		return r, fmt.Errorf("items of run %s: %w", run, err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, result, reason string
		var failed int64
		if err := rows.Scan(&key, &result, &failed, &reason); err != nil {
			return r, fmt.Errorf("items of run %s: %w", run, err)
		}
		bad := false
		switch op.ItemResult(result) {
		case op.ItemDone, op.ItemUnchanged, op.ItemCreated, op.ItemUpdated:
			r.Good++
			bad = failed > 0 // a part of it is missing
		case op.ItemFailed, op.ItemUnknown, op.ItemPending, op.ItemConflict, op.ItemUnresolvable:
			bad = true
		case op.ItemSkipped, op.ItemNotSupported, op.ItemNotApplicable:
		}
		if !bad {
			continue
		}
		if op.Reason(reason) == op.WriteInDoubt {
			r.InDoubt++
		}
		if r.Bad++; r.Bad == 1 || key < r.First.Key {
			r.First.Key = key
		}
	}
	if err := rows.Err(); err != nil || r.Bad == 0 {
		return r, err
	}
	var reason, args, evidence string
	err = tx.QueryRow(ctx, `SELECT reason, args, evidence FROM run_items WHERE run_id = $1 AND key = $2`, run, r.First.Key).Scan(&reason, &args, &evidence)
	if err != nil {
		return r, fmt.Errorf("item %s of run %s: %w", r.First.Key, run, err)
	}
	r.First.Reason = op.Reason(reason)
	if err := json.Unmarshal([]byte(args), &r.First.Args); err != nil {
		return r, fmt.Errorf("item %s of run %s: %w", r.First.Key, run, err)
	}
	if evidence != "" {
		if err := json.Unmarshal([]byte(evidence), &r.First.Evidence); err != nil {
			return r, fmt.Errorf("item %s of run %s: %w", r.First.Key, run, err)
		}
	}
	return r, nil
}

// maxEventLength limits the text of an event, in bytes.
const maxEventLength = 300

// Event adds an event to a run's timeline and cuts a text that is too long. The claim's
// lock keeps events in order. Without it, as for late reports, an event that collides
// with another one is dropped.
func Event(ctx context.Context, tx db.Tx, run string, fence int64, kind op.EventKind, text string) error {
	if len(text) > maxEventLength {
		text = strings.ToValidUTF8(text[:maxEventLength], "")
	}
	_, err := tx.Exec(ctx, `INSERT INTO run_events (run_id, seq, at, kind, text, fence)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, interlock_now(), $2, $3, $4 FROM run_events WHERE run_id = $1
		ON CONFLICT (run_id, seq) DO NOTHING`, run, string(kind), text, fence)
	if err != nil {
		return fmt.Errorf("timeline of run %s: %w", run, err)
	}
	return nil
}
