package view

import (
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// ConnectionList is the page of a tenant's connections, or of all tenants'.
type ConnectionList struct {
	Workspace   string          // slug
	Tenant      *tenancy.Tenant // nil: all tenants
	Rows        []ConnectionRow
	Answer      *op.Answer // to the press that led to this page, without script
	Pressed     Start      // that press
	Mends       bool       // whether the reader may manage connections
	Done        string     // what was changed just now; empty: nothing
	First, Next string
	Now         time.Time
}

// ConnectionRow is a connection with the first thing that is in its way, in
// words, and the starts that the list offers on it.
type ConnectionRow struct {
	store.ConnectionView
	Blocker string
	Starts  []Start
}

// ConnectionListParts are what lives on the page. The start forms do not: their
// keys are renewed by the answers.
func ConnectionListParts(l ConnectionList) []Part {
	var parts []Part
	for _, r := range l.Rows {
		parts = append(parts,
			Part{ID: "ready-" + r.ID, Content: rowReadiness(r, l.Now)},
			Part{ID: "use-" + r.ID, Content: inUse("use-"+r.ID, l.Workspace, r.Active, l.Now)},
		)
	}
	return parts
}

// ConnectionPage is one connection.
type ConnectionPage struct {
	Workspace  string // slug
	Tenant     tenancy.Tenant
	Connection store.ConnectionView
	Actions    []StartAction
	Report     Report
	Mends      bool           // whether the reader may manage connections
	Done       string         // what was changed just now; empty: nothing
	Refusal    *httpx.Problem // why a change was not made; nil: none was asked for
	Now        time.Time
}

// ConnectionParts are what lives on the page.
func ConnectionParts(p ConnectionPage) []Part {
	parts := []Part{
		{ID: "connection-state", Content: ConnectionState(p.Connection, p.Now)},
		{ID: "in-use", Content: inUse("in-use", p.Workspace, p.Connection.Active, p.Now)},
		{ID: "verification", Content: VerificationCard(p.Report)},
		{ID: "permissions", Content: permissions(p)},
	}
	for _, a := range p.Actions {
		parts = append(parts, Part{ID: a.aboutID(), Content: about(p.Workspace, a, p.Now)})
	}
	return parts
}

func (p ConnectionPage) path(c op.ConnectionChange) string {
	return c.Path(p.Workspace, p.Tenant.Slug, p.Connection.Slug)
}

// need is a permission that operations ask for.
type need struct {
	look
	name string // as granted, else the one to ask for
	text string
}

// needs are the permissions of all operations, the missing ones first, and how
// many of them are granted.
func (p ConnectionPage) needs() (list []need, granted int) {
	type asked struct {
		catalogue.Permission
		by, without []string // which need it, and which leave a part out without it
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
			a.by = append(a.by, d.Kind.Name())
		}
		for _, permission := range d.Optional {
			a := ask(permission)
			a.without = append(a.without, d.Kind.Name())
		}
	}
	var stops, cares, fulfilled []need
	for _, a := range all {
		by := "by " + strings.Join(slices.Concat(a.by, a.without), ", ") + ", to " + a.For + "."
		has := slices.IndexFunc(a.AnyOf, func(name string) bool { return slices.Contains(p.Connection.Permissions, name) })
		switch {
		case p.Connection.PermissionsAt == nil && len(a.by) > 0:
			stops = append(stops, need{unknown, a.AnyOf[0], "Needed " + by})
		case p.Connection.PermissionsAt == nil:
			cares = append(cares, need{unknown, a.AnyOf[0], "Used " + by})
		case has >= 0:
			fulfilled = append(fulfilled, need{fine, a.AnyOf[has], "Granted. Used " + by})
		case len(a.by) > 0:
			stops = append(stops, need{look{"stop", "stop"}, a.AnyOf[0], "Missing. Needed " + by})
		default:
			cares = append(cares, need{care, a.AnyOf[0], "Missing. " + cant(a.without, a.For)})
		}
	}
	return slices.Concat(stops, cares, fulfilled), len(fulfilled)
}

// cant tells what operations leave out for want of a permission.
func cant(kinds []string, what string) string {
	return strings.Join(kinds, ", ") + " can't " + what + " without it."
}

// beyond are the granted permissions that no operation uses.
func (p ConnectionPage) beyond() (names []string) {
	list, _ := p.needs()
	for _, name := range p.Connection.Permissions {
		if !slices.ContainsFunc(list, func(n need) bool { return n.name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// ends tells when a credential stops to work.
func ends(c tenancy.Connection, now time.Time) string {
	switch at := c.CredentialExpiresAt; {
	case c.Credential == "":
		return ""
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
	return upper(c.Credential.Words())
}

var clouds = []Option{{"global", "Global"}, {"gcchigh", "US Government (GCC High)"}, {"dod", "US Government (DoD)"}, {"china", "China (21Vianet)"}}

func cloud(value string) string {
	for _, o := range clouds {
		if o.Value == value {
			return o.Text
		}
	}
	return value
}

// ConnectionFields are the fields of what a connection is; for a new one also
// those that can't be changed afterwards.
func ConnectionFields(isNew bool) []Field {
	fields := []Field{{Name: "name", Label: "Name", Hint: "As people call it, such as “Kestrel primary”.", Max: 80}}
	if isNew {
		fields = append(fields, Field{
			Name: "slug", Label: "Short name for addresses", Hint: "Lower-case letters, digits and hyphens. Left empty: made from the name.", Max: 63, Optional: true,
		})
	}
	return append(fields,
		Field{Name: "client_id", Label: "Application (client) ID", Hint: "GUID of the app registration in Microsoft Entra.", Max: 80},
		Field{Name: "directory_id", Label: "Directory (tenant) ID", Hint: "GUID of the directory that the connection signs in to.", Max: 80},
		Field{Name: "cloud", Label: "Cloud", Kind: "select", Options: clouds},
	)
}

// SecretFields are the fields of a client secret.
func SecretFields() []Field {
	return []Field{
		{Name: "secret", Label: "Secret value", Hint: "Not the secret’s ID. It is encrypted, and cannot be read back.", Kind: "password", Max: 1024, Fill: "new-password"},
		{Name: "expires_at", Label: "Expires on", Hint: "As the app registration says. Interlock warns 14 days before.", Kind: "date", Optional: true},
	}
}

// CertificateFields are the fields of a certificate.
func CertificateFields() []Field {
	return []Field{
		{
			Name: "certificate", Label: "Certificate with its private key", Kind: "textarea",
			Hint: "PEM, or a PFX file in base64, with an RSA key. It is encrypted, and can’t be read back. Its expiry date is taken from the certificate.",
		},
		{Name: "password", Label: "Password of the PFX file", Kind: "password", Max: 256, Fill: "off", Optional: true},
	}
}
