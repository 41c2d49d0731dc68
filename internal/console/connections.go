package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveConnections() {
	c.page(Route{Path: op.AllConnectionsRoute, Object: Workspace, Needs: tenancy.View}, c.allConnections)
	c.page(Route{Path: op.ConnectionsRoute, Object: Tenant, Needs: tenancy.View}, c.connections)
	c.page(Route{Path: op.ConnectionRoute, Object: Tenant, Needs: tenancy.View}, c.connection)
	manage := func(path string) Route { return Route{Path: path, Object: Tenant, Needs: tenancy.ManageConnections} }
	c.editor(manage(op.ConnectionNewRoute), c.newConnection, c.createConnection)
	c.editor(manage(op.EditConnection.Route()), c.connectionForm, c.editConnection)
	c.editor(manage(op.RotateCredential.Route()), c.credentialForm, c.rotateCredential)
	c.serveConsent()
	for _, p := range []struct {
		change op.ConnectionChange
		takes  bool // something away
		do     func(context.Context, access.Actor, string, string) (tenancy.Connection, error)
	}{
		{op.EnableConnection, false, c.store.EnableConnection},
		{op.DefaultConnection, false, c.store.SetDefaultConnection},
		{op.DisableConnection, true, c.store.DisableConnection},
		{op.WithdrawConsent, true, c.store.RevokeConsent},
	} {
		r := manage(p.change.Route())
		r.Method = http.MethodPost
		handle := c.press(p.change, func(ctx context.Context, v *visit, tenant, connection string) (string, error) {
			conn, err := p.do(ctx, v.actor, tenant, connection)
			return op.ConnectionPath(v.workspace(), v.tenant.Tenant.Slug, conn.Slug), err
		})
		if p.takes {
			handle = meant(handle)
		}
		c.serve(r, handle)
	}
	remove := manage(op.DeleteConnection.Route())
	remove.Method = http.MethodPost
	c.serve(remove, meant(c.press(op.DeleteConnection, func(ctx context.Context, v *visit, tenant, connection string) (string, error) {
		return op.ConnectionsPath(v.workspace(), v.tenant.Tenant.Slug), c.store.DeleteConnection(ctx, v.actor, tenant, connection)
	})))
}

// connectionsDone tells of the change that led to a page.
var connectionsDone = map[op.ConnectionChange]string{
	op.ConnectionNew:     "The connection was added. Save a credential, ask for consent, then verify it.",
	op.EditConnection:    "The connection was changed.",
	op.RotateCredential:  "The credential was saved. Verify the connection to try it.",
	op.EnableConnection:  "The connection was enabled.",
	op.DefaultConnection: "The connection was made the default of its tenant.",
	op.DisableConnection: "The connection was disabled.",
	op.WithdrawConsent:   "The withdrawal of consent was noted.",
	op.DeleteConnection:  "The connection was deleted.",
}

func (v *visit) connectionsDone() string {
	said := connectionsDone[op.ConnectionChange(v.r.URL.Query().Get(done))]
	for _, code := range v.r.URL.Query()[tidy] {
		if words := op.Tidied(code).Words(); said != "" && words != "" {
			said += " " + words
		}
	}
	return said
}

// tidied is changed for what was pasted, and tidied up before it was saved.
func (v *visit) tidied(path, change string, what []op.Tidied) error {
	q := url.Values{done: {change}}
	for _, t := range what {
		q.Add(tidy, string(t))
	}
	return v.goTo(path + "?" + q.Encode())
}

// tidy is the query's name for what was done to what was pasted.
const tidy = "tidied"

// pastedIDs is what is done to the pasted ids of a form.
func pastedIDs(f url.Values) (what []op.Tidied) {
	for _, name := range []string{"client_id", "directory_id"} {
		_, done := store.Tidy(f.Get(name))
		for _, t := range done {
			if !slices.Contains(what, t) {
				what = append(what, t)
			}
		}
	}
	return what
}

func (v *visit) connectionsLink() view.Link {
	return view.Link{Text: "Connections", Href: op.ConnectionsPath(v.workspace(), v.tenant.Tenant.Slug)}
}

