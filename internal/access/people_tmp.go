package access

import (
	"context"

	"github.com/interlock-dev/interlock/internal/db"
)

// auditPerson puts what was done to a person on record in each of their
// workspaces.
func auditPerson(ctx context.Context, tx db.Tx, userID string, e Entry) error {
	rows, err := tx.Query(ctx, `SELECT workspace_id FROM members WHERE user_id = $1 ORDER BY workspace_id`, userID)
	if err != nil {
		return err
	}
	defer rows.Close()
	var workspaces []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		workspaces = append(workspaces, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	e.Object = userID
	for _, id := range workspaces {
		if err := Audit(ctx, tx, id, e); err != nil {
			return err
		}
	}
	return nil
}
