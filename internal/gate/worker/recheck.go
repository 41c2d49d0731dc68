package worker

import (
	"context"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/stored"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// recheck checks again, in the transaction that begins the run, what the gate checked at
// the start: the starter's access, the pinned connection, its readiness, and the time
// in the queue. It returns the first reason not to begin, with the gate's code where the
// gate has one.
func (w *Worker) recheck(ctx context.Context, tx db.Tx, c *ledger.Claim, def *catalogue.Definition) (store.Pinned, *op.Cause, error) {
	no := func(code op.Reason, args op.Args) (store.Pinned, *op.Cause, error) {
		if args == nil {
			args = op.Args{}
		}
		args["connection"] = c.Target.Short
		return store.Pinned{}, &op.Cause{Code: code, Phase: op.Execution, Args: args}, nil
	}
	if c.Now.After(c.QueueUntil) {
		code, args := expired(c)
		return no(code, args)
	}
	may, err := access.StillMay(ctx, tx, c.Workspace, c.Initiator.ID, c.Tenant, def.Capability)
	if err != nil {
		return store.Pinned{}, nil, err
	}
	if !may {
		return no(op.AuthorizationLost, op.Args{"starter": c.Initiator.Name})
	}
	// The default connection is not resolved again: the run keeps the one it was accepted for.
	p, err := w.store.Pinned(ctx, tx, access.ForRun(c.Workspace, c.Tenant), c.Connection)
	switch {
	case errors.Is(err, op.ErrNotFound):
		return no(op.ConnectionRemoved, nil)
	case err != nil:
		return store.Pinned{}, nil, err
	case p.Removed:
		return no(op.ConnectionRemoved, op.Args{"actor": p.RemovedBy})
	case p.Connection.DirectoryID != c.Target.Directory:
		return no(op.ConnectionChanged, op.Args{"changed_at": c.Now.Format(time.RFC3339)})
	}
	causes, err := def.Judge(ctx, catalogue.Question{
		Tenant: p.Tenant, Target: catalogue.Target{Connection: &p.Connection, Count: 1}, Parameters: c.Parameters, Phase: op.Execution, Now: c.Now,
		Starter: c.Initiator.ID, Begun: c.BeganAt != nil,
	}, stored.Facts{Tx: tx, Connection: c.Connection})
	if err != nil {
		return store.Pinned{}, nil, err
	}
	if len(causes) > 0 {
		return store.Pinned{}, &causes[0], nil
	}
	return p, nil, nil
}

// expired returns the reason of a run that waited too long in the queue.
func expired(c *ledger.Claim) (op.Reason, op.Args) {
	args := op.Args{"waited": c.Now.Sub(c.AcceptedAt).String(), "connection": c.Target.Short, "limit": c.QueueUntil.Sub(c.AcceptedAt).String()}
	if def, err := catalogue.Lookup(c.Operation); err == nil { // unknown when a newer node accepted it
		args["limit"] = def.QueueLimit.String()
	}
	return op.ExpiredInQueue, args
}