func (v *visit) tenantLink() view.Link {
	return view.Link{Text: v.tenant.Tenant.Name, Href: op.TenantPath(v.workspace(), v.tenant.Tenant.Slug)}
}

// listed are the starts that the list of connections offers on each of them.
var listed = []op.Kind{op.ConnectionVerify, op.InventorySync}

func (c *Console) connections(v *visit) (page, error) {
	t := v.tenant.Tenant
	frame, err := v.frame("Connections", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Title = "Connections of " + t.Name
	frame.Crumbs = v.crumbs(v.tenantLink())
	frame.Lead = "How Interlock reaches " + t.Name + ". One operation can use a connection at a time."
	frame.Tabs = view.TenantTabs(v.workspace(), t, "Connections")
	l, err := v.connectionList(v.tenant.Scope, v.tenant.Tenant.ID, frame.Now)
	if err != nil {
		return page{}, err
	}
	l.Tenant = &t
	if l.Mends && len(l.Rows) > 0 {
		frame.Actions = view.AddConnection(v.workspace(), t.Slug)
	}
	return page{frame: frame, body: view.ConnectionsPage(l), parts: view.ConnectionListParts(l), about: op.Change{Tenant: t.ID}}, nil
}

func (c *Console) allConnections(v *visit) (page, error) {
	frame, err := v.frame("Connections", view.Connections)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	frame.Lead = "How Interlock reaches your tenants. One operation can use a connection at a time."
	l, err := v.connectionList(v.scope, "", frame.Now)
	if err != nil {
		return page{}, err
	}
	return page{frame: frame, body: view.ConnectionsPage(l), parts: view.ConnectionListParts(l)}, nil
}

// connectionList lists the connections in a scope, with the starts on them: those
// of the tenant with an id, or of all tenants when it is empty.
func (v *visit) connectionList(scope access.Scope, tenant string, now time.Time) (view.ConnectionList, error) {
	ctx, q := v.r.Context(), v.r.URL.Query()
	found, next, err := v.console.store.Connections(ctx, scope, store.ConnectionFilter{Tenant: tenant, Cursor: q.Get("cursor")})
	if err != nil {
		return view.ConnectionList{}, err
	}
	l := view.ConnectionList{
		Workspace: v.workspace(), Mends: v.may(tenancy.ManageConnections), Done: v.connectionsDone(),
		First: v.firstPage(), Next: v.nextPage(next), Now: now,
	}
	for _, conn := range found {
		row := view.ConnectionRow{ConnectionView: conn}
		t := tenancy.Tenant{ID: conn.Tenant.ID, Slug: conn.Tenant.Slug, Name: conn.Tenant.Name}
		if blockers := v.explained(t, &conn.Connection, conn.Causes, now); len(blockers) > 0 {
			row.Blocker = blockers[0].Title
		}
		for _, kind := range listed {
			if def, err := catalogue.Lookup(kind); err != nil || !conn.Enabled || !v.may(def.Capability) {
				continue
			}
			s := v.startOf(t.Slug, kind, conn.ID)
			s.Shown, s.Version, s.Notice, s.Small, s.About = conn.ID, conn.Version, true, true, kind.Name()+", "+conn.Name
			s.Main = kind == op.ConnectionVerify && conn.ChangedSince()
			row.Starts = append(row.Starts, s)
		}
		l.Rows = append(l.Rows, row)
	}
	if !q.Has("attempt") {
		return l, nil
	}
	// Without script the answer to a press stands above the list.
	a, err := v.console.store.Attempt(ctx, scope, q.Get("attempt"))
	if errors.Is(err, op.ErrNotFound) || err == nil && a.Target == nil {
		return l, nil
	} else if err != nil {
		return view.ConnectionList{}, err
	}
	answer := op.Describe(a.Result(v.actor, v.actor.Grants()))
	l.Answer, l.Pressed = &answer, v.startOf(a.Tenant.Slug, a.Operation, a.Target.ConnectionID)
	l.Pressed.Top = true
	return l, nil
}

func (c *Console) connection(v *visit) (page, error) { return c.connectionDetail(v, nil) }

// connectionDetail is a connection's own page; refusal is why a change that was
// asked for there was not made, or nil.
func (c *Console) connectionDetail(v *visit, refusal *httpx.Problem) (page, error) {
	frame, p, err := v.connectionPage("")
	if err != nil {
		return page{}, err
	}
	conn := &p.Connection
	frame.State, frame.Lead = view.ConnectionState(*conn, frame.Now), conn.Provider+" · "+p.Tenant.Name
	if p.Actions, err = v.startActions(p.Tenant, &conn.Connection, true, conn.Active); err != nil {
		return page{}, err
	}
	if p.Report, err = v.report(p.Tenant, &conn.Connection, conn.Causes, frame.Now); err != nil {
		return page{}, err
	}
	p.Done, p.Refusal = v.connectionsDone(), refusal
	return page{frame: frame, body: view.ConnectionDetail(p), parts: view.ConnectionParts(p), about: op.Change{Tenant: p.Tenant.ID}}, nil
}

// connectionPage begins a page about the connection of the path. purpose is what
// one of its further pages is for; empty: it is the connection's own.
func (v *visit) connectionPage(purpose string) (view.Frame, view.ConnectionPage, error) {
	conn, err := v.console.store.Connection(v.r.Context(), v.tenant, v.r.PathValue("connection"))
	if err != nil {
		return view.Frame{}, view.ConnectionPage{}, err
	}
	frame, err := v.frame(conn.Name, view.Tenants)
	if err != nil {
		return view.Frame{}, view.ConnectionPage{}, err
	}
	t := v.tenant.Tenant
	frame.Crumbs = v.crumbs(v.tenantLink(), v.connectionsLink())
	if purpose != "" {
		frame.Title, frame.Heading, frame.Lead = purpose+", "+conn.Name, purpose, conn.FullName()+" of "+t.Name
		frame.Crumbs = append(frame.Crumbs, view.Link{Text: conn.Name, Href: op.ConnectionPath(v.workspace(), t.Slug, conn.Slug)})
	}
	return frame, view.ConnectionPage{
		Workspace: v.workspace(), Tenant: t, Connection: conn, Mends: v.may(tenancy.ManageConnections), Now: frame.Now,
	}, nil
}

// connectionPress is a change of a connection that takes one press. It returns
// where to go on.
type connectionPress func(ctx context.Context, v *visit, tenant, connection string) (path string, err error)

// press answers a change that takes one press. One that is not possible now is
// told on the connection's page.
func (c *Console) press(change op.ConnectionChange, do connectionPress) func(*visit) error {
	return func(v *visit) error {
		path, err := do(v.r.Context(), v, v.tenant.Tenant.ID, v.r.PathValue("connection"))
		if err != nil {
			return v.unsaved(err, func(refusal *httpx.Problem) (page, error) {
				// What is started from here comes back to the page.
				v.r.URL = &url.URL{Path: op.ConnectionPath(v.workspace(), v.tenant.Tenant.Slug, v.r.PathValue("connection"))}
				return c.connectionDetail(v, refusal)
			})
		}
		return v.changed(path, string(change))
	}
}

// meant guards a change that takes something away.
func meant(handle func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		if err := v.sure(); err != nil {
			return err
		}
		return handle(v)
	}
}

