package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// history is how many runs, attempts and groups the plans are made for. What the filters
// ask for is the oldest 1 % of it, so that walking down the list would read it all.
const (
	history        = 20_000
	tenants        = 99 // share the rest
	rareConnection = "c0000000-0000-0000-0000-000000000002"
)

func TestNoListReadsTheHistory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		all, one, few := oldHistory(t, d)
		s := New(d, nil, Options{})
		type list struct {
			name, index string // the index that it is about on SQLite
			build       func(ctx context.Context, tx db.Tx) (*query, error)
		}
		runs := func(name, index string, scope access.Scope, f RunFilter) list {
			return list{"runs: " + name, index, func(ctx context.Context, tx db.Tx) (*query, error) {
				return s.runsQuery(ctx, tx, scope, f, defaultLimit)
			}}
		}
		attempts := func(name, index string, scope access.Scope, f AttemptFilter) list {
			return list{"attempts: " + name, index, func(ctx context.Context, tx db.Tx) (*query, error) {
				return attemptsQuery(ctx, tx, scope, f, defaultLimit)
			}}
		}
		// The groups of one connection, the rare ones at the end of the alphabet.
		groups := func(name, index string, build func(c *tenancy.Connection) *query) list {
			return list{"groups: " + name, index, func(context.Context, db.Tx) (*query, error) {
				return build(&tenancy.Connection{ID: rareConnection}), nil
			}}
		}
		for _, tt := range []list{
			groups("first page", "records_name", func(c *tenancy.Connection) *query {
				return recordsQuery(c, "groups", 1).page("", nil, defaultLimit)
			}),
			groups("of a type that is rare", "records_group_type", func(c *tenancy.Connection) *query {
				return groupsQuery(c, 1, tenancy.DistributionGroup).page("", nil, defaultLimit)
			}),
			groups("of a type that is rare, by name", "records_group_type", func(c *tenancy.Connection) *query {
				return groupsQuery(c, 1, tenancy.DistributionGroup).page("00", nil, defaultLimit)
			}),
			groups("deep page of a type", "records_group_type", func(c *tenancy.Connection) *query {
				return groupsQuery(c, 1, tenancy.SecurityGroup).page("", []string{"g115000", "g115000"}, defaultLimit)
			}),
			groups("of a type that none has", "records_group_type", func(c *tenancy.Connection) *query {
				return groupsQuery(c, 1, tenancy.MailSecurityGroup).page("", nil, defaultLimit)
			}),
			runs("first page", "runs_list", all, RunFilter{}),
			runs("deep page", "runs_list", all, RunFilter{Cursor: cursor("runs", "r110000")}),
			runs("of one tenant", "runs_tenant", one, RunFilter{}),
			runs("of a member of few tenants", "runs_tenant", few, RunFilter{}),
			runs("tenant", "runs_tenant", all, RunFilter{Tenant: "rare"}),
			runs("connection", "runs_connection", all, RunFilter{Connection: rareConnection}),
			runs("operation", "runs_operation", all, RunFilter{Operation: "rare.op"}),
			runs("state", "runs_state", all, RunFilter{State: op.Cancelling}),
			runs("outcome", "runs_state", all, RunFilter{Outcome: op.RunLost}),
			runs("initiator", "runs_initiator", all, RunFilter{Initiator: "rare"}),
			runs("active", "runs_state", all, RunFilter{Active: true}),
			runs("attention", "runs_state", all, RunFilter{Attention: true}),
			runs("tenant and outcome", "runs_", all, RunFilter{Tenant: "rare", Outcome: op.RunLost}),
			runs("operation and outcome", "runs_", all, RunFilter{Operation: "rare.op", Outcome: op.RunFailed}),
			runs("active of a tenant", "runs_", all, RunFilter{Active: true, Tenant: "rare"}),
			attempts("first page", "attempts_list", all, AttemptFilter{}),
			attempts("deep page", "attempts_list", all, AttemptFilter{Cursor: cursor("attempts", "a110000")}),
			attempts("of a member of few tenants", "attempts_tenant", few, AttemptFilter{}),
			attempts("tenant", "attempts_tenant", all, AttemptFilter{Tenant: "rare"}),
			attempts("operation", "attempts_operation", all, AttemptFilter{Operation: "rare.op"}),
			attempts("outcome", "attempts_outcome", all, AttemptFilter{Outcome: op.ScopeBusy}),
			attempts("actor", "attempts_actor", all, AttemptFilter{Actor: "rare"}),
			attempts("run", "attempts_run", all, AttemptFilter{Run: "R00001"}),
			{"tenants", "runs_tenant", func(context.Context, db.Tx) (*query, error) {
				return tenantsQuery(all, TenantFilter{}, nil, defaultLimit), nil
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
					q, err := tt.build(ctx, tx)
					if err != nil {
						return err
					}
					if d.Engine() == db.SQLite {
						return searches(ctx, tx, t, q, tt.index)
					}
					return readsFew(ctx, tx, t, q)
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// searches fails for a plan that walks through a big table, or does not use the index.
func searches(ctx context.Context, tx db.Tx, t *testing.T, q *query, index string) error {
	rows, err := tx.Query(ctx, `EXPLAIN QUERY PLAN `+q.text.String(), q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	used := false
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return err
		}
		if (strings.HasPrefix(step, "SCAN r") || strings.HasPrefix(step, "SCAN a")) && !strings.Contains(step, "USING") {
			t.Errorf("%s\n%s", step, q.text.String())
		}
		used = used || strings.Contains(step, "INDEX "+index)
	}
	if !used {
		t.Errorf("%s is not used\n%s", index, q.text.String())
	}
	return rows.Err()
}

// readsFew fails for a statement that reads many more rows of the big tables
// than it shows.
func readsFew(ctx context.Context, tx db.Tx, t *testing.T, q *query) error {
	rows, err := tx.Query(ctx, `EXPLAIN (ANALYZE, FORMAT JSON) `+q.text.String(), q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var plans []struct{ Plan plan }
		if err := json.Unmarshal([]byte(text), &plans); err != nil {
			return err
		}
		if n := plans[0].Plan.read(); n > history/20 {
			t.Errorf("reads %.0f rows\n%s\n%s", n, q.text.String(), text)
		}
	}
	return rows.Err()
}

type plan struct {
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []plan
}

// read is how many rows of the big tables the plan read.
func (p plan) read() (n float64) {
	if p.Relation == "runs" || p.Relation == "start_attempts" || p.Relation == "records" {
		n = (p.Rows + p.Removed) * p.Loops
	}
	for _, c := range p.Plans {
		n += c.read()
	}
	return n
}

// oldHistory fills the big tables and returns the scopes of an owner, of one
// tenant, and of a member who sees the rare tenant only.
func oldHistory(t *testing.T, d *db.DB) (all, one, few access.Scope) {
	t.Helper()
	ctx := t.Context()
	const password = "correct horse battery"
	owner, err := access.NewUser{Email: "a@example.com", Name: "A", Password: password}.Prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := access.NewUser{Email: "b@example.com", Name: "B", Password: password}.Prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var workspace string
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		for _, u := range []access.Account{owner, second} {
			if err := access.CreateUser(ctx, tx, u); err != nil {
				return err
			}
		}
		if workspace, err = access.Found(ctx, tx, access.NewWorkspace{Slug: "w", Name: "W", Keyset: "k"}, owner); err != nil {
			return err
		}
		// The first 1 % is rare, the rest is alike.
		const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)`
		for _, stmt := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO members (workspace_id, user_id, role, all_tenants, created_at) VALUES ($1, $2, 'viewer', FALSE, 0)`, []any{workspace, second.ID()}},
			{`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at)
				VALUES ('t0', $1, 'rare', 'rare', 'rare', '', '', 'active', 0)`, []any{workspace}},
			{fmt.Sprintf(`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at) `+numbers+`
				SELECT 't' || CAST(i AS TEXT), $1, 't' || CAST(i AS TEXT), 'T', 't', '', '', 'active', 0 FROM n`, tenants), []any{workspace}},
			{`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, 't0')`, []any{workspace, second.ID()}},
			{fmt.Sprintf(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters,
				target, initiator_id, initiator, fence, accepted_at, queue_until) `+numbers+` SELECT 'r' || CAST(100000 + i AS TEXT),
				CASE WHEN i <= %[2]d OR i %% 3 = 0 THEN $1 ELSE 'another workspace' END,
				CASE WHEN i <= %[2]d THEN 't0' ELSE 't' || CAST(1 + i %% %[3]d AS TEXT) END,
				CASE WHEN i <= %[2]d THEN 'c0000000-0000-0000-0000-000000000002' ELSE 'c' || CAST(1 + i %% %[3]d AS TEXT) END,
				'R' || CAST(100000 + i AS TEXT), CASE WHEN i <= %[2]d THEN 'rare.op' ELSE 'common.op' END, 'api',
				CASE WHEN i <= 20 THEN 'queued' ELSE 'finished' END, CASE WHEN i <= 20 THEN '' WHEN i <= %[2]d THEN 'lost' ELSE 'succeeded' END, 'f', '{}', '{}',
				CASE WHEN i <= %[2]d THEN 'rare' ELSE 'u' END, 'U', 1, i, i FROM n`, history, history/100, tenants), []any{workspace}},
			{fmt.Sprintf(`INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface, outcome, reason, causes,
				run_id, fingerprint, parameters, target, facts, idem_key, request_id, at, last_at) `+numbers+` SELECT 'a' || CAST(100000 + i AS TEXT),
				CASE WHEN i <= %[2]d OR i %% 3 = 0 THEN $1 ELSE 'another workspace' END,
				CASE WHEN i <= %[2]d THEN 't0' ELSE 't' || CAST(1 + i %% %[3]d AS TEXT) END, 'c1', CASE WHEN i <= %[2]d THEN 'rare.op' ELSE 'common.op' END,
				CASE WHEN i <= %[2]d THEN 'rare' ELSE 'u' END, 'U', 'api', CASE WHEN i <= %[2]d THEN 'scope_busy' ELSE 'blocked' END, '', '[]',
				'r' || CAST(100000 + i AS TEXT), 'f', '{}', '', '{}', '', '', i, i FROM n`, history, history/100, tenants), []any{workspace}},
			{fmt.Sprintf(`INSERT INTO records (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, data) `+numbers+`
				SELECT $1, 'groups', 1, '', 'g' || CAST(100000 + i AS TEXT), 'G', CASE WHEN i <= %[2]d THEN 'z' ELSE 'g' END || CAST(100000 + i AS TEXT),
				CASE WHEN i <= %[2]d THEN 'distribution' ELSE 'security' END, '', '{}' FROM n`, history, history/100), []any{rareConnection}},
			{`ANALYZE`, nil},
		} {
			if _, err := tx.Exec(ctx, stmt.sql, stmt.args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := func(email string) (a access.Actor, s access.Scope) {
		_, session, err := access.SignIn(ctx, d, access.Limits{}, access.Credentials{Email: email, Password: password})
		if err != nil {
			t.Fatal(err)
		}
		err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
			s, err = access.AuthorizeWorkspace(ctx, tx, session.Actor, "view")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return session.Actor, s
	}
	a, all := scope("a@example.com")
	_, few = scope("b@example.com")
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		ta, err := access.Authorize(ctx, tx, a, "rare", "view")
		one = ta.Scope
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, one, few
}
