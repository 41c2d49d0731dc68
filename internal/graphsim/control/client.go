package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Client is a client of the control API. Its errors have the message of the simulator. It is
// safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient returns a client for the simulator at base. hc must trust its certificate.
func NewClient(base, token string, hc *http.Client) *Client {
	return &Client{base: base, token: token, http: hc}
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		body = bytes.NewReader(odata.Raw(in))
	}
	return c.send(ctx, method, path, "application/json", body, out)
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/_sim/"+path, body)
	if err != nil {
		return fmt.Errorf("graphsim control: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", contentType)
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("graphsim control: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		var e struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(res.Body).Decode(&e) // without a message there is only the status
		return fmt.Errorf("graphsim control: %s %s: %s: %s", method, path, res.Status, e.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("graphsim control: %s %s: %w", method, path, err)
	}
	return nil
}

// Tenants returns the state of all tenants.
func (c *Client) Tenants(ctx context.Context) (out []estate.TenantState, err error) {
	return out, c.call(ctx, http.MethodGet, "tenants", nil, &out)
}

// Tenant returns the state of a tenant, by id or domain.
func (c *Client) Tenant(ctx context.Context, id string) (out estate.TenantState, err error) {
	return out, c.call(ctx, http.MethodGet, "tenants/"+url.PathEscape(id), nil, &out)
}

// PutTenant adds or replaces a tenant.
func (c *Client) PutTenant(ctx context.Context, spec estate.TenantSpec) error {
	return c.call(ctx, http.MethodPut, "tenants", spec, nil)
}

// ResetTenant resets a tenant to its spec. Delta tokens issued since then return 410.
func (c *Client) ResetTenant(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "tenants/"+url.PathEscape(id)+"/reset", nil, nil)
}

// PatchTenant changes license, name or delta behavior.
func (c *Client) PatchTenant(ctx context.Context, id string, p estate.TenantPatch) error {
	return c.call(ctx, http.MethodPatch, "tenants/"+url.PathEscape(id), p, nil)
}

// PutApp adds or replaces an app registration with its service principal.
func (c *Client) PutApp(ctx context.Context, tenant string, spec estate.AppSpec) error {
	return c.call(ctx, http.MethodPut, "tenants/"+url.PathEscape(tenant)+"/apps", spec, nil)
}

// PatchApp changes credentials, consent, roles and state of an app.
func (c *Client) PatchApp(ctx context.Context, tenant, app string, p estate.AppPatch) error {
	return c.call(ctx, http.MethodPatch, "tenants/"+url.PathEscape(tenant)+"/apps/"+url.PathEscape(app), p, nil)
}

// GrantConsent creates the service principal with the requested permissions.
func (c *Client) GrantConsent(ctx context.Context, tenant, app string) error {
	yes := true
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{Consented: &yes})
}

// RevokeConsent removes all roles and keeps the service principal: tokens issued from now on have no
// roles.
func (c *Client) RevokeConsent(ctx context.Context, tenant, app string) error {
	return c.SetRoles(ctx, tenant, app)
}

// RemovePrincipal deletes the service principal: it gets no more tokens, and current ones return 401.
func (c *Client) RemovePrincipal(ctx context.Context, tenant, app string) error {
	no := false
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{Consented: &no})
}

// SetRoles replaces the granted permissions. It affects tokens issued from now on.
func (c *Client) SetRoles(ctx context.Context, tenant, app string, roles ...string) error {
	roles = append([]string{}, roles...)
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{Roles: &roles})
}

// SetSecret replaces all secrets with one. With a zero expires it never expires.
func (c *Client) SetSecret(ctx context.Context, tenant, app, value string, expires time.Time) error {
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{Secrets: []estate.Secret{{Value: value, Expires: expires}}})
}

// ExpireSecrets makes the secrets of an app expire now.
func (c *Client) ExpireSecrets(ctx context.Context, tenant, app string) error {
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{ExpireSecrets: true})
}

// DisableApp disables or enables the service principal.
func (c *Client) DisableApp(ctx context.Context, tenant, app string, disabled bool) error {
	return c.PatchApp(ctx, tenant, app, estate.AppPatch{Disabled: &disabled})
}

// ChangeGroups applies changes in order and returns the id of each group.
func (c *Client) ChangeGroups(ctx context.Context, tenant string, changes ...estate.GroupChange) (ids []string, err error) {
	return ids, c.call(ctx, http.MethodPost, "tenants/"+url.PathEscape(tenant)+"/groups", changes, &ids)
}

