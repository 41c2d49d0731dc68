package plans

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Summary is a plan without its steps.
type Summary struct {
	Hash       string
	Run        string // code of the preview
	Author     op.Person
	Head       restore.Plan // without steps
	Counts     map[restore.Action]int
	ExecutedBy string // id of the run; empty: none yet
}

// Steps is how many steps the plan has.
func (s Summary) Steps() (n int) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Applicable reports whether the plan changes anything.
func (s Summary) Applicable() bool { return s.Counts[restore.Create]+s.Counts[restore.Update] > 0 }

// Errored reports whether the plan leaves out policies that were selected.
func (s Summary) Errored() bool {
	return s.Counts[restore.Conflict]+s.Counts[restore.Unresolvable]+s.Counts[restore.NotSupported] > 0
}

const summaryColumns = `SELECT p.id, p.hash, p.run_code, p.author_id, p.author, p.counts, p.head, p.executed_by FROM plans p WHERE `

// listed is a summary with its id, which pages are made by.
type listed struct {
	Summary
	id string
}

func scanSummary(row db.Row) (l listed, err error) {
	var counts, head string
	if err = row.Scan(&l.id, &l.Hash, &l.Run, &l.Author.ID, &l.Author.Name, &counts, &head, &l.ExecutedBy); err != nil {
		return l, err
	}
	if err = json.Unmarshal([]byte(counts), &l.Counts); err == nil {
		err = json.Unmarshal([]byte(head), &l.Head)
	}
	return l, err
}

// List returns a page of the plans of a tenant, the newest first, and the cursor of the
// next page. run narrows them to the plan of the run with that code; empty: all.
func (p *Plans) List(ctx context.Context, ta access.TenantAccess, run, cursor string, limit int) ([]Summary, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("plans", cursor, 1)
	if err != nil {
		return nil, "", err
	}
	if !db.Storable(run) {
		return nil, "", nil // no run has such a code
	}
	rows, err := query.Read(ctx, p.db, "list plans", func(ctx context.Context, tx db.Tx) ([]listed, error) {
		q := new(query.Query).Add(summaryColumns+`p.tenant_id = %s AND p.ready`, ta.Tenant.ID)
		if run != "" {
			q.Add(` AND p.run_id = (SELECT r.id FROM runs r WHERE r.workspace_id = %s AND r.code = %s)`, ta.Workspace.ID, strings.ToUpper(run))
		}
		if key != nil {
			q.Add(` AND p.id < %s`, key[0])
		}
		return query.All(ctx, tx, q.Add(` ORDER BY p.id DESC LIMIT %s`, limit+1), scanSummary)
	})
	if err != nil {
		return nil, "", err
	}
	rows, next := page.Cut(rows, limit, func(l listed) string { return page.Cursor("plans", l.id) })
	list := make([]Summary, len(rows))
	for i, l := range rows {
		list[i] = l.Summary
	}
	return list, next, nil
}

// Detail is a plan with the facts that a start would be judged by.
type Detail struct {
	Summary
	Facts catalogue.StoredPlan
	Now   time.Time // of the database
	// Parameters are those of the preview: a preview with the same looks at the same again.
	// nil: its run is not kept any more.
	Parameters json.RawMessage
	// Stale are the reasons why the plan can't be executed on the connection that it was
	// made for; none if it can.
	Stale []string
}

// Plan returns one plan of a tenant; [op.ErrNotFound] for a plan of another tenant.
func (p *Plans) Plan(ctx context.Context, ta access.TenantAccess, hash string) (Detail, error) {
	return query.Read(ctx, p.db, "plan", func(ctx context.Context, tx db.Tx) (Detail, error) { return detail(ctx, tx, ta.Tenant.ID, hash) })
}

func detail(ctx context.Context, tx db.Tx, tenant, hash string) (d Detail, err error) {
	if err := checkHash(hash); err != nil {
		return Detail{}, err
	}
	l, err := query.One(ctx, tx, query.Of(summaryColumns+`p.tenant_id = $1 AND p.hash = $2 AND p.ready`, tenant, hash), scanSummary)
	if err != nil {
		return Detail{}, err
	}
	d.Summary = l.Summary
	if d.Facts, err = Facts(ctx, tx, tenant, hash); err != nil {
		return Detail{}, err
	}
	var now, version int64
	var directory string
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return Detail{}, err
	}
	err = tx.QueryRow(ctx, `SELECT version, directory_id FROM connections WHERE id = $1 AND deleted_at IS NULL`, d.Facts.Connection).Scan(&version, &directory)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return Detail{}, err
	}
	d.Now = db.Time(now)
	if d.Parameters, err = asked(ctx, tx, tenant, hash); err != nil && !errors.Is(err, op.ErrNotFound) {
		return Detail{}, err
	}
	d.Stale = d.Facts.Stale(d.Now, d.Facts.Connection, version, directory)
	return d, nil
}

