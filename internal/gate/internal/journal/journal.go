// Package journal holds the SQL of the changes that runs make at a provider: an intent
// before each call, and a result together with its item. Every write compares the run's
// fence first, so that a worker that lost its run records nothing.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// Limits of what is stored with a step, in bytes.
const (
	maxText   = 500
	maxMarker = 4 << 10
)

// maxDoubtful is how often a change may be sent whose repeat is doubtful: once, and once
// more after it was looked for and not found.
const maxDoubtful = 2

// Intend records that the run is about to make a step. It returns [ledger.ErrFenced]
// when the run has another fence, and an error when the step is settled, was a different
// change before, or may not be sent again.
func Intend(ctx context.Context, tx db.Tx, run string, fence int64, s catalogue.Step) error {
	if err := check(s); err != nil {
		return err
	}
	if err := ledger.Guard(ctx, tx, run, fence); err != nil {
		return err
	}
	most := int64(maxDoubtful)
	if s.Change.Repeat == provider.RepeatSafe {
		most = 1 << 30
	}
	sum := sha256.Sum256(s.Change.Body)
	call, body := s.Change.Method+" "+s.Change.Path, hex.EncodeToString(sum[:])
	n, err := tx.Exec(ctx, `INSERT INTO run_journal (run_id, step, seq, item, name, call, body_hash, look, marker, fence, tries, state, intended_at)
		SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6, $7, $8, $9, 1, 'open', interlock_now() FROM run_journal WHERE run_id = $1
		ON CONFLICT (run_id, step) DO UPDATE SET state = 'open', fence = excluded.fence, tries = run_journal.tries + 1,
			intended_at = excluded.intended_at, settled_at = NULL
		WHERE run_journal.state IN ('open', 'not_made') AND run_journal.tries < $10
			AND run_journal.call = excluded.call AND run_journal.body_hash = excluded.body_hash`,
		run, s.Key, s.Item, s.Name, call, body, s.Look, string(s.Marker), fence, most)
	if err != nil {
		return fmt.Errorf("intend step %s: %w", s.Key, err)
	}
	if n == 0 {
		return refused(ctx, tx, run, s.Key, call, body)
	}
	return nil
}

// check returns an error for a step that can't be stored.
func check(s catalogue.Step) error {
	for name, text := range map[string]string{"key": s.Key, "item": s.Item, "look": s.Look} {
		if text == "" {
			return fmt.Errorf("journal: step %q: %s is empty", s.Key, name)
		}
	}
	for name, text := range map[string]string{"key": s.Key, "item": s.Item, "name": s.Name, "look": s.Look} {
		if len(text) > maxText {
			return fmt.Errorf("journal: step %.40q: %s has %d bytes, %d is the limit", s.Key, name, len(text), maxText)
		}
	}
	if len(s.Marker) > maxMarker {
		return fmt.Errorf("journal: step %q: marker has %d bytes, %d is the limit", s.Key, len(s.Marker), maxMarker)
	}
	return nil
}

// refused returns why a step may not be intended.
func refused(ctx context.Context, tx db.Tx, run, key, call, body string) error {
	var state, wasCall, wasBody string
	var tries int64
	err := tx.QueryRow(ctx, `SELECT state, tries, call, body_hash FROM run_journal WHERE run_id = $1 AND step = $2`, run, key).
		Scan(&state, &tries, &wasCall, &wasBody)
	switch {
	case err != nil:
		return fmt.Errorf("intend step %s: %w", key, err)
	case wasCall != call || wasBody != body:
		return fmt.Errorf("journal: step %s was another change before: %s", key, wasCall)
	case state == string(catalogue.StepOpen):
		return fmt.Errorf("journal: step %s may have been sent %d times; it is not sent again", key, tries)
	}
	return fmt.Errorf("journal: step %s is settled as %s", key, state)
}

// NotMade records that an intended step was refused or not sent. It does not count as a
// try. The step stays open if it may have been made by an earlier one.
func NotMade(ctx context.Context, tx db.Tx, run string, fence int64, key string) error {
	if err := ledger.Guard(ctx, tx, run, fence); err != nil {
		return err
	}
	return one(tx.Exec(ctx, `UPDATE run_journal SET state = CASE WHEN tries > 1 THEN 'open' ELSE 'not_made' END,
			settled_at = CASE WHEN tries > 1 THEN NULL ELSE interlock_now() END, tries = tries - 1
		WHERE run_id = $1 AND step = $2 AND state = 'open'`, run, key))(key)
}

