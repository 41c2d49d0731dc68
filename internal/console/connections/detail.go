package connections

import (
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showDetail(v *web.Visit) (web.Page, error) { return detailPage(v, nil) }

// detailPage is the page of a connection. refusal is why a change was refused, or nil.
func detailPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, p, err := begin(v, "")
	if err != nil {
		return web.Page{}, err
	}
	conn := &p.Connection
	frame.State, frame.Lead = state(*conn, frame.Now), conn.Provider+" · "+p.Tenant.Name
	if p.Actions, err = v.StartActions(p.Tenant, &conn.Connection, true, conn.Active); err != nil {
		return web.Page{}, err
	}
	if p.Report, err = v.Report(p.Tenant, &conn.Connection, conn.Causes, frame.Now); err != nil {
		return web.Page{}, err
	}
	p.Done, p.Refusal = doneWords(v), refusal
	return web.Page{Frame: frame, Body: detailBody(p), Parts: detailParts(p), About: op.Change{Tenant: p.Tenant.ID}}, nil
}

// begin starts a page about the connection in the path. purpose is the heading of a
// further page; empty: the connection's own page.
func begin(v *web.Visit, purpose string) (ui.Frame, detail, error) {
	conn, err := v.Store.Connection(v.R.Context(), v.Tenant, v.R.PathValue("connection"))
	if err != nil {
		return ui.Frame{}, detail{}, err
	}
	frame, err := v.Frame(conn.Name, ui.Tenants)
	if err != nil {
		return ui.Frame{}, detail{}, err
	}
	t := v.Tenant.Tenant
	frame.Crumbs = v.Crumbs(v.TenantLink(), connectionsLink(v))
	if purpose != "" {
		frame.Title, frame.Heading, frame.Lead = purpose+", "+conn.Name, purpose, conn.FullName()+" of "+t.Name
		frame.Crumbs = append(frame.Crumbs, ui.Link{Text: conn.Name, Href: op.ConnectionPath(v.Workspace(), t.Slug, conn.Slug)})
	}
	return frame, detail{
		Workspace: v.Workspace(), Tenant: t, Connection: conn, Mends: v.May(tenancy.ManageConnections), Now: frame.Now,
	}, nil
}

// detail is one connection.
type detail struct {
	Workspace  string // slug
	Tenant     tenancy.Tenant
	Connection store.ConnectionView
	Actions    []ui.StartAction
	Report     ui.Report
	Mends      bool           // the reader can manage connections
	Done       string         // confirms a change; empty: none
	Refusal    *httpx.Problem // why a change was refused; nil: none was
	Now        time.Time
}

// detailParts returns the parts of the page that update.
func detailParts(p detail) []ui.Part {
	parts := []ui.Part{
		{ID: "connection-state", Content: state(p.Connection, p.Now)},
		{ID: "in-use", Content: inUse("in-use", p.Workspace, p.Connection.Active, p.Now)},
		{ID: "verification", Content: ui.VerificationCard(p.Report)},
		{ID: "permissions", Content: permissions(p)},
	}
	return append(parts, ui.StartParts(p.Workspace, p.Actions, p.Now)...)
}

func (p detail) path(c op.ConnectionChange) string {
	return c.Path(p.Workspace, p.Tenant.Slug, p.Connection.Slug)
}

// need is a permission that operations need or use.
type need struct {
	ui.Look
	name string // the granted one, else the one to ask for
	text string
}

