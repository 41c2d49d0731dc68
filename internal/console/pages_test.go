package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestPartsAreOnTheirPages: each part of a stream has exactly one place on its page, and
// none of them contains a start form, whose key would change.
func TestPartsAreOnTheirPages(t *testing.T) {
	w := consoletest.Quick(consoletest.OnOne(t, console.Deps{}))
	tenant, connection := w.Ready("kestrel", nil)
	w.Read(tenant, connection, catalogue.Groups, consoletest.Row("", "g1", "Drivers", `{}`))
	w.Read(tenant, connection, "inventory/mobileApps", consoletest.Row("", "a1", "Payroll", `{}`))
	mei := w.Browser(w.Owner)
	for _, path := range []string{kestrel, kestrels, primary, "/w/lattice/connections", groups, kestrel + "/inventory", "/w/lattice/operations/attempts"} {
		page := mei.Get(path).Want(http.StatusOK)
		address, lives := page.Page.Find("#stream").Attr("data-page")
		if !lives {
			t.Errorf("%s does not live", path)
			continue
		}
		first := mei.Stream(consoletest.WithLive(t, address)).Next()
		parts := first.Find("hx-partial")
		if parts.Length() < 3 {
			t.Errorf("%s has %d parts", path, parts.Length())
		}
		parts.Each(func(_ int, part *goquery.Selection) {
			target := part.AttrOr("hx-target", "")
			if n := page.Page.Find(target).Length(); n != 1 {
				t.Errorf("%s has %d places for %s", path, n, target)
			}
			if n := page.Page.Find(target + " [name=key]").Length(); n != 0 {
				t.Errorf("%s: %s holds %d start forms", path, target, n)
			}
		})
	}
}

// TestEvidence: the provider's answer is folded at the run, at each failed item and at each
// failed check, and nowhere else.
func TestEvidence(t *testing.T) {
	const evidence = `{"call":"GET /v1.0/groups","status":403,"code":"AccessDenied","text":"<b>No</b>","request_id":"r-1","client_request_id":"c-1","correlation_id":"k-1","at":"2026-11-23T14:02:31Z"}`
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		tenant, connection := w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		accepted := ana.Get(ana.Press(ana.Get(kestrel), "#start-inventory-sync").Leads(kestrel))
		path := accepted.Page.Find(".result__acts a").AttrOr("href", "")
		id := w.RunAt(path)
		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, evidence, at)
			VALUES ($1, 1, 'apps', 'Apps', 'failed', 0, 0, 4, 'item_refused', '{"provider":"Microsoft 365","provider_message":"No"}', $2, interlock_now()),
			($1, 2, 'devices', 'Devices', 'done', 4, 0, 4, '', '{}', '', interlock_now()),
			($1, 3, 'intents', 'Intents', 'not_applicable', 0, 0, 0, 'not_licensed', '{"tenant":"Kestrel"}', '', interlock_now())`, id, evidence)
		w.Exec(`UPDATE runs SET state = 'finished', outcome = 'failed', cause = $2, ended_at = interlock_now() WHERE id = $1`, id,
			`{"code":"provider_rejected","phase":"execution","args":{},"evidence":`+evidence+`}`)
		w.Exec(`DELETE FROM run_claims WHERE run_id = $1`, id)

		page := ana.Get(path).Want(http.StatusOK)
		for _, fold := range []string{"#evidence-run", "#evidence-1"} {
			if page.Page.Find(fold+"[open]").Length() != 0 || page.Page.Find(fold+" > summary").Length() != 1 {
				t.Errorf("%s is no closed fold", fold)
			}
			for _, fact := range []string{"GET /v1.0/groups", "HTTP 403", "AccessDenied", "<b>No</b>", "r-1", "c-1", "k-1", "23 Nov 2026, 14:02:31 UTC"} {
				page.Says(fold, fact)
			}
		}
		if n := page.Page.Find("details.evidence").Length(); n != 2 {
			t.Errorf("%d folds, one of the run and one of its failed item are right", n)
		}
		page.Says("#item-rows", "IntentsNot applicableKestrel has no licence for this service, so there is nothing to read.")

		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', $5, interlock_now())`, connection, w.Workspace, tenant, access.NewID(),
			`[{"key":"sign_in","name":"Sign-in","result":"ok","detail":"It works."},
			{"key":"area.groups","name":"Groups and members","result":"failed","reason":"access_refused","args":{"permissions":"Group.Read.All","provider_message":"No"},"evidence":`+evidence+`},
			{"key":"area.devices","name":"Devices","result":"not_applicable","reason":"not_licensed","args":{}}]`)
		for _, at := range []string{kestrel, primary} {
			page = ana.Get(at).Want(http.StatusOK)
			page.Says("#verification", "Groups and membersMicrosoft 365 denied access. Microsoft 365 denied access although kestrel primary has Group.Read.All. It said: “No”.")
			page.Says("#verification", "Ask an administrator of Kestrel")
			page.Says("#verification", "DevicesNot applicable. Kestrel has no licence for this service, so there is nothing to read.")
			page.Says("#verification #found-area\\.groups", "c-1")
			page.Says("#verification #checked-area\\.groups", "c-1")
		}
	})
}