// Settle records the result of a step together with its item.
func Settle(ctx context.Context, tx db.Tx, run string, fence int64, key string, s catalogue.Settled) error {
	switch s.State {
	case catalogue.StepDone, catalogue.StepFailed, catalogue.StepUnknown:
	case catalogue.StepOpen, catalogue.StepNotMade:
		return fmt.Errorf("journal: step %s can't be settled as %s", key, s.State)
	default:
		return fmt.Errorf("journal: step %s can't be settled as %q", key, s.State)
	}
	if len(s.Kept) > maxMarker {
		return fmt.Errorf("journal: step %q: %d bytes to keep, %d is the limit", key, len(s.Kept), maxMarker)
	}
	if err := ledger.Guard(ctx, tx, run, fence); err != nil {
		return err
	}
	err := one(tx.Exec(ctx, `UPDATE run_journal SET state = $3, kept = $4, settled_at = interlock_now()
		WHERE run_id = $1 AND step = $2 AND item = $5 AND (state = 'open' OR state = 'not_made' AND $3 <> 'done')`,
		run, key, string(s.State), string(s.Kept), s.Item.Key))(key)
	if err != nil {
		return err
	}
	return ledger.Item(ctx, tx, run, fence, s.Item)
}

// one returns a function that makes an error about a step when a statement failed or
// changed no row.
func one(rows int64, err error) func(key string) error {
	return func(key string) error {
		switch {
		case err != nil:
			return fmt.Errorf("settle step %s: %w", key, err)
		case rows == 0:
			return fmt.Errorf("journal: step %s of that item is not open", key)
		}
		return nil
	}
}

// Steps returns the steps of a run in the order of their first intents.
func Steps(ctx context.Context, tx db.Tx, run string) ([]catalogue.Recorded, error) {
	rows, err := tx.Query(ctx, `SELECT step, item, name, call, state, tries, marker, kept, intended_at FROM run_journal WHERE run_id = $1 ORDER BY seq`, run)
	if err != nil {
		return nil, fmt.Errorf("journal of run %s: %w", run, err)
	}
	defer rows.Close()
	var all []catalogue.Recorded
	for rows.Next() {
		var r catalogue.Recorded
		var state, marker, kept string
		var tries, intended int64
		if err := rows.Scan(&r.Key, &r.Item, &r.Name, &r.Call, &state, &tries, &marker, &kept, &intended); err != nil {
			return nil, fmt.Errorf("journal of run %s: %w", run, err)
		}
		r.State, r.Tries, r.IntendedAt = catalogue.StepState(state), int(tries), db.Time(intended)
		r.Marker, r.Kept = raw(marker), raw(kept)
		all = append(all, r)
	}
	return all, rows.Err()
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// Any reports whether the run has made, or may have made, a change.
func Any(ctx context.Context, tx db.Tx, run string) (bool, error) {
	var n int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM run_journal WHERE run_id = $1 AND state <> 'not_made'`, run).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("journal of run %s: %w", run, err)
	}
	return n > 0, nil
}

// Close turns the open steps of a run that ends into items whose result is not known.
// The caller holds the claim's lock.
func Close(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	type step struct{ key, item, name, call, look string }
	var open []step
	rows, err := tx.Query(ctx, `SELECT step, item, name, call, look FROM run_journal WHERE run_id = $1 AND state = 'open' ORDER BY seq`, c.RunID)
	if err != nil {
		return fmt.Errorf("close the journal of run %s: %w", c.RunID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var s step
		if err := rows.Scan(&s.key, &s.item, &s.name, &s.call, &s.look); err != nil {
			return fmt.Errorf("close the journal of run %s: %w", c.RunID, err)
		}
		open = append(open, s)
	}
	if err := rows.Err(); err != nil || len(open) == 0 {
		return err
	}
	for _, s := range open {
		it := op.Item{Key: s.item, Name: s.name, Result: op.ItemUnknown, Reason: op.WriteInDoubt, Args: op.Args{
			"provider": c.Target.Provider, "call": s.call, "look": s.look,
		}}
		if err := ledger.Item(ctx, tx, c.RunID, c.Fence, it); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE run_journal SET state = 'unknown', settled_at = interlock_now() WHERE run_id = $1 AND state = 'open'`, c.RunID); err != nil {
		return fmt.Errorf("close the journal of run %s: %w", c.RunID, err)
	}
	return nil
}
