package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveTenants() {
	c.page(Route{Path: op.TenantsRoute, Object: Workspace, Needs: tenancy.View}, c.tenants)
	c.page(Route{Path: op.TenantRoute, Object: Tenant, Needs: tenancy.View}, c.tenant)
	c.serve(Route{Method: http.MethodGet, Path: op.TenantChoicesRoute, Object: Workspace, Needs: tenancy.View}, c.tenantChoices)
	c.editor(Route{Path: op.TenantNewRoute, Object: Workspace, Needs: tenancy.ManageTenants}, c.newTenant, c.createTenant)
	c.serve(Route{Method: http.MethodPost, Path: op.StartRoute, Object: Tenant, Needs: ByOperation}, c.start)
}

func (c *Console) tenants(v *visit) (page, error) {
	frame, err := v.frame("Tenants", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Lead = "Every tenant you look after, and whether operations can start there."
	adds := v.may(tenancy.ManageTenants)
	if adds {
		frame.Actions = view.AddTenant(v.workspace())
	}
	q := v.r.URL.Query()
	filter := store.TenantFilter{Query: q.Get("q"), Readiness: tenancy.Readiness(q.Get("readiness")), Cursor: q.Get("cursor")}
	if run := q.Get("run"); run == "active" {
		filter.Active = true
	} else {
		filter.Latest = op.RunOutcome(run)
	}
	found, next, err := c.store.Tenants(v.r.Context(), v.scope, filter)
	if err != nil {
		return page{}, err
	}
	list := view.TenantList{
		Workspace: v.workspace(), Adds: adds, Query: filter.Query, Readiness: q.Get("readiness"), Run: q.Get("run"), Now: frame.Now,
		First: v.firstPage(), Next: v.nextPage(next),
	}
	for _, t := range found {
		row := view.TenantRow{TenantView: t}
		if blockers := v.explained(t.Tenant, t.Default, t.Causes, frame.Now); len(blockers) > 0 {
			row.Blocker = blockers[0].Title
		}
		list.Rows = append(list.Rows, row)
	}
	return page{frame: frame, body: view.TenantsPage(list), parts: view.TenantListParts(list)}, nil
}

// tenantChoices answers the field that a tenant is chosen in, while one types.
func (c *Console) tenantChoices(v *visit) error {
	found, err := c.store.TenantChoices(v.r.Context(), v.scope, v.r.URL.Query().Get("tenant"))
	var field *op.FieldError
	if err != nil && !errors.As(err, &field) { // a text that can't be a name has no choices
		return err
	}
	return v.write(http.StatusOK, view.TenantOptions(found))
}

// tenantField is the field of a list that is narrowed to one tenant, and the id
// that the list is to be asked for: of what the person typed, or of nothing when
// that means no tenant, or several.
func (v *visit) tenantField() (f view.TenantField, id string, err error) {
	f = view.TenantField{Workspace: v.workspace(), Text: strings.TrimSpace(v.r.URL.Query().Get("tenant"))}
	if f.Text != "" {
		var t op.Tenant
		var wrong *op.FieldError
		switch t, err = v.console.store.FindTenant(v.r.Context(), v.scope, f.Text); {
		case err == nil:
			f.Text, id = t.Slug, t.ID
		case errors.As(err, &wrong):
			f.Problem, id = wrong.Detail, access.NewID()
		default:
			return f, "", err
		}
	}
	f.Choices, err = v.console.store.TenantChoices(v.r.Context(), v.scope, "")
	return f, id, err
}

func (c *Console) newTenant(v *visit) (page, error) { return c.tenantNew(v, nil) }

func (c *Console) tenantNew(v *visit, refusal *httpx.Problem) (page, error) {
	frame, err := v.frame("Add a tenant", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()
	frame.Lead = "A customer or a part of your own company, with a Microsoft Entra directory."
	form := view.Form{Action: op.TenantNewPath(v.workspace()), Fields: view.TenantFields(), Values: v.r.PostForm, Refusal: refusal}
	return page{frame: frame, body: view.FormCard("tf", "Tenant", "Its connection comes next.", form, "Add tenant", op.TenantsPath(v.workspace()))}, nil
}

func (c *Console) createTenant(v *visit) error {
	f := v.r.PostForm
	t, err := c.store.CreateTenant(v.r.Context(), v.actor, store.NewTenant{
		Name: f.Get("name"), Slug: f.Get("slug"), Domain: f.Get("domain"), DirectoryID: f.Get("directory_id"), Owner: f.Get("owner"),
	})
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.tenantNew(v, refusal) })
	}
	return v.goTo(op.ConnectionNewPath(v.workspace(), t.Slug))
}