// Asked returns the parameters of the preview that made a plan; [op.ErrNotFound] for a
// plan of another tenant, and for one whose run is not kept any more.
func (p *Plans) Asked(ctx context.Context, ta access.TenantAccess, hash string) (json.RawMessage, error) {
	return query.Read(ctx, p.db, "preview of a plan", func(ctx context.Context, tx db.Tx) (json.RawMessage, error) {
		if err := checkHash(hash); err != nil {
			return nil, err
		}
		return asked(ctx, tx, ta.Tenant.ID, hash)
	})
}

func asked(ctx context.Context, tx db.Tx, tenant, hash string) (json.RawMessage, error) {
	text, err := query.One(ctx, tx, query.Of(`SELECT r.parameters FROM plans p JOIN runs r ON r.id = p.run_id AND r.tenant_id = p.tenant_id
		WHERE p.tenant_id = $1 AND p.hash = $2 AND p.ready`, tenant, hash), query.ScanText)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(text), nil
}

// Steps returns a page of the steps of a plan, in their order, without the bodies of the
// calls, and the cursor of the next page. action narrows them; empty: all.
func (p *Plans) Steps(ctx context.Context, ta access.TenantAccess, hash string, action restore.Action, cursor string, limit int) ([]restore.Step, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	after, err := page.AfterNumber("steps", cursor)
	if err != nil {
		return nil, "", err
	}
	steps, err := query.Read(ctx, p.db, "steps of a plan", func(ctx context.Context, tx db.Tx) ([]restore.Step, error) {
		if err := checkHash(hash); err != nil {
			return nil, err
		}
		id, err := query.One(ctx, tx, query.Of(`SELECT id FROM plans WHERE tenant_id = $1 AND hash = $2 AND ready`, ta.Tenant.ID, hash), query.ScanText)
		if err != nil {
			return nil, err
		}
		q := new(query.Query).Add(`SELECT data FROM plan_steps WHERE plan_id = %s AND n > %s`, id, after)
		if action != "" {
			q.Add(` AND action = %s`, string(action))
		}
		return query.All(ctx, tx, q.Add(` ORDER BY n LIMIT %s`, limit+1), func(row db.Row) (restore.Step, error) {
			var data []byte
			if err := row.Scan(&data); err != nil {
				return restore.Step{}, err
			}
			return stepOf(data)
		})
	})
	if err != nil {
		return nil, "", err
	}
	steps, next := page.Cut(steps, limit, func(s restore.Step) string { return page.Cursor("steps", fmt.Sprint(s.N)) })
	return steps, next, nil
}

// approvalFor is how long an approval is valid. A plan is stale much earlier.
const approvalFor = 24 * time.Hour

// Approve records that a agrees to the execution of a plan by somebody else. It needs
// [tenancy.ApproveRestores] and a fresh sign-in; a token can't approve. It is
// [op.ErrConflict] for the author of the plan, for a plan that is stale, and in an archived
// tenant.
func (p *Plans) Approve(ctx context.Context, a access.Actor, tenant, hash string) error {
	_, err := query.Write(ctx, p.db, "approve the plan", func(ctx context.Context, tx db.Tx) (bool, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenant, tenancy.ApproveRestores)
		if err != nil {
			return false, err
		}
		if err := access.RequireFresh(ctx, tx, a); err != nil {
			return false, err
		}
		d, err := detail(ctx, tx, ta.Tenant.ID, hash)
		switch {
		case err != nil:
			return false, err
		case d.Facts.Author == a.ID():
			return false, op.ConflictThen("Ask another owner to approve it.", "you made this preview, so someone else must approve it")
		case len(d.Stale) > 0:
			return false, op.ConflictThen("Preview the restore again.", "the preview is out of date")
		}
		_, err = tx.Exec(ctx, `INSERT INTO plan_approvals (plan_id, person_id, person, at, expires_at)
			SELECT p.id, $3, $4, interlock_now(), interlock_now() + $5 FROM plans p WHERE p.tenant_id = $1 AND p.hash = $2 AND p.ready
			ON CONFLICT (plan_id, person_id) DO UPDATE SET at = excluded.at, expires_at = excluded.expires_at`,
			ta.Tenant.ID, hash, a.ID(), a.Name(), approvalFor.Microseconds())
		if err != nil {
			return false, err
		}
		return true, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{
			Actor: a.Person(), Action: "restore.approve", Object: ta.Tenant.ID, Data: map[string]string{"plan": hash, "run": d.Run},
		})
	})
	return err
}

// Policy is what a workspace requires of restores.
type Policy struct {
	Approval bool `json:"approval"` // a second person approves a preview before it is executed
}

// Policy returns what a's workspace requires of restores.
func (p *Plans) Policy(ctx context.Context, a access.Actor) (Policy, error) {
	return query.Read(ctx, p.db, "restore policy", func(ctx context.Context, tx db.Tx) (out Policy, err error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View); err != nil {
			return out, err
		}
		err = tx.QueryRow(ctx, `SELECT restore_approval FROM workspaces WHERE id = $1`, a.WorkspaceID()).Scan(&out.Approval)
		return out, err
	})
}

