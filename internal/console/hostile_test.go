package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestHostileData (S8): markup in data of a provider or a member is shown as text.
func TestHostileData(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	const hostile = `<script>alert(1)</script>"'><img src=x>`
	tenant, connection := w.Ready("kestrel", nil)
	properties, err := json.Marshal(map[string]string{"description": hostile, "membershipRule": hostile})
	if err != nil {
		t.Fatal(err)
	}
	strange := consoletest.Row("g1", "s1", "", "")
	strange.Type = hostile
	w.Read(tenant, connection, catalogue.Groups, consoletest.Row("", "g1", hostile, string(properties)), consoletest.Row("", hostile, "", `{}`), consoletest.Row("g1", hostile, "", ""), strange)
	w.Read(tenant, connection, "inventory/"+hostile, consoletest.Row("", "a1", hostile, `{}`))
	w.Exec(`UPDATE tenants SET name = $1, domain = $1, owner_name = $1`, hostile)
	w.Exec(`UPDATE users SET name = $1 WHERE id = $2`, hostile, w.Second.ID())
	w.Exec(`UPDATE tokens SET name = $1 WHERE kind = 'token'`, hostile)
	mei := w.Browser(w.Owner)
	mei.Press(mei.Get(kestrel), "#start-"+dashed(op.InventorySync)).Leads(kestrel)
	for _, path := range []string{
		groups, groups + "/g1", kestrel + "/inventory", kestrel + "/settings", tokens, members, members + "/" + w.Second.ID(), "/w/lattice/operations/attempts",
	} {
		page := mei.Get(path).Want(http.StatusOK)
		if n := page.Page.Find("script:not([src]), img").Length(); n != 0 {
			t.Errorf("%s: %d elements came from data", path, n)
		}
		page.Says("main", hostile)
	}
	wrong := mei.Send(http.MethodPost, kestrels+"/new", url.Values{"name": {hostile}, "slug": {hostile}, "client_id": {hostile}, "directory_id": {hostile}}).Want(http.StatusUnprocessableEntity)
	if n := wrong.Page.Find("script:not([src]), img").Length(); n != 0 {
		t.Errorf("%d elements came from what was typed", n)
	}
}

// TestHostileNames (S8): markup in names is shown as text.
func TestHostileNames(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	hostile := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `</title><script>alert(1)</script>`,
		`<hx-partial hx-target="body">x</hx-partial>`, `" hx-get="/x" x="`, `{{7*7}}${7*7}`, `javascript:alert(1)`, `<!--`, `]]>`,
	}
	for i, name := range hostile {
		slug := "h" + strconv.Itoa(i)
		tenant := w.Tenant(w.Workspace, slug, name)
		w.Connection(w.Workspace, tenant, slug, func(c *tenancy.Connection) { c.Name = name })
	}
	w.Exec(`UPDATE users SET name = $1 WHERE id = $2`, hostile[1], w.Operator.ID())
	w.Exec(`UPDATE workspaces SET name = $1 WHERE id = $2`, hostile[3], w.Workspace)
	ana := w.Browser(w.Operator)
	scripts := ana.Get("/w/lattice/operations").Page.Find("script").Length()
	clean := func(what string, a consoletest.Answer) {
		t.Helper()
		a.Page.Find("*").Each(func(_ int, s *goquery.Selection) {
			for _, attr := range s.Nodes[0].Attr {
				if strings.HasPrefix(attr.Key, "on") || strings.HasPrefix(attr.Val, "javascript:") && attr.Key != "aria-label" {
					t.Errorf("%s: an attribute of ours is %s=%q", what, attr.Key, attr.Val)
				}
			}
		})
		if n := a.Page.Find("script").Length(); n != scripts && n != 0 {
			t.Errorf("%s has %d scripts", what, n)
		}
		if n := a.Page.Find("img, iframe, object, main svg[onload], main hx-partial").Length(); n != 0 {
			t.Errorf("%s has %d elements that are not ours", what, n)
		}
	}
	for i, name := range hostile {
		path := "/w/lattice/tenants/h" + strconv.Itoa(i)
		page := ana.Get(path).Want(http.StatusOK)
		clean(path, page)
		page.Says("h1", strings.Join(strings.Fields(name), " "))
		clean("the answer of "+path, ana.WithScript().Press(page, "#start-inventory-sync").Want(http.StatusAccepted))
	}
	clean("the tenants", ana.Get("/w/lattice/tenants"))
	runs := ana.Get("/w/lattice/operations")
	clean("the runs", runs)
	clean("a run", ana.Get(runs.Page.Find("#runs a").First().AttrOr("href", "")))
	clean("a search", ana.Get("/w/lattice/tenants?q="+url.QueryEscape(hostile[1])))
	clean("a filter", ana.Get("/w/lattice/operations?tenant="+url.QueryEscape(hostile[0])+"&show="+url.QueryEscape(hostile[1])))
	clean("a way on", w.Stranger().Get("/sign-in?next="+url.QueryEscape("/"+hostile[1])))
	clean("a foreign address", ana.Get("/w/lattice/tenants/"+url.PathEscape(hostile[0])))
}