// TestAge: facts about a connection have their age, and say "Not verified since the
// change" after a change. No green pill is beside a red one.
func TestAge(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		old := time.Now().Add(-29 * 24 * time.Hour)
		tenant, connection := w.Ready("kestrel", func(c *tenancy.Connection) { c.VerifiedAt, c.PermissionsAt = &old, &old })
		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', '[]', interlock_now())`, connection, w.Workspace, tenant, access.NewID())
		mei := w.Browser(w.Owner)
		places := []struct{ path, state string }{
			{"/w/lattice/tenants", "#tenant-list"}, {kestrel, "#tenant-state"}, {kestrels, "#connections"}, {"/w/lattice/connections", "#connections"}, {primary, "#connection-state"},
		}
		for _, p := range places {
			page := mei.Get(p.path).Want(http.StatusOK)
			page.Says(p.state, "Ready")
			page.Says(p.state, "Checked 29 days ago")
		}
		mei.Get(kestrel).Says("#verification", "Verified")

		w.Exec(`UPDATE connections SET changed_at = interlock_now() WHERE id = $1`, connection)
		for _, p := range places {
			page := mei.Get(p.path).Want(http.StatusOK)
			page.Says(p.state, "Not verified since the change")
			page.Says(p.state, "Checked 29 days ago")
			if strings.Contains(page.Text(p.state), "Ready") {
				t.Errorf("%s says Ready of a credential that was never tried: %q", p.path, page.Text(p.state))
			}
		}
		for _, p := range []string{kestrel, primary} {
			page := mei.Get(p)
			page.Says("#verification .card__head", "Not verified since the change")
			if page.Page.Find("form#start-connection-verify .btn--go, form[id^=start-connection-verify] .btn--go").Length() != 1 {
				t.Errorf("%s: verifying is not the primary button", p)
			}
			if page.Page.Find("form[id^=start-inventory] .btn--go").Length() != 0 {
				t.Errorf("%s: there are two primary buttons", p)
			}
		}

		// Whatever is in the way goes before what was verified.
		w.Exec(`UPDATE connections SET consent = 'revoked' WHERE id = $1`, connection)
		for _, p := range []string{kestrel, primary} {
			head := mei.Get(p).Text("#verification .card__head")
			if !strings.Contains(head, "Blocked") || strings.Contains(head, "Verified") {
				t.Errorf("%s: the verification says %q beside a blocked connection", p, head)
			}
		}
	})
}

