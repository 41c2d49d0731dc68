package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Cancel stops a run and returns its id. A queued run ends at once. A running run stops
// within two seconds, or when the item that it is changing is finished. Cancelling it
// again changes nothing. For a finished run the error is [op.ErrConflict], an
// [*op.EarlierError] if a person stopped it.
func (g *Gate) Cancel(ctx context.Context, actor access.Actor, runRef string) (string, error) {
	return g.control(ctx, actor, runRef, tenancy.CancelRuns, "run.cancelled", nil, func(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
		switch c.State {
		case op.Queued:
			return ending.Run(ctx, tx, c, ledger.End{Outcome: op.RunCancelled, By: actor.Name()})
		case op.Running:
			return ledger.Cancelling(ctx, tx, c, actor.Name(), "")
		case op.Cancelling, op.Finished:
		}
		return nil
	})
}

// Limits of the note of a forced release, in characters.
const (
	minNote = 3
	maxNote = 300
)

// Release takes a run away from its worker, which can change nothing from then on. The
// connection stays claimed until the lease, within which a call may be in flight, and
// the quarantine have passed. Then the run ends as lost, released by the actor. A queued
// run is cancelled instead. note says why and is shown. A second release is an
// [*op.EarlierError].
func (g *Gate) Release(ctx context.Context, actor access.Actor, runRef, note string) (string, error) {
	note = strings.TrimSpace(note)
	if n := utf8.RuneCountInString(note); n < minNote || n > maxNote {
		return "", &op.FieldError{Field: "note", Detail: fmt.Sprintf("must have %d to %d characters, not %d", minNote, maxNote, n)}
	}
	if !utf8.ValidString(note) || strings.ContainsFunc(note, unicode.IsControl) {
		return "", &op.FieldError{Field: "note", Detail: "must be one line of text"}
	}
	by := op.Person{ID: actor.ID(), Name: actor.Name()}
	return g.control(ctx, actor, runRef, tenancy.ReleaseConnections, "run.released", map[string]string{"note": note},
		func(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
			if c.State == op.Queued {
				return ending.Run(ctx, tx, c, ledger.End{Outcome: op.RunCancelled, By: by.Name, Note: note})
			}
			if c.Released() && c.CancelAt != nil {
				return &op.EarlierError{Released: true, By: c.CancelBy, At: *c.CancelAt}
			}
			return ledger.Evict(ctx, tx, c, by, note)
		})
}

// control authorizes the actor, then applies do to an unfinished run.
func (g *Gate) control(ctx context.Context, actor access.Actor, runRef string, need tenancy.Capability, action string, data any,
	do func(context.Context, db.Tx, *ledger.Claim) error,
) (string, error) {
	var id string
	var changed op.Change
	err := ledger.Write(ctx, g.db, func(ctx context.Context, tx db.Tx) error {
		scope, err := access.AuthorizeWorkspace(ctx, tx, actor, tenancy.View)
		if err != nil {
			return err
		}
		var tenant string
		if id, tenant, err = g.store.FindRun(ctx, tx, scope, runRef); err != nil {
			return fmt.Errorf("find the run: %w", err)
		}
		if _, err := access.Authorize(ctx, tx, actor, tenant, need); err != nil {
			return err
		}
		c, err := ledger.OfRun(ctx, tx, id)
		if err != nil {
			return err
		}
		if c == nil || c.State == "" {
			return ended(ctx, tx, id)
		}
		before := c.State
		changed = c.Change()
		if err := do(ctx, tx, c); errors.Is(err, ledger.ErrFenced) {
			return ledger.ErrMoved // it has another worker now, or none: judge again
		} else if err != nil {
			return err
		}
		if action == "run.cancelled" && before == op.Cancelling {
			return nil // nothing changed: no audit record
		}
		return access.Audit(ctx, tx, c.Workspace, access.Entry{
			Actor: op.Person{ID: actor.ID(), Name: actor.Name()}, Action: action, Object: id, Data: data,
		})
	})
	if errors.Is(err, ledger.ErrMoved) {
		return "", op.ConflictBecause(err, "the run changed at the same moment")
	} else if err != nil {
		return "", err
	}
	g.cfg.Changed(changed)
	return id, nil
}

// ended returns the error for a run that has already ended: who stopped it and when, if a
// person did.
func ended(ctx context.Context, tx db.Tx, run string) error {
	var by, outcome string
	var at *int64
	err := tx.QueryRow(ctx, `SELECT cancel_by, cancel_at, outcome FROM runs WHERE id = $1`, run).Scan(&by, &at, &outcome)
	if err != nil {
		return fmt.Errorf("find the run: %w", err)
	}
	if o := op.RunOutcome(outcome); by != "" && at != nil && (o == op.RunCancelled || o == op.RunLost) {
		return &op.EarlierError{Released: o == op.RunLost, By: by, At: db.Time(*at)}
	}
	return op.Conflict("the run has ended")
}

// StopConnection stops the running run of a connection at once, in the transaction that
// disables or deletes the connection and holds its row. A queued run is left to the recheck, which
// blocks it with the reason of the change.
func (g *Gate) StopConnection(ctx context.Context, tx db.Tx, connection string, by op.Person, why op.Reason) error {
	c, err := ledger.OfConnection(ctx, tx, connection)
	if err != nil || c == nil || c.State == op.Queued || c.Released() {
		return err
	}
	err = ledger.Cancelling(ctx, tx, c, by.Name, why)
	if errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrMoved) {
		return nil // it ended or was cancelled meanwhile; it can't begin or be requeued, because that locks the row that the caller holds
	}
	return err
}