// needs returns the permissions of all operations, missing ones first, and how many are
// granted.
func (p detail) needs() (list []need, granted int) {
	type asked struct {
		catalogue.Permission
		by      []string // baseline operations that need it
		others  []string // further operations that need it: the tenant is ready without them
		without []string // operations that leave a part out without it
	}
	var all []asked
	ask := func(permission catalogue.Permission) *asked {
		i := slices.IndexFunc(all, func(a asked) bool { return slices.Equal(a.AnyOf, permission.AnyOf) })
		if i < 0 {
			i = len(all)
			all = append(all, asked{Permission: permission})
		}
		return &all[i]
	}
	for _, d := range catalogue.All() {
		for _, permission := range d.Permissions {
			a := ask(permission)
			if d.Baseline {
				a.by = append(a.by, d.Kind.Name())
			} else {
				a.others = append(a.others, d.Kind.Name())
			}
		}
		for _, permission := range d.Optional {
			a := ask(permission)
			a.without = append(a.without, d.Kind.Name())
		}
	}
	var stops, cares, fulfilled []need
	for _, a := range all {
		needed := "Needed by " + strings.Join(slices.Concat(a.by, a.others), ", ") + ", to " + a.For + "."
		if len(a.without) > 0 {
			needed += " " + cant(a.without, a.For)
		}
		used := "Used by " + strings.Join(slices.Concat(a.by, a.others, a.without), ", ") + ", to " + a.For + "."
		has := slices.IndexFunc(a.AnyOf, func(name string) bool { return slices.Contains(p.Connection.Permissions, name) })
		switch {
		case p.Connection.PermissionsAt == nil && len(a.by) > 0:
			stops = append(stops, need{ui.Unknown, a.AnyOf[0], needed})
		case p.Connection.PermissionsAt == nil:
			cares = append(cares, need{ui.Unknown, a.AnyOf[0], used})
		case has >= 0:
			fulfilled = append(fulfilled, need{ui.Fine, a.AnyOf[has], "Granted. " + used})
		case len(a.by) > 0:
			stops = append(stops, need{ui.Stop, a.AnyOf[0], "Missing. " + needed})
		default:
			cares = append(cares, need{ui.Care, a.AnyOf[0], "Missing. " + cant(slices.Concat(a.others, a.without), a.For)})
		}
	}
	return slices.Concat(stops, cares, fulfilled), len(fulfilled)
}

// cant says what operations leave out without a permission.
func cant(kinds []string, what string) string {
	return strings.Join(kinds, ", ") + " can't " + what + " without it."
}

// beyond returns the granted permissions that no operation uses.
func (p detail) beyond() (names []string) {
	list, _ := p.needs()
	for _, name := range p.Connection.Permissions {
		if !slices.ContainsFunc(list, func(n need) bool { return n.name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// ends says when a credential expires, if it does.
func ends(c tenancy.Connection, now time.Time) string {
	switch at := c.CredentialExpiresAt; {
	case c.Credential == "":
		return ""
	case c.Credential == tenancy.WorkloadIdentity:
		return "Nothing secret is saved"
	case at == nil:
		return "Expiry not known"
	case !at.After(now):
		return "Expired on " + op.Day(*at)
	default:
		return "Expires on " + op.Day(*at)
	}
}

// kindOf names a saved credential.
func kindOf(c tenancy.Connection) string {
	if c.Credential == "" {
		return "None saved"
	}
	return ui.Upper(c.Credential.Words())
}

// clouds are the options of the field.
func clouds() []ui.Option {
	var list []ui.Option
	for _, c := range tenancy.Clouds() {
		list = append(list, ui.Option{Value: c.Name, Text: c.Title})
	}
	return list
}

func cloud(name string) string {
	if c, known := tenancy.CloudNamed(name); known {
		return c.Title
	}
	return name
}

// particular is one of the details of a credential.
type particular struct{ name, value string }

// particulars returns the details of a credential, as the app registration shows them.
func particulars(d tenancy.CredentialDetails) (list []particular) {
	for _, p := range []particular{
		{"Thumbprint", d.Thumbprint}, {"Thumbprint (SHA-256)", d.ThumbprintSHA256}, {"Issuer", d.Issuer}, {"Subject identifier", d.Subject}, {"Audience", d.Audience},
	} {
		if p.value != "" {
			list = append(list, p)
		}
	}
	return list
}