// PutItem adds or replaces an entity of a collection, such as deviceManagement/deviceConfigurations.
// Navigation properties in the body, such as settings, are stored separately. It returns the id.
func (c *Client) PutItem(ctx context.Context, tenant, collection string, body json.RawMessage) (id string, err error) {
	return id, c.call(ctx, http.MethodPut, "tenants/"+url.PathEscape(tenant)+"/items/"+collection, body, &id)
}

// PatchItem changes properties of an entity as an administrator does in the portal: readers see it at
// once, and its time of change is now.
func (c *Client) PatchItem(ctx context.Context, tenant, collection, id string, change json.RawMessage) error {
	return c.call(ctx, http.MethodPatch, "tenants/"+url.PathEscape(tenant)+"/items/"+collection+"/"+url.PathEscape(id), change, nil)
}

// Load puts policies into a tenant. They replace those of their types, except built-in ones.
func (c *Client) Load(ctx context.Context, tenant string, data estate.Data) (out estate.DataSummary, err error) {
	return out, c.call(ctx, http.MethodPut, "tenants/"+url.PathEscape(tenant)+"/data", data, &out)
}

// LoadZip does the same with a zip file of exported policies.
func (c *Client) LoadZip(ctx context.Context, tenant string, file io.Reader) (out estate.DataSummary, err error) {
	return out, c.send(ctx, http.MethodPut, "tenants/"+url.PathEscape(tenant)+"/data", "application/zip", file, &out)
}

// SetThrottle scales the service limits from now on: 1 is as published, 0 is off.
func (c *Client) SetThrottle(ctx context.Context, scale float64) error {
	return c.call(ctx, http.MethodPut, "throttle", ThrottleState{Scale: scale}, nil)
}

// Throttle returns the scale of the service limits and what is used of them.
func (c *Client) Throttle(ctx context.Context) (out ThrottleState, err error) {
	return out, c.call(ctx, http.MethodGet, "throttle", nil, &out)
}

// DeleteItem removes an entity from a collection.
func (c *Client) DeleteItem(ctx context.Context, tenant, collection, id string) error {
	return c.call(ctx, http.MethodDelete, "tenants/"+url.PathEscape(tenant)+"/items/"+collection+"/"+url.PathEscape(id), nil, nil)
}

// AddFault appends a rule to the fault plan and returns its id.
func (c *Client) AddFault(ctx context.Context, f Fault) (id string, err error) {
	return id, c.call(ctx, http.MethodPost, "faults", f, &id)
}

// Faults returns the rules with their counters.
func (c *Client) Faults(ctx context.Context) (out []FaultState, err error) {
	return out, c.call(ctx, http.MethodGet, "faults", nil, &out)
}

// ClearFaults removes one rule, or all if id is empty, and releases what they hold.
func (c *Client) ClearFaults(ctx context.Context, id string) error {
	path := "faults"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// Holds returns the responses that are held back.
func (c *Client) Holds(ctx context.Context) (out []Hold, err error) {
	return out, c.call(ctx, http.MethodGet, "holds", nil, &out)
}

// Release releases the held responses of a rule, or all if fault is empty. It returns how many.
// The rule still holds later calls; remove it to stop that.
func (c *Client) Release(ctx context.Context, fault string) (n int, err error) {
	return n, c.call(ctx, http.MethodPost, "holds/release?fault="+url.QueryEscape(fault), nil, &n)
}

// ReleaseOne releases the held response with this id.
func (c *Client) ReleaseOne(ctx context.Context, id string) (n int, err error) {
	return n, c.call(ctx, http.MethodPost, "holds/release?id="+url.QueryEscape(id), nil, &n)
}

// Calls returns the calls after a number; of one tenant by id, or of all if tenant is empty.
func (c *Client) Calls(ctx context.Context, since int, tenant string) (out []Call, err error) {
	q := url.Values{"since": {strconv.Itoa(since)}, "tenant": {tenant}}
	return out, c.call(ctx, http.MethodGet, "calls?"+q.Encode(), nil, &out)
}

// ClearCalls clears the call log.
func (c *Client) ClearCalls(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "calls", nil, nil)
}

// LogHeaders sets the request headers that the call log records from now on.
func (c *Client) LogHeaders(ctx context.Context, names ...string) error {
	return c.call(ctx, http.MethodPut, "calls/headers", append([]string{}, names...), nil)
}

// SetClock sets how far the simulator's clock is ahead of the real one; negative is behind.
func (c *Client) SetClock(ctx context.Context, offset time.Duration) error {
	return c.call(ctx, http.MethodPut, "clock", ClockState{OffsetMS: offset.Milliseconds()}, nil)
}
