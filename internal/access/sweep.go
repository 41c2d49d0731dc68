package access

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
)

// Expired rows are deleted in small transactions, the oldest first. Each statement starts
// at the oldest end of an index.

// How long ended secrets are kept, so that people can find out why something stopped
// working.
const keepEnded = 30 * 24 * time.Hour

// keepTries is how long wrong passwords are remembered: longer than any window.
const keepTries = 24 * time.Hour

// SweepTokens deletes up to limit expired, and up to limit revoked tokens and sessions.
func SweepTokens(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	return sweep(ctx, tx, "tokens", limit,
		cut{keepEnded, `DELETE FROM tokens WHERE id IN (SELECT k.id FROM tokens k WHERE k.expires_at < interlock_now() - $2 ORDER BY k.expires_at LIMIT $1)`},
		cut{keepEnded, `DELETE FROM tokens WHERE id IN (SELECT k.id FROM tokens k WHERE k.revoked_at IS NOT NULL AND k.revoked_at < interlock_now() - $2
			ORDER BY k.revoked_at LIMIT $1)`})
}

// SweepSignIns deletes up to limit budgets of wrong passwords, and up to limit usual
// addresses, that no longer count.
func SweepSignIns(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	return sweep(ctx, tx, "sign-ins", limit,
		cut{keepTries, `DELETE FROM sign_in_budget WHERE subject IN (SELECT s.subject FROM sign_in_budget s
			WHERE s.failures > 0 AND s.since < interlock_now() - $2 ORDER BY s.since LIMIT $1)`},
		cut{usualFor, `DELETE FROM sign_in_budget WHERE subject IN (SELECT s.subject FROM sign_in_budget s
			WHERE s.since < interlock_now() - $2 ORDER BY s.since LIMIT $1)`})
}

// SweepCeremonies deletes up to limit sign-ins and questions that were not answered in
// time.
func SweepCeremonies(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	return sweep(ctx, tx, "ceremonies", limit,
		cut{0, `DELETE FROM ceremonies WHERE id IN (SELECT c.id FROM ceremonies c WHERE c.expires_at <= interlock_now() - $2 ORDER BY c.expires_at LIMIT $1)`})
}

// cut deletes up to $1 rows that ended at least $2 ago.
type cut struct {
	keep time.Duration
	sql  string
}

func sweep(ctx context.Context, tx db.Tx, what string, limit int64, cuts ...cut) (swept int64, err error) {
	for _, c := range cuts {
		n, err := tx.Exec(ctx, c.sql, limit, c.keep.Microseconds())
		if err != nil {
			return 0, fmt.Errorf("sweep %s: %w", what, err)
		}
		swept += n
	}
	return swept, nil
}
