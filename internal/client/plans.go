package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Coded is a code with its sentence.
type Coded struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Plan is a preview of a restore.
type Plan struct {
	Hash       string         `json:"hash"`
	Run        string         `json:"run"` // code of the preview
	Author     op.Person      `json:"author"`
	At         time.Time      `json:"at"`
	Backup     string         `json:"backup"`
	Steps      int            `json:"steps"`
	Counts     map[string]int `json:"counts"` // by action
	Complete   bool           `json:"complete"`
	Applicable bool           `json:"applicable"`
	Errored    bool           `json:"errored"`
	Executed   bool           `json:"executed"`
	Warnings   []Coded        `json:"warnings"`
	Unread     []Unread       `json:"unread"`

	// Of a single plan only.
	Parameters       json.RawMessage `json:"parameters"` // of the preview
	Stale            []Coded         `json:"stale"`
	ApprovalRequired bool            `json:"approval_required"`
	Approvals        []PlanApproval  `json:"approvals"`
}

// Unread is something that a preview could not read.
type Unread struct {
	Type string `json:"type"`
	Why  string `json:"why"`
}

// PlanApproval is one person's approval of a plan.
type PlanApproval struct {
	Person  op.Person `json:"person"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires_at"`
	Void    bool      `json:"void"`
}

// PlanStep is one step of a plan.
type PlanStep struct {
	N          int      `json:"n"`
	Type       string   `json:"type"`
	TypeName   string   `json:"type_name"`
	Source     string   `json:"source"`
	Name       string   `json:"name"`
	Action     string   `json:"action"`
	ActionName string   `json:"action_name"`
	Target     string   `json:"target"`
	Calls      []Call   `json:"calls"`
	Diff       []Change `json:"diff"`
	Warnings   []Coded  `json:"warnings"`
	Blocks     []Coded  `json:"blocks"`
	Notes      []Coded  `json:"notes"`
	Candidates []Object `json:"candidates"` // to choose from
}

// Call is a call of a step. Its body is not shown.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Object is an object of a tenant.
type Object struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Change is a property in which two policies differ.
type Change struct {
	Path string          `json:"path"`
	Name string          `json:"name"`
	Op   string          `json:"op"`
	Old  json.RawMessage `json:"old"`
	New  json.RawMessage `json:"new"`

	// Names of the values, such as of settings; empty: they have none.
	OldName string `json:"old_name"`
	NewName string `json:"new_name"`
}

// Plans lists the previews of a tenant, newest first; run narrows them to that of the run
// with this code, empty: all.
func (c *Client) Plans(ctx context.Context, tenant, run string, p Paging) (Page[Plan], error) {
	return get[Page[Plan]](ctx, c, path("/tenants/%s/plans", tenant), filters{}.add("run", run).page(p))
}

// Plan returns one preview by its hash.
func (c *Client) Plan(ctx context.Context, tenant, hash string) (Plan, error) {
	return get[Plan](ctx, c, path("/tenants/%s/plans/%s", tenant, hash), nil)
}

// PlanSteps lists the steps of a preview; action narrows them, empty: all.
func (c *Client) PlanSteps(ctx context.Context, tenant, hash, action string, p Paging) (Page[PlanStep], error) {
	return get[Page[PlanStep]](ctx, c, path("/tenants/%s/plans/%s/steps", tenant, hash), filters{}.add("action", action).page(p))
}

// ApprovePlan approves the execution of a preview by somebody else.
func (c *Client) ApprovePlan(ctx context.Context, tenant, hash string) (p Plan, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: path("/tenants/%s/plans/%s/approve", tenant, hash), out: &p})
}

// Mapping says which object of a tenant corresponds to an object of another directory.
type Mapping struct {
	ID              string    `json:"id,omitempty"`
	Kind            string    `json:"kind"`
	SourceDirectory string    `json:"source_directory,omitempty"`
	Source          string    `json:"source"`
	Target          string    `json:"target"`
	How             string    `json:"how,omitempty"`
	By              op.Person `json:"by,omitzero"`
	At              time.Time `json:"at,omitzero"`
}

// Mappings lists the mappings to a tenant.
func (c *Client) Mappings(ctx context.Context, tenant string, p Paging) (Page[Mapping], error) {
	return get[Page[Mapping]](ctx, c, path("/tenants/%s/mappings", tenant), filters{}.page(p))
}

// SetMapping records a mapping to a tenant, in place of an earlier one of the same object.
func (c *Client) SetMapping(ctx context.Context, tenant string, m Mapping) (out Mapping, err error) {
	return out, c.do(ctx, call{method: http.MethodPut, path: path("/tenants/%s/mappings", tenant), in: m, out: &out})
}

// RemoveMapping removes a mapping to a tenant.
func (c *Client) RemoveMapping(ctx context.Context, tenant, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/tenants/%s/mappings/%s", tenant, id)})
}

// RestorePolicy is what a workspace requires of restores.
type RestorePolicy struct {
	Approval bool `json:"approval"` // a second person approves
}

// RestorePolicy returns what the workspace requires of restores.
func (c *Client) RestorePolicy(ctx context.Context) (RestorePolicy, error) {
	return get[RestorePolicy](ctx, c, "/workspace/restore-policy", nil)
}

// SetRestorePolicy changes what the workspace requires of restores.
func (c *Client) SetRestorePolicy(ctx context.Context, p RestorePolicy) (out RestorePolicy, err error) {
	return out, c.do(ctx, call{method: http.MethodPut, path: "/workspace/restore-policy", in: p, out: &out})
}