func (c *Console) newConnection(v *visit) (page, error) {
	return c.connectionNew(v, nil, url.Values{"directory_id": {v.tenant.Tenant.DirectoryID}, "cloud": {"global"}})
}

func (c *Console) connectionNew(v *visit, refusal *httpx.Problem, values url.Values) (page, error) {
	frame, err := v.frame("Add a connection", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs(v.tenantLink(), v.connectionsLink())
	frame.Lead = "A way for Interlock into the directory of " + v.tenant.Tenant.Name + "."
	form := view.Form{
		Action: op.ConnectionNewPath(v.workspace(), v.tenant.Tenant.Slug), Fields: view.ConnectionFields(true), Values: values, Refusal: refusal,
	}
	return page{frame: frame, body: view.FormCard("cf", "Identity", "Credential and consent come next.", form, "Add connection", v.connectionsLink().Href)}, nil
}

func (c *Console) createConnection(v *visit) error {
	f := v.r.PostForm
	conn, err := c.store.CreateConnection(v.r.Context(), v.actor, v.tenant.Tenant.ID, store.NewConnection{
		Name: f.Get("name"), Slug: f.Get("slug"), ClientID: f.Get("client_id"), DirectoryID: f.Get("directory_id"), Cloud: f.Get("cloud"),
	})
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.connectionNew(v, refusal, f) })
	}
	return v.tidied(op.ConnectionPath(v.workspace(), v.tenant.Tenant.Slug, conn.Slug), op.ConnectionNew, pastedIDs(f))
}

