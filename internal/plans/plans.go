// Package plans stores the plans of restores: what a preview found and what an execution
// will do, with the approvals of a second person and the recorded mappings between
// directories. A stored plan never changes.
package plans

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Plans reads and writes plans, approvals and mappings. It is safe for concurrent use.
type Plans struct {
	db    *db.DB
	store *store.Store
}

// New returns the plans on d. Bodies of calls are sealed with the root key of st.
func New(d *db.DB, st *store.Store) *Plans { return &Plans{db: d, store: st} }

// Made says where a plan comes from.
type Made struct {
	Workspace, Tenant string // ids
	Run, Code         string // the preview
	Author            op.Person
}

// Packed is a plan ready to be stored. Packing it takes no transaction.
type Packed struct {
	ID    string
	Hash  string
	made  Made
	plan  restore.Plan // without its steps
	count map[restore.Action]int
	write []string // types
	steps []packedStep
}

type packedStep struct {
	n      int
	action restore.Action
	data   []byte
	sealed string // the bodies of the calls; empty: there are none
}

func (s packedStep) size() int { return len(s.data) + len(s.sealed) }

// Pack compresses the steps of a plan and seals the bodies of its calls.
func (p *Plans) Pack(made Made, plan restore.Plan) (Packed, error) {
	out := Packed{ID: access.NewID(), Hash: plan.Hash(), made: made, count: make(map[restore.Action]int)}
	types := make(map[string]bool)
	for _, s := range plan.Steps {
		out.count[s.Action]++
		if s.Action.Writes() && !types[s.Type] {
			types[s.Type] = true
			out.write = append(out.write, s.Type)
		}
		packed, err := p.pack(out.ID, s)
		if err != nil {
			return Packed{}, fmt.Errorf("pack step %d: %w", s.N, err)
		}
		out.steps = append(out.steps, packed)
	}
	plan.Steps = nil
	out.plan = plan
	return out, nil
}

func (p *Plans) pack(id string, s restore.Step) (packedStep, error) {
	out := packedStep{n: s.N, action: s.Action}
	text, err := json.Marshal(s)
	if err != nil {
		return out, err
	}
	out.data = compress(text)
	if len(s.Calls) == 0 {
		return out, nil
	}
	bodies := make([][]byte, len(s.Calls)) // as bytes: JSON would write them anew
	for i, c := range s.Calls {
		bodies[i] = c.Body
	}
	if text, err = json.Marshal(bodies); err != nil {
		return out, err
	}
	secret := vault.NewSecret(base64.StdEncoding.EncodeToString(compress(text)))
	out.sealed, err = p.store.SealBodies(secret, id, bodiesID(id, s.N))
	return out, err
}

// bodiesID names the row with the bodies of a step. Ids sort by plan and step.
func bodiesID(plan string, n int) string { return fmt.Sprintf("%s/%06d", plan, n) }

func compress(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

func expand(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Begin stores a plan that readers don't see yet.
func Begin(ctx context.Context, tx db.Tx, p Packed) error {
	texts := make([]any, 4)
	for i, v := range []any{p.plan.Warnings, p.write, p.count, p.plan} {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("store the plan: %w", err)
		}
		texts[i] = string(text)
	}
	m, t := p.made, p.plan.Target
	_, err := tx.Exec(ctx, `INSERT INTO plans (id, workspace_id, tenant_id, hash, ready, run_id, run_code, author_id, author, set_id,
			connection_id, connection_version, directory, observed_at, warnings, writes, counts, head)
		VALUES ($1, $2, $3, $4, FALSE, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		append([]any{
			p.ID, m.Workspace, m.Tenant, p.Hash, m.Run, m.Code, m.Author.ID, m.Author.Name, p.plan.Set,
			t.Connection, t.Version, t.Directory, db.Micros(p.plan.At),
		}, texts...)...)
	if err != nil {
		return fmt.Errorf("store the plan: %w", err)
	}
	return nil
}

// Limits of one transaction that stores steps: about 10 ms of work.
const (
	maxRows  = 50
	maxBytes = 256 << 10
)

// Batches cuts the steps of a plan into what one transaction may store.
func (p Packed) Batches() (batches []Batch) {
	rows, size := 0, 0
	for i, s := range p.steps {
		if i == 0 || rows == maxRows || size+s.size() > maxBytes {
			batches = append(batches, Batch{plan: p.ID})
			rows, size = 0, 0
		}
		b := &batches[len(batches)-1]
		b.steps = append(b.steps, s)
		rows++
		size += s.size()
	}
	return batches
}

// Batch is a part of a plan's steps.
type Batch struct {
	plan  string
	steps []packedStep
}

// Put stores the steps of a batch.
func (b Batch) Put(ctx context.Context, tx db.Tx) error {
	for _, s := range b.steps {
		if _, err := tx.Exec(ctx, `INSERT INTO plan_steps (plan_id, n, action, data) VALUES ($1, $2, $3, $4)`, b.plan, s.n, string(s.action), s.data); err != nil {
			return fmt.Errorf("store step %d: %w", s.n, err)
		}
		if s.sealed == "" {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO plan_bodies (id, plan_id, sealed) VALUES ($1, $2, $3)`, bodiesID(b.plan, s.n), b.plan, s.sealed); err != nil {
			return fmt.Errorf("store the bodies of step %d: %w", s.n, err)
		}
	}
	return nil
}

