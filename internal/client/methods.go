package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// get reads one thing.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (out T, err error) {
	return out, c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: &out})
}

// filters builds a query from the values that are not empty.
type filters url.Values

func (f filters) add(name, value string) filters {
	if value != "" {
		url.Values(f).Set(name, value)
	}
	return f
}

func (f filters) flag(name string, on bool) filters {
	if on {
		url.Values(f).Set(name, "true")
	}
	return f
}

func (f filters) time(name string, t time.Time) filters {
	if !t.IsZero() {
		url.Values(f).Set(name, t.UTC().Format(time.RFC3339Nano))
	}
	return f
}

func (f filters) page(p Paging) url.Values {
	if p.Limit != 0 {
		url.Values(f).Set("limit", strconv.Itoa(p.Limit))
	}
	return url.Values(f.add("cursor", p.Cursor))
}

// Paging selects a page of a list. The zero Paging selects the first one.
type Paging struct {
	Cursor string
	Limit  int // 1 to 200; 0: 50
}

// SignIn opens a session in a workspace, given by id or name; empty means the person's
// first. For an account with a second factor it returns a [Problem] with the code
// second_factor_required: see [Client.SignInWithCode]. The client itself does not
// change: create a new one with the token.
func (c *Client) SignIn(ctx context.Context, email, password, workspace string) (s Session, err error) {
	return c.SignInWithCode(ctx, email, password, workspace, "")
}

// SignInWithCode is SignIn with a code of an authenticator app or a recovery code.
func (c *Client) SignInWithCode(ctx context.Context, email, password, workspace, code string) (s Session, err error) {
	in := map[string]string{"email": email, "password": password}
	for name, value := range map[string]string{"workspace": workspace, "code": code} {
		if value != "" {
			in[name] = value
		}
	}
	return s, c.do(ctx, call{method: http.MethodPost, path: "/sign-in", header: c.asked(), in: in, out: &s})
}

// Confirm confirms the identity of the person behind a session, and returns the session
// with its new secret; the client's secret stops working. Use a code for an account
// with a second factor, else the password.
func (c *Client) Confirm(ctx context.Context, password, code string) (s Session, err error) {
	in := map[string]string{"password": password, "code": code}
	return s, c.do(ctx, call{method: http.MethodPost, path: "/me/confirm", in: in, out: &s})
}

// Security returns the person's second factors.
func (c *Client) Security(ctx context.Context) (Security, error) {
	return get[Security](ctx, c, "/me/factors", nil)
}

// BeginAuthenticator returns a new authenticator app. It takes effect when
// [Client.ConfirmAuthenticator] receives one of its codes.
func (c *Client) BeginAuthenticator(ctx context.Context) (n NewAuthenticator, err error) {
	return n, c.do(ctx, call{method: http.MethodPost, path: "/me/authenticator", out: &n})
}

// ConfirmAuthenticator adds the new authenticator app. With the first second factor it
// returns recovery codes.
func (c *Client) ConfirmAuthenticator(ctx context.Context, name, code string) (r RecoveryCodes, err error) {
	return r, c.do(ctx, call{method: http.MethodPost, path: "/me/authenticator/confirm", in: map[string]string{"name": name, "code": code}, out: &r})
}

// NewRecoveryCodes replaces the person's recovery codes.
func (c *Client) NewRecoveryCodes(ctx context.Context) (r RecoveryCodes, err error) {
	return r, c.do(ctx, call{method: http.MethodPost, path: "/me/recovery-codes", out: &r})
}

// RenameFactor renames one of the person's second factors.
func (c *Client) RenameFactor(ctx context.Context, id, name string) (s Security, err error) {
	return s, c.do(ctx, call{method: http.MethodPatch, path: path("/me/factors/%s", id), in: map[string]string{"name": name}, out: &s})
}

// RemoveFactor removes one of the person's second factors.
func (c *Client) RemoveFactor(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/me/factors/%s", id)})
}

// EndOtherSessions ends all of the person's other sessions.
func (c *Client) EndOtherSessions(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/me/sessions/end-others"})
}

// ResetFactors removes all second factors of a member.
func (c *Client) ResetFactors(ctx context.Context, member string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/members/%s/factors", member)})
}

// Policy returns what the workspace requires of its members.
func (c *Client) Policy(ctx context.Context) (Policy, error) {
	return get[Policy](ctx, c, "/workspace/policy", nil)
}

// SetPolicy changes what the workspace requires of its members.
func (c *Client) SetPolicy(ctx context.Context, p Policy) (is Policy, err error) {
	return is, c.do(ctx, call{method: http.MethodPut, path: "/workspace/policy", in: p, out: &is})
}

// SignOut ends the client's session or token.
func (c *Client) SignOut(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/sign-out"})
}