// recentRuns are shown on a tenant's page.
const recentRuns = 6

func (c *Console) tenant(v *visit) (page, error) {
	ctx, ta := v.r.Context(), v.tenant
	t, err := c.store.Tenant(ctx, ta)
	if err != nil {
		return page{}, err
	}
	frame, err := v.frame(t.Name, view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()
	frame.State, frame.Lead = view.TenantState(t, frame.Now), t.Domain+" · directory "+op.Directory(t.DirectoryID)
	frame.Tabs = view.TenantTabs(v.workspace(), t.Tenant, "Overview")
	p := view.TenantPage{Workspace: v.workspace(), Tenant: t, Now: frame.Now}
	if p.Actions, err = v.startActions(t.Tenant, t.Default, false, t.Active); err != nil {
		return page{}, err
	}
	if p.Report, err = v.report(t.Tenant, t.Default, t.Causes, frame.Now); err != nil {
		return page{}, err
	}
	runs, _, err := c.store.Runs(ctx, ta.Scope, store.RunFilter{Tenant: ta.Tenant.ID, Limit: recentRuns})
	if err != nil {
		return page{}, err
	}
	for _, r := range runs {
		p.Recent = append(p.Recent, v.described(r))
	}
	return page{frame: frame, body: view.TenantOverview(p), parts: view.TenantParts(p), about: op.Change{Tenant: ta.Tenant.ID}}, nil
}

// crumbs lead from the tenants of the workspace to a page of one of them.
func (v *visit) crumbs(more ...view.Link) []view.Link {
	return append([]view.Link{
		{Text: v.actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Tenants", Href: op.TenantsPath(v.workspace())},
	}, more...)
}

// explained puts causes into the words that a start would be answered with.
func (v *visit) explained(t tenancy.Tenant, c *tenancy.Connection, causes []op.Cause, now time.Time) []op.Explained {
	if len(causes) == 0 {
		return nil
	}
	return op.Describe(op.BlockedResult(v.facts(t, c, now), causes, nil)).Reasons
}

// facts say what words are about, and who reads them.
func (v *visit) facts(t tenancy.Tenant, c *tenancy.Connection, at time.Time) op.Facts {
	facts := op.Facts{
		Workspace: v.workspace(), Tenant: op.Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name}, At: at,
		MayMend: v.may(tenancy.ManageConnections), Reader: v.actor.ID(),
	}
	if c != nil {
		target := store.TargetOf(*c)
		facts.Target = &target
	}
	return facts
}

// report is what is known of a connection, nil for the default that a tenant lacks.
func (v *visit) report(t tenancy.Tenant, c *tenancy.Connection, causes []op.Cause, now time.Time) (view.Report, error) {
	r := view.Report{Workspace: v.workspace(), Connection: c, Causes: v.explained(t, c, causes, now), Now: now}
	if c == nil {
		return r, nil
	}
	found, err := v.console.store.Verification(v.r.Context(), v.tenant, c.ID)
	if errors.Is(err, op.ErrNotFound) {
		return r, nil
	} else if err != nil {
		return view.Report{}, err
	}
	r.Verified = &found
	var checks []catalogue.Check
	if err := json.Unmarshal(found.Checks, &checks); err != nil {
		return view.Report{}, fmt.Errorf("report of connection %s: %w", c.ID, err)
	}
	for _, check := range checks {
		checked := view.Checked{Check: check}
		if check.Reason != "" {
			told := op.Found(v.facts(t, c, found.At), op.Cause{Code: check.Reason, Args: check.Args})
			if checked.Words = told.Detail; check.Result == catalogue.CheckFailed {
				checked.Next, checked.Fix = told.Next, told.Fix
			}
		}
		r.Checks = append(r.Checks, checked)
	}
	return r, nil
}

// nextPage is the address of the next page of this list; empty without a cursor.
func (v *visit) nextPage(cursor string) string {
	if cursor == "" {
		return ""
	}
	q := v.r.URL.Query()
	q.Del(live)
	q.Set("cursor", cursor)
	return (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
}

// firstPage is the address of the first page of this list; empty on it.
func (v *visit) firstPage() string {
	q := v.r.URL.Query()
	if !q.Has("cursor") {
		return ""
	}
	q.Del(live)
	q.Del("cursor")
	return (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
}