// SetPolicy changes what a's workspace requires of restores. It needs
// [tenancy.ManageMembers] and a fresh sign-in.
func (p *Plans) SetPolicy(ctx context.Context, a access.Actor, to Policy) error {
	_, err := query.Write(ctx, p.db, "change the restore policy", func(ctx context.Context, tx db.Tx) (bool, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return false, err
		}
		if err := access.RequireFresh(ctx, tx, a); err != nil {
			return false, err
		}
		n, err := tx.Exec(ctx, `UPDATE workspaces SET restore_approval = $2 WHERE id = $1 AND restore_approval <> $2`, a.WorkspaceID(), to.Approval)
		if err != nil || n == 0 {
			return false, err
		}
		return true, access.Audit(ctx, tx, a.WorkspaceID(), access.Entry{Actor: a.Person(), Action: "workspace.restore_policy", Object: a.WorkspaceID(), Data: to})
	})
	return err
}

// maxApprovers is how many people an answer names.
const maxApprovers = 5

// Approvers returns the names of those who may approve a plan for a tenant, except the
// people with the ids in except: by name, five at most.
func Approvers(ctx context.Context, tx db.Tx, tenant string, except ...string) ([]string, error) {
	type member struct{ id, name, workspace string }
	all, err := query.All(ctx, tx, query.Of(`SELECT u.id, u.name, m.workspace_id FROM tenants t JOIN members m ON m.workspace_id = t.workspace_id AND m.role = $2
		JOIN users u ON u.id = m.user_id WHERE t.id = $1 ORDER BY u.name, u.id LIMIT 50`, tenant, string(tenancy.Owner)),
		func(row db.Row) (m member, err error) {
			err = row.Scan(&m.id, &m.name, &m.workspace)
			return m, err
		})
	if err != nil {
		return nil, fmt.Errorf("who may approve: %w", err)
	}
	var names []string
next:
	for _, m := range all {
		for _, id := range except {
			if id == m.id {
				continue next
			}
		}
		may, err := access.StillMay(ctx, tx, m.workspace, m.id, tenant, tenancy.ApproveRestores)
		if err != nil {
			return nil, err
		}
		if may {
			names = append(names, m.name)
		}
		if len(names) == maxApprovers {
			break
		}
	}
	return names, nil
}

// Sweep deletes bodies of plans that can't be executed any more, plans that were never
// completed, and plans that are too old. It deletes limit rows at most and returns how
// many.
func Sweep(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	var now int64
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return 0, err
	}
	day, old := access.FirstID(db.Time(now).Add(-keepBodies)), access.FirstID(db.Time(now).Add(-keepPlans))
	ids, err := query.All(ctx, tx, query.Of(`SELECT b.id FROM plan_bodies b WHERE b.id < $1 AND NOT EXISTS (SELECT 1 FROM plans p
		JOIN run_claims c ON c.workspace_id = p.workspace_id AND c.tenant_id = p.tenant_id AND c.run_id = p.executed_by WHERE p.id = b.plan_id)
		ORDER BY b.id LIMIT $2`, day, limit), query.ScanText)
	if err != nil {
		return 0, fmt.Errorf("bodies of plans: %w", err)
	}
	for list := range query.Lists(ids) {
		if _, err := tx.Exec(ctx, `DELETE FROM plan_bodies WHERE id IN (`+query.Placeholders(1, len(list))+`)`, list...); err != nil {
			return 0, fmt.Errorf("bodies of plans: %w", err)
		}
	}
	n := int64(len(ids))
	for n < limit {
		id, err := query.One(ctx, tx, query.Of(`SELECT id FROM plans WHERE id < $1 AND (id < $2 OR NOT ready) ORDER BY id LIMIT 1`, day, old), query.ScanText)
		if errors.Is(err, op.ErrNotFound) {
			return n, nil
		} else if err != nil {
			return 0, fmt.Errorf("old plans: %w", err)
		}
		steps, err := tx.Exec(ctx, `DELETE FROM plan_steps WHERE plan_id = $1 AND n IN (SELECT n FROM plan_steps WHERE plan_id = $1 ORDER BY n LIMIT $2)`, id, limit-n)
		if err != nil {
			return 0, fmt.Errorf("old plans: %w", err)
		}
		if n += steps; n >= limit {
			return n, nil
		}
		for _, sql := range []string{`DELETE FROM plan_bodies WHERE plan_id = $1`, `DELETE FROM plan_approvals WHERE plan_id = $1`, `DELETE FROM plans WHERE id = $1`} {
			if _, err := tx.Exec(ctx, sql, id); err != nil {
				return 0, fmt.Errorf("old plans: %w", err)
			}
		}
		n++
	}
	return n, nil
}

// checkHash returns [op.ErrNotFound] for text that can't be a hash. A database may not be
// able to compare it.
func checkHash(hash string) error {
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
		return op.ErrNotFound
	}
	return nil
}

func missing(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return op.ErrNotFound
	}
	return err
}
