// Package notify writes the one notification that a run may cause: to the person who
// started it, when it ends. Starts that are queued, deduped, busy or blocked cause
// none, and workers write none of their own.
package notify

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/db"
)

// Initiator writes the notification for the person who started a run, in the
// transaction that ends it. Its words are made from the run when it is read. A second
// call for the same run changes nothing.
func Initiator(ctx context.Context, tx db.Tx, workspace, tenant, user, run string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("notification id: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at)
		VALUES ($1, $2, $3, $4, $5, interlock_now()) ON CONFLICT (run_id) DO NOTHING`, id.String(), workspace, tenant, user, run)
	if err != nil {
		return fmt.Errorf("notify the starter of run %s: %w", run, err)
	}
	return nil
}