// Me returns the person that the token acts for.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/me", nil) }

// Tokens returns the person's own tokens and sessions that are still valid.
func (c *Client) Tokens(ctx context.Context) (Page[Token], error) {
	return get[Page[Token]](ctx, c, "/tokens", nil)
}

// CreateToken creates a token that is valid for ttl (0: 90 days) and has the
// capabilities in only; an empty only means all of the person's.
func (c *Client) CreateToken(ctx context.Context, name string, ttl time.Duration, only []string) (t NewToken, err error) {
	in := struct {
		Name string   `json:"name"`
		TTL  int64    `json:"ttl_seconds,omitempty"`
		Only []string `json:"only,omitempty"`
	}{name, int64(ttl.Seconds()), only}
	return t, c.do(ctx, call{method: http.MethodPost, path: "/tokens", in: in, out: &t})
}

// RevokeToken ends one of the person's own tokens or sessions.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/tokens/%s", id)})
}

// Operations returns the operations that can be started.
func (c *Client) Operations(ctx context.Context) (Page[Operation], error) {
	return get[Page[Operation]](ctx, c, "/operations", nil)
}

// TenantFilter filters a list of tenants.
type TenantFilter struct {
	Query     string // part of name or domain
	Status    string
	Readiness string
	Paging
}

// Tenants lists the tenants that the person may see, by name.
func (c *Client) Tenants(ctx context.Context, f TenantFilter) (Page[Tenant], error) {
	return get[Page[Tenant]](ctx, c, "/tenants",
		filters{}.add("q", f.Query).add("status", f.Status).add("readiness", f.Readiness).page(f.Paging))
}

// Tenant returns one tenant by its id or name.
func (c *Client) Tenant(ctx context.Context, tenant string) (Tenant, error) {
	return get[Tenant](ctx, c, path("/tenants/%s", tenant), nil)
}

// Connections lists the connections of a tenant, by name.
func (c *Client) Connections(ctx context.Context, tenant string, p Paging) (Page[Connection], error) {
	return get[Page[Connection]](ctx, c, path("/tenants/%s/connections", tenant), filters{}.page(p))
}

// RotateCredential saves a new credential of a connection.
func (c *Client) RotateCredential(ctx context.Context, tenant, connection string, n NewCredential) (out Connection, err error) {
	return out, c.do(ctx, call{method: http.MethodPost, path: path("/tenants/%s/connections/%s/credential", tenant, connection), in: n, out: &out})
}

// RunFilter filters a list of runs.
type RunFilter struct {
	Tenant     string // id or name
	Connection string // id; or name, with the tenant
	Operation  op.Kind
	State      op.State
	Outcome    op.RunOutcome
	Initiator  string // id of a person, or "me"
	Active     bool   // not ended
	Attention  bool   // failed, or without progress
	Since      time.Time
	Until      time.Time
	Paging
}

// Runs lists runs, newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter) (Page[op.Run], error) {
	return get[Page[op.Run]](ctx, c, "/runs", filters{}.
		add("tenant", f.Tenant).add("connection", f.Connection).add("operation", string(f.Operation)).
		add("state", string(f.State)).add("outcome", string(f.Outcome)).add("initiator", f.Initiator).
		flag("active", f.Active).flag("attention", f.Attention).time("since", f.Since).time("until", f.Until).page(f.Paging))
}

// Run returns one run by its id or code.
func (c *Client) Run(ctx context.Context, run string) (op.Run, error) {
	return get[op.Run](ctx, c, path("/runs/%s", run), nil)
}

// RunItems returns the result of each item of a run.
func (c *Client) RunItems(ctx context.Context, run string, p Paging) (Page[op.Item], error) {
	return get[Page[op.Item]](ctx, c, path("/runs/%s/items", run), filters{}.page(p))
}

// RunAttempts returns the starts that joined a run while it was active.
func (c *Client) RunAttempts(ctx context.Context, run string) (Page[Attempt], error) {
	return get[Page[Attempt]](ctx, c, path("/runs/%s/attempts", run), nil)
}

// Timeline returns the timeline of a run.
func (c *Client) Timeline(ctx context.Context, run string) (Page[Line], error) {
	return get[Page[Line]](ctx, c, path("/runs/%s/timeline", run), nil)
}

// Cancel stops a run.
func (c *Client) Cancel(ctx context.Context, run string) (r op.Run, err error) {
	return r, c.do(ctx, call{method: http.MethodPost, path: path("/runs/%s/cancel", run), out: &r})
}

// Release releases the connection of a run by force; note says why.
func (c *Client) Release(ctx context.Context, run, note string) (r op.Run, err error) {
	return r, c.do(ctx, call{method: http.MethodPost, path: path("/runs/%s/release", run), in: map[string]string{"note": note}, out: &r})
}