// TestFilterByAnyTenant: a list is filtered by a tenant's name or URL name, and says so when
// the text matches none or several.
func TestFilterByAnyTenant(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		for i := range 205 {
			w.Tenant(w.Workspace, fmt.Sprintf("t-%03d", i), fmt.Sprintf("Tenant %03d", i))
		}
		w.Tenant(w.Other, "elsewhere", "Elsewhere")
		w.Ready("kestrel", nil)
		_, run := w.Start(w.Operator, "kestrel", op.InventorySync)
		ana := w.Browser(w.Operator)
		for _, path := range []string{"/w/lattice/operations", "/w/lattice/operations/attempts"} {
			for text, want := range map[string]string{
				"t-204": "t-204", "T-204": "t-204", "Tenant 204": "t-204", "tenant 204": "t-204", " nant 204 ": "t-204", "kest": "kestrel",
			} {
				page := ana.Get(path + "?tenant=" + url.QueryEscape(text)).Want(http.StatusOK)
				field := page.Page.Find("#f-tenant")
				if got := field.AttrOr("value", ""); got != want || field.AttrOr("aria-invalid", "false") != "false" {
					t.Errorf("%s: %q shows the tenant %q, want %q", path, text, got, want)
				}
				if got := page.Page.Find("#main a[href*='"+run+"']").Length() > 0; got != (want == "kestrel") {
					t.Errorf("%s: %q shows Kestrel's run: %t", path, text, got)
				}
			}
			for text, want := range map[string]string{
				"nobody":    "“nobody” is no tenant that you can see.",
				"elsewhere": "“elsewhere” is no tenant that you can see.",
				"Tenant 20": "“Tenant 20” fits 5 tenants, such as Tenant 200 (t-200), Tenant 201 (t-201), Tenant 202 (t-202).",
				"tenant":    "“tenant” fits more than 20 tenants, such as Tenant 000 (t-000), Tenant 001 (t-001), Tenant 002 (t-002).",
			} {
				page := ana.Get(path + "?tenant=" + url.QueryEscape(text)).Want(http.StatusOK)
				field := page.Page.Find("#f-tenant")
				if got := page.Page.Find("#" + field.AttrOr("aria-describedby", "nothing")).Text(); got != want {
					t.Errorf("%s: %q is answered %q, want %q", path, text, got, want)
				}
				if page.Page.Find("#main a[href*='"+run+"']").Length() > 0 {
					t.Errorf("%s: %q shows runs", path, text)
				}
			}
			if n := ana.Get(path).Want(http.StatusOK).Page.Find("option[value^='t-']").Length(); n > 20 {
				t.Errorf("%s offers %d tenants at once", path, n)
			}
		}
		choices := func(text string) (values []string) {
			ana.Get("/w/lattice/tenant-choices?tenant=" + url.QueryEscape(text)).Want(http.StatusOK).Page.Find("option").Each(func(_ int, o *goquery.Selection) {
				values = append(values, o.AttrOr("value", ""))
			})
			return values
		}
		if got := strings.Join(choices("Nant 20"), " "); got != "t-200 t-201 t-202 t-203 t-204" {
			t.Errorf("offered are %q", got)
		}
		if got := choices("t"); len(got) != 20 {
			t.Errorf("%d are offered", len(got))
		}
		if got := append(choices("elsewhere"), choices("a\x00b")...); len(got) != 0 {
			t.Errorf("offered are %q", got)
		}
	})
}

// TestFault: an internal error has a page with a reference to the log.
func TestFault(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Site.Handle(web.Route{Method: http.MethodGet, Path: "/fault", Object: web.Self}, func(*web.Visit) error { panic("a fault of ours") })
	page := w.Browser(w.Owner).Get("/fault").Want(http.StatusInternalServerError)
	page.Says("h1", "Interlock couldn't show this page")
	page.Says("main", "send the reference "+page.Header.Get("X-Request-Id")+" to support")
	if strings.Contains(string(page.Body), "a fault of ours") {
		t.Error("the page tells what went wrong inside")
	}
}

// TestSimulatorIsNamed: every page of a server with a simulator says so, and no page of
// another server.
func TestSimulatorIsNamed(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		w := consoletest.OnOne(t, console.Deps{Simulated: simulated})
		w.Ready("kestrel", nil)
		owner := w.Browser(w.Owner)
		for path, b := range map[string]*consoletest.Browser{
			"/sign-in": w.Stranger(), "/nowhere": w.Stranger(), "/workspaces": owner, "/w/lattice/tenants": owner,
			"/w/lattice/tenants/kestrel": owner, "/w/lattice/tenants/none": owner, "/w/lattice/operations": owner, "/w/lattice/members": owner,
		} {
			said := strings.TrimSpace(b.Get(path).Page.Find("body > aside.simulated").Text())
			if (said == op.Simulated) != simulated {
				t.Errorf("%s, with a simulator: %t: says %q", path, simulated, said)
			}
		}
	}
}
