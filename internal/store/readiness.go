package store

import (
	"context"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Readiness returns whether work on a tenant can start, and what blocks it. c is the
// tenant's default connection, or nil when none of its count connections is the default.
func (s *Store) Readiness(t tenancy.Tenant, c *tenancy.Connection, count int, at time.Time) (tenancy.Readiness, []op.Cause) {
	switch t.Status {
	case tenancy.TenantArchived:
		return tenancy.Archived, nil
	case tenancy.TenantOnboarding:
		return tenancy.BeingOnboarded, nil
	case tenancy.TenantActive:
	}
	if s.opts.Judge == nil { // fail closed
		return tenancy.NotReady, []op.Cause{{Code: op.PrecheckUnavailable, Phase: op.Admission}}
	}
	if causes := s.opts.Judge(t, c, count, at); len(causes) > 0 {
		return tenancy.NotReady, causes
	}
	if c != nil && c.CredentialExpiresAt != nil && c.CredentialExpiresAt.Sub(at) < tenancy.ExpiresSoon {
		return tenancy.NeedsCare, nil
	}
	return tenancy.ReadyToStart, nil
}

// holdsUntil returns the first time after at from which Readiness may answer
// differently although nothing was changed; nil: there is none.
func (s *Store) holdsUntil(c *tenancy.Connection, at time.Time) *time.Time {
	if c == nil {
		return nil
	}
	var turns []time.Time
	if s.opts.Turns != nil {
		turns = s.opts.Turns(*c)
	}
	if c.CredentialExpiresAt != nil {
		turns = append(turns, c.CredentialExpiresAt.Add(-tenancy.ExpiresSoon+time.Microsecond))
	}
	turns = slices.DeleteFunc(turns, func(t time.Time) bool { return !t.After(at) })
	if len(turns) == 0 {
		return nil
	}
	first := slices.MinFunc(turns, time.Time.Compare)
	return &first
}

// Only [Options.Judge] judges readiness. The last result is stored with the tenant, so
// that tenants can be found by it without judging all of them. It is out of date when
// the revision of one of the tenant's connections has risen (every change of
// readiness raises it, because the gate compares it), or when its time is over. A list
// of tenants judges those tenants again, and SettleReadiness keeps them few.

// Conditions on tenants t, or on connections c of tenants, whose stored readiness may
// be out of date. The time is an argument: PostgreSQL does not use an index for the
// result of a volatile function such as interlock_now(), and would read every tenant.
const (
	overdue  = `t.readiness_until <= %s`
	unjudged = `c.rev - c.judged_rev > 0`
)

// settleAtOnce is how many tenants are judged in one transaction.
const settleAtOnce = 25

// SettleReadiness judges the tenants of all workspaces whose stored readiness may be
// out of date, in small transactions, until there are none. It returns how many it
// judged. It is a regular task of the server: no scope bounds it.
func (s *Store) SettleReadiness(ctx context.Context) (judged int, err error) {
	for {
		// A read, so that a round without work does not wait for SQLite's writer.
		ids, err := query.Read(ctx, s.db, "tenants to judge", someUnsettled)
		if err != nil || len(ids) == 0 {
			return judged, err
		}
		_, err = query.Write(ctx, s.db, "settle readiness", func(ctx context.Context, tx db.Tx) (none struct{}, err error) {
			return none, s.settle(ctx, tx, ids)
		})
		if err != nil {
			return judged, err
		}
		judged += len(ids)
	}
}

// someUnsettled returns up to settleAtOnce tenants to judge.
func someUnsettled(ctx context.Context, tx db.Tx) ([]string, error) {
	at, err := now(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, s := range []span{
		{`SELECT t.id FROM workspaces w CROSS JOIN tenants t WHERE t.workspace_id = w.id AND ` + overdue + ` LIMIT %s`, []any{db.Micros(at), settleAtOnce}},
		{`SELECT c.tenant_id FROM workspaces w CROSS JOIN connections c WHERE c.workspace_id = w.id AND ` + unjudged + ` LIMIT %s`, []any{settleAtOnce}},
	} {
		ids, err := query.All(ctx, tx, new(query.Query).Add(s.text, s.args...), query.ScanText)
		if err != nil || len(ids) > 0 {
			slices.Sort(ids)
			return slices.Compact(ids), err
		}
	}
	return nil, nil
}

// settle judges tenants and stores the results. It locks connections, then tenants,
// as all changes do.
func (s *Store) settle(ctx context.Context, tx db.Tx, ids []string) error {
	at, err := now(ctx, tx)
	if err != nil {
		return err
	}
	// First, so that a change in between is judged the next time.
	q := new(query.Query)
	q.Add(`UPDATE connections SET judged_rev = rev WHERE rev <> judged_rev AND tenant_id IN `).In(ids)
	if _, err := tx.Exec(ctx, q.Text(), q.Args()...); err != nil {
		return err
	}
	q = new(query.Query)
	found, err := s.tenantBatch(ctx, tx, q.Add(tenantRows+`t.id IN `).In(ids).Add(` ORDER BY t.id`), at)
	if err != nil {
		return err
	}
	for _, f := range found {
		var until *int64
		if f.Status == tenancy.TenantActive {
			if t := s.holdsUntil(f.Default, at); t != nil {
				micros := db.Micros(*t)
				until = &micros
			}
		}
		_, err := tx.Exec(ctx, `UPDATE tenants SET readiness = $2, readiness_until = $3 WHERE id = $1`, f.ID, string(f.Readiness), until)
		if err != nil {
			return err
		}
	}
	return nil
}
