package people

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// membershipOf reads a membership from a form.
func membershipOf(f url.Values) (access.Membership, error) {
	m := access.Membership{Role: tenancy.Role(f.Get("role")), AllTenants: f.Get("all_tenants") != "false"}
	if !m.AllTenants {
		if m.Tenants = f["tenants"]; len(m.Tenants) == 0 {
			return m, web.BadForm("tenants", "must be at least one")
		}
	}
	for _, name := range f["denied"] {
		m.Denied = append(m.Denied, tenancy.Capability(name))
	}
	return m, nil
}

// marks returns the marks of a membership. A form sends them back, so that its changes
// can be told from what it only repeats: somebody else may have changed that meanwhile.
func marks(m access.Membership) membershipMarks {
	var denied []string
	for _, c := range m.Denied {
		denied = append(denied, string(c))
	}
	return membershipMarks{Role: string(m.Role), Tenants: strconv.FormatBool(m.AllTenants) + digest(m.Tenants), Denied: digest(denied)}
}

func digest(list []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(list)), "\n")))
	return hex.EncodeToString(sum[:])
}

// changeOf returns what a form changes in the membership that its page showed.
func changeOf(f url.Values, m access.Membership) (change store.MemberChange) {
	now := marks(m)
	if now.Role != f.Get("was_role") {
		change.Role = &m.Role
	}
	if now.Denied != f.Get("was_denied") {
		change.Denied = &m.Denied
	}
	if now.Tenants != f.Get("was_tenants") {
		change.AllTenants, change.Tenants = &m.AllTenants, &m.Tenants
	}
	return change
}

// searching reports whether a form was sent to find tenants: by its button, or with a
// search text that has not been searched for yet.
func searching(f url.Values) bool {
	query := strings.TrimSpace(f.Get("tenant_query"))
	return f.Has("find") || query != "" && query != f.Get("tenant_found")
}

// foundTenants is how many tenants a search shows.
const foundTenants = 24

// pick fills in the chosen tenants of a form, and those that its search finds.
func pick(v *web.Visit, g *granting) error {
	ctx := v.R.Context()
	chosen := g.Values["tenants"]
	if len(chosen) > 0 {
		options, err := tenantOptions(v)
		if err != nil {
			return err
		}
		for _, o := range options {
			if slices.Contains(chosen, o.Value) {
				g.Tenants.Chosen = append(g.Tenants.Chosen, o)
			}
		}
	}
	g.Tenants.Query = strings.TrimSpace(g.Values.Get("tenant_query"))
	if g.Tenants.Query == "" {
		return nil
	}
	tenants, next, err := v.Store.Tenants(ctx, v.Scope, store.TenantFilter{Query: g.Tenants.Query, Limit: foundTenants})
	if err != nil {
		return err
	}
	g.Tenants.More = next != ""
	for _, t := range tenants {
		if !slices.Contains(chosen, t.Slug) {
			g.Tenants.Found = append(g.Tenants.Found, ui.Option{Value: t.Slug, Text: t.Name})
		}
	}
	return nil
}

// tenantOptions returns the tenants that the reader sees.
func tenantOptions(v *web.Visit) (options []ui.Option, err error) {
	tenants, err := v.Store.TenantNames(v.R.Context(), v.Scope)
	for _, t := range tenants {
		options = append(options, ui.Option{Value: t.Slug, Text: t.Name})
	}
	return options, err
}

// showFound answers a search within a form: it shows the form with what was found.
func showFound(v *web.Visit, again func(*httpx.Problem) (web.Page, error)) error {
	p, err := again(nil)
	if err != nil {
		return err
	}
	return v.ShowOnce(http.StatusOK, p)
}

// granting is a form for a membership.
type granting struct {
	ui.Form
	Tenants tenantPicker
	Was     membershipMarks // what the page showed; zero for somebody new
}

// membershipMarks are digests of a membership as a page shows it; see [marks].
type membershipMarks struct{ Role, Tenants, Denied string }

// tenantPicker is the choice of tenants. It works without script: a search sends the
// form, and the answer is the form with what was found.
type tenantPicker struct {
	Chosen []ui.Option
	Found  []ui.Option
	Query  string // that Found answers; empty: no search
	More   bool   // there are more than Found
}

// membershipFields returns the fields of a membership.
func membershipFields() []ui.Field {
	var roles []ui.Option
	for _, r := range tenancy.Roles() {
		roles = append(roles, ui.Option{Value: string(r), Text: ui.Upper(string(r))})
	}
	return []ui.Field{
		{Name: "role", Label: "Role", Kind: "select", Options: roles},
		{Name: "all_tenants", Label: "Access to tenants"},
		{Name: "tenants", Label: "Tenants"},
		{
			Name: "denied", Label: "Exceptions", Hint: "Take away permissions this role normally has.", Kind: "checks",
			Options: capabilityOptions(tenancy.Capabilities()),
		},
	}
}