// Commit shows a plan to readers. A plan with the same hash stays as it is.
func Commit(ctx context.Context, tx db.Tx, p Packed) error {
	_, err := tx.Exec(ctx, `UPDATE plans SET ready = TRUE WHERE id = $1
		AND NOT EXISTS (SELECT 1 FROM plans o WHERE o.tenant_id = plans.tenant_id AND o.hash = plans.hash AND o.ready)`, p.ID)
	if err != nil {
		return fmt.Errorf("show the plan: %w", err)
	}
	return nil
}

// Take reserves a plan for execution by a run and returns the plan's id. It is
// [op.ErrNotFound] for a plan of another tenant, and [op.ErrConflict] for one that another
// run executes or has executed.
func Take(ctx context.Context, tx db.Tx, tenant, hash, run string) (id string, err error) {
	n, err := tx.Exec(ctx, `UPDATE plans SET executed_by = $3 WHERE tenant_id = $1 AND hash = $2 AND ready AND executed_by IN ('', $3)`, tenant, hash, run)
	if err != nil {
		return "", fmt.Errorf("take the plan: %w", err)
	}
	id, err = query.One(ctx, tx, query.Of(`SELECT id FROM plans WHERE tenant_id = $1 AND hash = $2 AND ready`, tenant, hash), query.ScanText)
	if err == nil && n == 0 {
		err = op.Conflict("another run has executed this preview")
	}
	if err != nil {
		return "", fmt.Errorf("take the plan: %w", err)
	}
	return id, nil
}

// pageOfSteps is how many steps one transaction reads.
const pageOfSteps = 100

// Load reads a plan with the bodies of its calls. It returns an error if anything differs
// from what the hash was made of.
func (p *Plans) Load(ctx context.Context, id, hash string) (restore.Plan, error) {
	plan, err := query.Read(ctx, p.db, "plan", func(ctx context.Context, tx db.Tx) (plan restore.Plan, err error) {
		text, err := query.One(ctx, tx, query.Of(`SELECT head FROM plans WHERE id = $1`, id), query.ScanText)
		if err == nil {
			err = json.Unmarshal([]byte(text), &plan)
		}
		return plan, err
	})
	if err != nil {
		return restore.Plan{}, err
	}
	plan.Steps = []restore.Step{}
	for after := 0; ; {
		rows, err := query.Read(ctx, p.db, "steps of a plan", func(ctx context.Context, tx db.Tx) ([]packedStep, error) {
			return query.All(ctx, tx, query.Of(`SELECT s.n, s.data, COALESCE(b.sealed, '') FROM plan_steps s
				LEFT JOIN plan_bodies b ON b.plan_id = s.plan_id AND b.id = s.plan_id || '/' || substr('000000' || CAST(s.n AS TEXT), length(CAST(s.n AS TEXT)) + 1)
				WHERE s.plan_id = $1 AND s.n > $2 ORDER BY s.n LIMIT $3`, id, after, pageOfSteps), func(row db.Row) (s packedStep, err error) {
				err = row.Scan(&s.n, &s.data, &s.sealed)
				return s, err
			})
		})
		if err != nil {
			return restore.Plan{}, err
		}
		for _, row := range rows {
			step, err := p.unpack(id, row)
			if err != nil {
				return restore.Plan{}, fmt.Errorf("step %d of plan %.12s: %w", row.n, hash, err)
			}
			plan.Steps = append(plan.Steps, step)
			after = row.n
		}
		if len(rows) < pageOfSteps {
			break
		}
	}
	if plan.Hash() != hash {
		return restore.Plan{}, fmt.Errorf("plan %.12s: what is stored has another hash", hash)
	}
	return plan, nil
}

