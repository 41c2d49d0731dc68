package gatetest

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// History is how much has happened in a [World].
type History struct {
	Runs    int // of both workspaces; 30 % are lattice's. At most 1,000,000
	Expired int // the oldest of them, which ended 500 days ago; the others ended in the last 30
	Tenants int // of lattice, besides the two that are named below; each has a connection
	Groups  int // of the directory of Rare; the last hundredth of them by name are distribution groups
}

// Past describes a history. What is rare is also old, so that a search for it that
// walks a list reads the whole list.
type Past struct {
	Big, Rare           string       // slugs of tenants: a fifth of lattice's runs is Big's, ten are Rare's
	BigID, RareID       string       //
	RareConnection      string       // id
	RareOperation       op.Kind      // of Rare's runs only
	Few                 access.Actor // an operator of lattice who sees Rare and two others
	Run, Queued, Refuse string       // codes of an ended and of a queued run, and the id of a refusal
}

// Fill fills the tables that grow with use: runs with what belongs to them, attempts,
// notifications, the audit trail. Keys are as in the product; other details may not be.
// The engine's statistics are not updated: see [World.Analyze].
func (w *World) Fill(h History) Past {
	w.t.Helper()
	p := Past{Big: "big", Rare: "rare", RareOperation: op.ConnectionVerify}
	p.BigID, p.RareID = w.Tenant(w.Workspace, p.Big, "Big"), w.Tenant(w.Workspace, p.Rare, "Rare")
	big := w.Connection(w.Workspace, p.BigID, p.Big, nil)
	p.RareConnection = w.Connection(w.Workspace, p.RareID, p.Rare, nil)
	p.Few = w.Member("Few Ted", "few.ted@lattice.example", tenancy.Operator)
	w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, p.Few.ID())

	// Ids for tests: a time, followed by a number of twelve digits.
	now := time.Now()
	prefix := func(days int) string { return access.FirstID(now.AddDate(0, 0, -days))[:24] }
	const number = `substr(CAST(1000000000000 + i AS TEXT), 2)`
	numbers := func(from, to int) string {
		return fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, from, max(from, to))
	}
	rows := func(sql string, args ...any) {
		w.t.Helper()
		w.Exec(sql, args...)
	}
	tenants := prefix(600)
	rows(`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at) `+numbers(1, h.Tenants)+`
		SELECT $1 || `+number+`, $2, 'tenant-' || CAST(i AS TEXT), 'Tenant ' || CAST(i AS TEXT), 'tenant ' || CAST(i AS TEXT),
			'tenant-' || CAST(i AS TEXT) || '.example', $1 || `+number+`, 'active', 0 FROM n`, tenants, w.Workspace)
	rows(`INSERT INTO connections (id, workspace_id, tenant_id, slug, name, name_key, provider, cloud, directory_id, client_id, enabled, is_default, version, rev,
			credential, credential_version, credential_state, consent, permissions, permissions_at, actual_directory_id, verification, verified_at, created_at)
		SELECT t.id, t.workspace_id, t.id, t.slug, t.name, t.name_key, c.provider, c.cloud, t.directory_id, c.client_id, TRUE, TRUE, 1, 1,
			c.credential, 1, c.credential_state, c.consent, c.permissions, c.permissions_at, t.directory_id, c.verification, c.verified_at, 0
		FROM tenants t CROSS JOIN connections c WHERE c.id = $1 AND t.workspace_id = $2 AND t.id LIKE $3 || '%' ESCAPE '\'`, big, w.Workspace, tenants)
	for _, id := range []string{p.RareID, tenants + "000000000001", tenants + "000000000002"} {
		rows(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, p.Few.ID(), id)
	}

	const (
		rare     = `i BETWEEN 20 AND 29`
		own      = `(i %% 10 < 3 OR i <= 40)` // lattice's
		inLine   = `i BETWEEN 11 AND 19`      // old, so that a walk down the list is long
		ofTenant = `CASE WHEN ` + rare + ` THEN $3 WHEN i %% 10 = 0 AND i %% 3 < 2 OR i <= 40 THEN $2 ELSE $4 || substr(CAST(1000000000001 + i %% %[1]d AS TEXT), 2) END`
	)
	for _, part := range []struct{ from, to, days int }{{1, h.Expired, 500}, {h.Expired + 1, h.Runs, 30}} {
		if part.from > part.to {
			continue
		}
		id := prefix(part.days)
		// $1 ids, $2 the big tenant, $3 the rare one, $4 ids of the others
		at := db.Micros(now.AddDate(0, 0, -part.days))
		rows(fmt.Sprintf(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters,
				target, initiator_id, initiator, fence, accepted_at, ended_at) `+numbers(part.from, part.to)+`
			SELECT $1 || `+number+`, CASE WHEN `+own+` THEN CAST($5 AS TEXT) ELSE CAST($6 AS TEXT) END, `+ofTenant+`,
				CASE WHEN `+rare+` THEN CAST($7 AS TEXT) WHEN i %% 10 = 0 AND i %% 3 < 2 OR i <= 40 THEN CAST($8 AS TEXT) ELSE $4 || substr(CAST(1000000000001 + i %% %[1]d AS TEXT), 2) END,
				substr(CAST(1000000 + i %% 1000000 AS TEXT), 2),
				CASE WHEN `+rare+` THEN CAST($9 AS TEXT) WHEN i %% 7 = 0 THEN 'directory.groups.sync' ELSE 'inventory.sync' END, 'api',
				CASE WHEN `+inLine+` THEN 'queued' ELSE 'finished' END,
				CASE WHEN `+inLine+` THEN '' WHEN i <= 10 THEN 'lost' WHEN i %% 11 = 0 THEN 'failed' WHEN i %% 50 = 0 THEN 'partial' ELSE 'succeeded' END,
				'f', '{}', '{}', CASE WHEN `+rare+` THEN CAST($10 AS TEXT) WHEN i %% 10 = 1 OR i <= 40 THEN CAST($11 AS TEXT) ELSE CAST($13 AS TEXT) END, 'Mei Tan', 1, CAST($12 AS BIGINT), CASE WHEN `+inLine+` THEN NULL ELSE CAST($12 AS BIGINT) END FROM n`, max(h.Tenants, 1)),
			id, p.BigID, p.RareID, tenants, w.Workspace, w.Other, p.RareConnection, big, string(p.RareOperation), w.Operator.ID(), w.Owner.ID(), at, w.Second.ID())
	}
	old := prefix(500)
	if h.Expired == 0 {
		old = prefix(30)
	}
	for _, sql := range []string{
		// A claim is for a connection: each queued run has one that is not the
		// tenant's.
		`INSERT INTO run_claims (scope, run_id, fingerprint, fence, sent_at, workspace_id, tenant_id)
			SELECT r.id, r.id, 'f', 1, r.accepted_at, r.workspace_id, r.tenant_id FROM runs r WHERE r.state = 'queued'`,
		`INSERT INTO run_events (run_id, seq, at, kind, text, fence) SELECT r.id, 1, r.accepted_at, 'accepted', '', 1 FROM runs r`,
		`INSERT INTO run_items (run_id, key, seq, name, result, done, failed, total, reason, args, at)
			SELECT r.id, 'apps', 1, 'Apps', 'synced', 1, 0, 1, '', '{}', r.accepted_at FROM runs r WHERE r.state = 'finished'`,
		`INSERT INTO run_journal (run_id, step, seq, item, name, call, body_hash, look, marker, fence, tries, state, intended_at)
			SELECT r.id, 'apps', 1, 'apps', 'Apps', 'POST /beta/apps', '', 'Apps', '', 1, 1, 'done', r.accepted_at FROM runs r WHERE r.outcome = 'partial'`,
		`INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface, outcome, reason, causes,
				run_id, seen, fingerprint, parameters, target, facts, idem_key, request_id, at, last_at)
			SELECT r.id, r.workspace_id, r.tenant_id, r.connection_id, r.operation, r.initiator_id, r.initiator, 'api', 'accepted', 'accepted', '[{"code":"accepted"}]',
				r.id, '{"id":"x"}', 'f', '{}', '', '{}', '', '', r.accepted_at, r.accepted_at FROM runs r`,
		// A fifth as many refusals. The rarest kind belongs to what is rare.
		`INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface, outcome, reason, causes,
				fingerprint, parameters, target, facts, idem_key, request_id, at, last_at)
			SELECT 'f' || substr(r.id, 2), r.workspace_id, r.tenant_id, r.connection_id, r.operation, r.initiator_id, r.initiator, 'api',
				CASE WHEN r.outcome = 'lost' THEN 'scope_busy' ELSE 'blocked' END, 'connection_disabled', '[{"code":"connection_disabled"}]',
				'f', '{}', '', '{}', '', '', r.accepted_at, r.accepted_at FROM runs r WHERE r.outcome IN ('lost', 'failed', 'partial')`,
		`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at, read_at)
			SELECT r.id, r.workspace_id, r.tenant_id, r.initiator_id, r.id, r.accepted_at, CASE WHEN r.outcome = 'lost' THEN NULL ELSE r.accepted_at END
			FROM runs r WHERE r.state = 'finished'`,
		`INSERT INTO audit_log (workspace_id, seq, at, actor_id, actor, action, object, data, hash)
			SELECT r.workspace_id, ROW_NUMBER() OVER (PARTITION BY r.workspace_id ORDER BY r.id) + 1000000, r.accepted_at, '', '', 'run.accepted', r.id, '{}', '' FROM runs r`,
		`INSERT INTO audit_heads (workspace_id, seq, hash) SELECT l.workspace_id, MAX(l.seq), '' FROM audit_log l GROUP BY l.workspace_id
			ON CONFLICT (workspace_id) DO NOTHING`,
		`UPDATE tenants SET latest_run = COALESCE((SELECT MAX(r.id) FROM runs r WHERE r.tenant_id = tenants.id AND r.state = 'finished'), '')`,
		`UPDATE tenants SET latest_outcome = COALESCE((SELECT r.outcome FROM runs r WHERE r.id = tenants.latest_run), '')`,
	} {
		rows(sql)
	}
	if h.Groups > 0 {
		rows(`INSERT INTO generations (id, connection_id, dataset, row_count) VALUES (1000000, $1, 'groups', $2)`, p.RareConnection, h.Groups)
		rows(`INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, as_of, row_count, run_id)
			VALUES ($1, 'groups', $2, $3, 1000000, 1, $4, '')`, p.RareConnection, w.Workspace, p.RareID, h.Groups)
		rows(`INSERT INTO records (generation, id, name, name_key, type, modified_at, data) `+numbers(1, h.Groups)+`
			SELECT 1000000, $1 || `+number+`, 'Group', CASE WHEN i % 100 = 0 THEN 'z' ELSE 'g' END || `+number+`,
			CASE WHEN i % 100 = 0 THEN 'distribution' ELSE 'security' END, '', '{}' FROM n`, prefix(600))
	}
	p.Run, p.Queued, p.Refuse = "000025", "000012", "f"+(old + "000000000005")[1:]
	return p
}

// Analyze updates the engine's statistics, as they would be after some time.
func (w *World) Analyze() {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `ANALYZE`)
		return err
	})
}