func (c *Console) connectionForm(v *visit) (page, error) { return c.connectionEdit(v, nil) }

func (c *Console) connectionEdit(v *visit, refusal *httpx.Problem) (page, error) {
	frame, p, err := v.connectionPage("Edit")
	if err != nil {
		return page{}, err
	}
	form := view.Form{
		Action: op.EditConnection.Path(v.workspace(), p.Tenant.Slug, p.Connection.Slug), Fields: view.ConnectionFields(false), Values: v.r.PostForm, Refusal: refusal,
	}
	if refusal == nil {
		conn := p.Connection
		form.Values = url.Values{"name": {conn.Name}, "client_id": {conn.ClientID}, "directory_id": {conn.DirectoryID}, "cloud": {conn.Cloud}}
	}
	return page{frame: frame, body: view.FormCard("cf", "Identity",
		"When application, directory or cloud change, what is known of the connection is forgotten until it is verified again. That waits for a run that uses it.",
		form, "Save", op.ConnectionPath(v.workspace(), p.Tenant.Slug, p.Connection.Slug))}, nil
}

func (c *Console) editConnection(v *visit) error {
	value := func(name string) *string {
		text := v.r.PostFormValue(name)
		return &text
	}
	conn, err := c.store.EditConnection(v.r.Context(), v.actor, v.tenant.Tenant.ID, v.r.PathValue("connection"), store.EditConnection{
		Name: value("name"), ClientID: value("client_id"), DirectoryID: value("directory_id"), Cloud: value("cloud"),
	})
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.connectionEdit(v, refusal) })
	}
	return v.tidied(op.ConnectionPath(v.workspace(), v.tenant.Tenant.Slug, conn.Slug), string(op.EditConnection), pastedIDs(v.r.PostForm))
}

func (c *Console) credentialForm(v *visit) (page, error) { return c.credential(v, nil) }

// credential is the page of a new credential. What was typed is not shown again,
// but for the date.
func (c *Console) credential(v *visit, refusal *httpx.Problem) (page, error) {
	frame, p, err := v.connectionPage("Renew the credential")
	if err != nil {
		return page{}, err
	}
	path := op.RotateCredential.Path(v.workspace(), p.Tenant.Slug, p.Connection.Slug)
	secret, certificate := view.Form{Action: path, Fields: view.SecretFields()}, view.Form{Action: path, Fields: view.CertificateFields()}
	if v.r.PostFormValue("kind") == certificateForm {
		certificate.Refusal = refusal
	} else {
		secret.Refusal, secret.Values = refusal, url.Values{"expires_at": {v.r.PostFormValue("expires_at")}}
	}
	return page{frame: frame, body: view.CredentialPage(p, secret, certificate)}, nil
}

// certificateForm is the kind that the form of a certificate says.
const certificateForm = "certificate"

func (c *Console) rotateCredential(v *visit) error {
	credential, err := newCredential(v.r.PostForm)
	if err == nil {
		_, err = c.store.RotateCredential(v.r.Context(), v.actor, v.tenant.Tenant.ID, v.r.PathValue("connection"), credential)
	}
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.credential(v, refusal) })
	}
	return v.tidied(op.ConnectionPath(v.workspace(), v.tenant.Tenant.Slug, v.r.PathValue("connection")), string(op.RotateCredential), credential.Tidied())
}

func newCredential(f url.Values) (store.NewCredential, error) {
	if f.Get("kind") == certificateForm {
		return store.ClientCertificate(f.Get("certificate"), f.Get("password"))
	}
	var expires *time.Time
	if text := f.Get("expires_at"); text != "" {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return store.NewCredential{}, badForm("expires_at", "must be a date, such as 2027-03-31")
		}
		expires = &at
	}
	return store.ClientSecret(f.Get("secret"), expires)
}