func (p *Plans) unpack(id string, row packedStep) (s restore.Step, err error) {
	if s, err = stepOf(row.data); err != nil || len(s.Calls) == 0 {
		return s, err
	}
	if row.sealed == "" {
		return s, fmt.Errorf("the bodies of its calls are gone: %w", op.ErrNotFound)
	}
	secret, err := p.store.UnsealBodies(row.sealed, id, bodiesID(id, s.N))
	if err != nil {
		return s, err
	}
	data, err := base64.StdEncoding.DecodeString(secret.Reveal())
	if err != nil {
		return s, err
	}
	text, err := expand(data)
	if err != nil {
		return s, err
	}
	var bodies [][]byte
	if err := json.Unmarshal(text, &bodies); err != nil || len(bodies) != len(s.Calls) {
		return s, fmt.Errorf("%d bodies for %d calls: %w", len(bodies), len(s.Calls), err)
	}
	for i := range s.Calls {
		s.Calls[i].Body = bodies[i]
		if h := s.Calls[i].Hash; h != "" && h != restore.HashOf(bodies[i]) {
			return s, fmt.Errorf("the body of call %d has another hash", i+1)
		}
	}
	return s, nil
}

func stepOf(data []byte) (s restore.Step, err error) {
	text, err := expand(data)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// Facts returns what a start of a plan is judged by. It is [op.ErrNotFound] for a plan of
// another tenant.
func Facts(ctx context.Context, tx db.Tx, tenant, hash string) (f catalogue.StoredPlan, err error) {
	if err := checkHash(hash); err != nil {
		return f, err
	}
	var id, workspace, warnings, writes, head string
	var at, written int64
	err = tx.QueryRow(ctx, `SELECT p.id, p.workspace_id, p.author_id, p.set_id, p.directory, p.connection_id, p.connection_version, p.observed_at, p.warnings, p.writes, p.head,
			p.executed_by <> '' AND NOT EXISTS (SELECT 1 FROM run_claims c WHERE c.workspace_id = p.workspace_id AND c.tenant_id = p.tenant_id AND c.run_id = p.executed_by),
			COALESCE(t.at, 0), w.restore_approval
		FROM plans p JOIN workspaces w ON w.id = p.workspace_id LEFT JOIN tenant_writes t ON t.tenant_id = p.tenant_id
		WHERE p.tenant_id = $1 AND p.hash = $2 AND p.ready`, tenant, hash).
		Scan(&id, &workspace, &f.Author, &f.Set, &f.Directory, &f.Connection, &f.Version, &at, &warnings, &writes, &head, &f.Executed, &written, &f.MustApprove)
	if err != nil {
		return f, missing(err)
	}
	f.At = db.Time(at)
	if written != 0 {
		f.Written = db.Time(written)
	}
	var uses struct{ Mappings []restore.Mapping }
	for text, into := range map[string]any{warnings: &f.Warnings, writes: &f.Writes, head: &uses} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return f, fmt.Errorf("stored plan: %w", err)
		}
	}
	if f.Remapped, err = remapped(ctx, tx, workspace, uses.Mappings); err != nil {
		return f, err
	}
	f.Approvals, err = approvals(ctx, tx, workspace, tenant, id)
	return f, err
}

// approvals returns the approvals of a plan, the oldest first.
func approvals(ctx context.Context, tx db.Tx, workspace, tenant, plan string) ([]catalogue.Approval, error) {
	all, err := query.All(ctx, tx, query.Of(`SELECT person_id, person, at, expires_at FROM plan_approvals WHERE plan_id = $1 ORDER BY at, person_id`, plan),
		func(row db.Row) (a catalogue.Approval, err error) {
			var at, expires int64
			err = row.Scan(&a.Person.ID, &a.Person.Name, &at, &expires)
			a.At, a.Expires = db.Time(at), db.Time(expires)
			return a, err
		})
	if err != nil {
		return nil, fmt.Errorf("approvals of the plan: %w", err)
	}
	for i, a := range all {
		may, err := access.StillMay(ctx, tx, workspace, a.Person.ID, tenant, tenancy.ApproveRestores)
		if err != nil {
			return nil, err
		}
		all[i].Withdrawn = !may
	}
	return all, nil
}

// Wrote records that a run that changed something in a tenant has ended.
func Wrote(ctx context.Context, tx db.Tx, tenant, run string) error {
	_, err := tx.Exec(ctx, `INSERT INTO tenant_writes (tenant_id, run_id, at) VALUES ($1, $2, interlock_now())
		ON CONFLICT (tenant_id) DO UPDATE SET run_id = excluded.run_id, at = excluded.at`, tenant, run)
	if err != nil {
		return fmt.Errorf("last change of the tenant: %w", err)
	}
	return nil
}

// How long plans are kept. Bodies are kept while a run can execute them.
const (
	keepBodies = 24 * time.Hour
	keepPlans  = 400 * 24 * time.Hour
)
