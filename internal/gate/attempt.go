package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// record stores the attempt in the transaction of its decision. Identical refusals of
// one actor within a few seconds share one row, with a count.
func (p *press) record(ctx context.Context, d *decision) (op.Result, error) {
	causes, err := json.Marshal(d.result.Causes())
	if err != nil {
		return op.Result{}, fmt.Errorf("record the press: %w", err)
	}
	seen, target := "", ""
	ref := d.result.Run()
	if ref == nil {
		ref = d.result.Holder()
	}
	if ref != nil {
		if seen, err = marshal(ref); err != nil {
			return op.Result{}, err
		}
	}
	if d.target != nil {
		if target, err = marshal(d.target); err != nil {
			return op.Result{}, err
		}
	}
	var (
		run, holder, sameness *string
		bucket                *int64
		connection            string
	)
	if r := d.result.Run(); r != nil {
		run = &r.ID
	}
	if d.holder != nil && d.result.Outcome() != op.Deduped {
		holder = &d.holder.RunID
	}
	if d.target != nil {
		connection = d.target.ConnectionID
	}
	if d.result.Outcome() == op.Blocked || d.result.Outcome() == op.ScopeBusy {
		same := p.sameness(d)
		id, err := p.countAgain(ctx, same)
		if err != nil {
			return op.Result{}, err
		}
		if id != "" {
			return d.result.Recorded(id), nil
		}
		b := p.now.UnixMicro() / p.gate.cfg.Coalesce.Microseconds()
		sameness, bucket = &same, &b
	}
	var id string
	err = p.tx.QueryRow(ctx, `INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface,
			outcome, reason, causes, run_id, holder_id, seen, fingerprint, parameters, target, facts, idem_key, request_id, at, last_at, sameness, bucket)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $21, $22, $23)
		ON CONFLICT (sameness, bucket) DO UPDATE SET presses = start_attempts.presses + 1, last_at = excluded.last_at RETURNING id`,
		p.attempt, p.ta.Workspace.ID, p.ta.Tenant.ID, connection, string(p.def.Kind), p.actor.ID(), p.actor.Name(), string(p.req.Surface),
		string(d.result.Outcome()), string(d.result.Causes()[0].Code), string(causes), run, holder, seen, d.print, string(p.canonical), target,
		d.facts, p.req.Key, p.req.RequestID, p.now.UnixMicro(), sameness, bucket).Scan(&id)
	if err != nil {
		return op.Result{}, fmt.Errorf("record the press: %w", err)
	}
	if d.joined && p.req.Key != "" {
		if err := p.pin(ctx, id, d.result.Run().ID); err != nil {
			return op.Result{}, err
		}
	}
	if d.result.Outcome() == op.Accepted {
		// Last, because the head of the audit trail is the only lock that starts on
		// different connections share.
		r := d.result.Run()
		err := p.audit(ctx, "run.accepted", r.ID, map[string]any{"operation": p.def.Kind, "connection": connection, "attempt": id})
		if err != nil {
			return op.Result{}, err
		}
	}
	return d.result.Recorded(id), nil
}

// sameness hashes what makes two refusals identical, so that one row can stand for both
// and still say what each was answered.
func (p *press) sameness(d *decision) string {
	codes := make([]string, 0, len(d.result.Causes()))
	for _, c := range d.result.Causes() {
		codes = append(codes, string(c.Code), c.Args["shown_connection"], c.Args["edited"])
	}
	version := "" // an edit may have changed the name
	if d.target != nil {
		version = strconv.FormatInt(d.target.Version, 10)
	}
	holder := ""
	if d.holder != nil {
		holder = d.holder.RunID
	}
	h := sha256.Sum256([]byte(strings.Join([]string{
		p.actor.ID(), string(p.req.Surface), d.print, version, string(d.result.Outcome()), strings.Join(codes, "\x01"), holder,
	}, "\x00")))
	return hex.EncodeToString(h[:])
}

// countAgain adds the attempt to an identical recent one and returns its id; empty when
// there is none. The window slides. Simultaneous first attempts share a bucket, and the
// unique index merges them.
func (p *press) countAgain(ctx context.Context, same string) (id string, err error) {
	err = p.tx.QueryRow(ctx, `UPDATE start_attempts SET presses = presses + 1, last_at = $2
		WHERE sameness = $1 AND at > $3 RETURNING id`,
		same, p.now.UnixMicro(), p.now.Add(-p.gate.cfg.Coalesce).UnixMicro()).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("count the press: %w", err)
	}
	return id, nil
}

func marshal(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("record the press: %w", err)
	}
	return string(b), nil
}

// errKeyTaken means that another request with the same key was decided meanwhile. The
// transaction is rolled back and the start is decided again.
var errKeyTaken = errors.New("the same key was used at the same instant")

// asked is what two requests with the same key must have in common.
func (p *press) asked() map[string]string {
	return map[string]string{
		"operation":  string(p.def.Kind),
		"tenant":     p.ta.Tenant.ID,
		"connection": strings.ToLower(p.req.Connection),
		"parameters": string(p.canonical),
	}
}

// pin stores the answer under its key. Only answers that made or joined a run are pinned:
// after a fix, the same key must work again.
func (p *press) pin(ctx context.Context, attempt, run string) error {
	asked, err := marshal(p.asked())
	if err != nil {
		return err
	}
	n, err := p.tx.Exec(ctx, `INSERT INTO idempotency_keys (workspace_id, actor_id, key, request, attempt_id, run_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, interlock_now()) ON CONFLICT (workspace_id, actor_id, key) DO NOTHING`,
		p.ta.Workspace.ID, p.actor.ID(), p.req.Key, asked, attempt, run)
	if err != nil {
		return fmt.Errorf("pin the key: %w", err)
	}
	if n == 0 {
		return errKeyTaken
	}
	return nil
}

// replay returns the stored answer to the request's key, with the run's current state;
// nil when the key is new.
func (p *press) replay(ctx context.Context) (*decision, error) {
	var request, attempt string
	err := p.tx.QueryRow(ctx, `SELECT request, attempt_id FROM idempotency_keys WHERE workspace_id = $1 AND actor_id = $2 AND key = $3`,
		p.ta.Workspace.ID, p.actor.ID(), p.req.Key).Scan(&request, &attempt)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look up the key: %w", err)
	}
	var before map[string]string
	if err := json.Unmarshal([]byte(request), &before); err != nil {
		return nil, fmt.Errorf("look up the key: %w", err)
	}
	var differ []string
	for field, value := range p.asked() {
		if before[field] != value {
			differ = append(differ, field)
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return nil, &KeyReusedError{Fields: differ}
	}
	first, err := p.gate.store.AttemptIn(ctx, p.tx, p.ta.Scope, attempt)
	if err != nil {
		return nil, fmt.Errorf("first answer to the key: %w", err)
	}
	run, err := p.gate.store.RunIn(ctx, p.tx, p.ta.Scope, first.RunID)
	if err != nil {
		return nil, fmt.Errorf("run of the key: %w", err)
	}
	return &decision{replayed: true, result: first.Result(p.actor, p.ta.Grants).Replay(store.RefOf(run))}, nil
}