// AttemptFilter filters a list of start attempts.
type AttemptFilter struct {
	Tenant    string // id or name
	Operation op.Kind
	Outcome   op.Outcome
	Actor     string // id of a person, or "me"
	Run       string // id or code of the run that was created or joined
	Paging
}

// Attempts lists all start attempts with their answers, newest first.
func (c *Client) Attempts(ctx context.Context, f AttemptFilter) (Page[Attempt], error) {
	return get[Page[Attempt]](ctx, c, "/attempts", filters{}.
		add("tenant", f.Tenant).add("operation", string(f.Operation)).add("outcome", string(f.Outcome)).
		add("actor", f.Actor).add("run", f.Run).page(f.Paging))
}

// Attempt returns the record of one start attempt.
func (c *Client) Attempt(ctx context.Context, id string) (Attempt, error) {
	return get[Attempt](ctx, c, path("/attempts/%s", id), nil)
}

// DataFilter filters data that was read from a directory.
type DataFilter struct {
	Connection string // id or name; empty: the tenant's default
	Query      string // part of the name
	Type       string // of inventory; or of groups: security, microsoft_365, mail_enabled_security, distribution, dynamic
	Paging
}

func (f DataFilter) query() url.Values {
	return filters{}.add("connection", f.Connection).add("q", f.Query).add("type", f.Type).page(f.Paging)
}

// List lists a dataset of a tenant, as last read; see [Operation.Datasets] for the
// names. A name that no operation keeps is a 404.
func (c *Client) List(ctx context.Context, tenant, dataset string, f DataFilter) (Page[Record], error) {
	return get[Page[Record]](ctx, c, path("/tenants/%s/%s", tenant, dataset), f.query())
}

// Groups lists the directory groups of a tenant, by name.
func (c *Client) Groups(ctx context.Context, tenant string, f DataFilter) (Page[Record], error) {
	return get[Page[Record]](ctx, c, path("/tenants/%s/groups", tenant), f.query())
}

// GroupMembers lists the members of a directory group, by id. Members that are groups
// have names. A query is part of such a name, or a whole id.
func (c *Client) GroupMembers(ctx context.Context, tenant, group string, f DataFilter) (Page[Record], error) {
	return get[Page[Record]](ctx, c, path("/tenants/%s/groups/%s/members", tenant, group), f.query())
}

// Inventory lists the inventory of a tenant, by type and name.
func (c *Client) Inventory(ctx context.Context, tenant string, f DataFilter) (Page[Record], error) {
	return get[Page[Record]](ctx, c, path("/tenants/%s/inventory", tenant), f.query())
}

// InventoryTypes returns the state of each type of the inventory.
func (c *Client) InventoryTypes(ctx context.Context, tenant, connection string) (Page[InventoryType], error) {
	return get[Page[InventoryType]](ctx, c, path("/tenants/%s/inventory/types", tenant), url.Values(filters{}.add("connection", connection)))
}

// ComplianceTypes returns the state of each part of the last compliance snapshot.
func (c *Client) ComplianceTypes(ctx context.Context, tenant, connection string) (Page[InventoryType], error) {
	return get[Page[InventoryType]](ctx, c, path("/tenants/%s/compliance/types", tenant), url.Values(filters{}.add("connection", connection)))
}

// CompliancePolicies lists the compliance policies of the last snapshot, by name. The
// type of the filter is ignored.
func (c *Client) CompliancePolicies(ctx context.Context, tenant string, f DataFilter) (Page[CompliancePolicy], error) {
	f.Type = ""
	return get[Page[CompliancePolicy]](ctx, c, path("/tenants/%s/compliance/policies", tenant), f.query())
}

// ComplianceHistory lists the compliance snapshots of a tenant as counts, newest first.
// connection is an id or a name; empty: the tenant's default.
func (c *Client) ComplianceHistory(ctx context.Context, tenant, connection string, p Paging) (Page[ComplianceMoment], error) {
	return get[Page[ComplianceMoment]](ctx, c, path("/tenants/%s/compliance/history", tenant), filters{}.add("connection", connection).page(p))
}

// Verification returns the last verification of a connection.
func (c *Client) Verification(ctx context.Context, tenant, connection string) (Verification, error) {
	return get[Verification](ctx, c, path("/tenants/%s/verification", tenant), url.Values(filters{}.add("connection", connection)))
}

// Notifications lists the ended runs that the person started, newest first.
func (c *Client) Notifications(ctx context.Context, unread bool, p Paging) (Page[op.Notice], error) {
	return get[Page[op.Notice]](ctx, c, "/notifications", filters{}.flag("unread", unread).page(p))
}

// ReadNotification marks a notification as read.
func (c *Client) ReadNotification(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodPost, path: path("/notifications/%s/read", id)})
}
