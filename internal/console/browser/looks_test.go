//go:build browser

package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// glance is one way to look at a page.
type glance struct {
	width int64
	theme string
}

// TestBrowserLooks (S1, M3, T1, T2): every page in each of its states, on a desktop and on a
// phone, light and dark. axe finds nothing, nothing is wider than the screen, and the
// browser's console is empty. SHOTS=FOLDER saves pictures there; with -short each page is
// looked at in two ways instead of four.
func TestBrowserLooks(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v: make browser fetches it", err)
	}
	glances := []glance{{1280, "light"}, {390, "dark"}, {390, "light"}, {1280, "dark"}}
	if testing.Short() {
		glances = glances[:2]
	}
	shots := os.Getenv("SHOTS")
	if shots != "" {
		if err := os.MkdirAll(shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := newGallery(t)
	for _, s := range g.scenes() {
		t.Run(s.name, func(t *testing.T) {
			b := g.tab(t, s.role)
			b.size(1280)
			b.theme("light")
			s.show(b)
			b.until(`document.readyState === "complete" && document.fonts.status === "loaded"`)
			for _, look := range glances {
				b.size(look.width)
				b.theme(look.theme)
				what := fmt.Sprintf("%d-%s", look.width, look.theme)
				eval[bool](b, settled)
				if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(look.width) {
					t.Errorf("%s: %d pixels wide: %s", what, wide, eval[string](b, widest))
				}
				b.do(chromedp.Evaluate[chromedp.Void](string(axe)))
				for _, v := range eval[[]string](b, `axe.run({ resultTypes: ["violations"] }).then((r) => r.violations.map(
					(v) => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 3).map((n) => n.html + "\n" + n.failureSummary).join("\n")))`) {
					t.Errorf("%s: axe: %s", what, v)
				}
				if shots != "" {
					b.shot(filepath.Join(shots, s.name+"-"+what+".png"))
				}
			}
			for _, c := range b.complaints() {
				t.Errorf("the console says: %s", c)
			}
			b.forget()
		})
	}
}

// TestBrowserTabInSight: on a narrow screen the current tab of a tenant is in sight.
func TestBrowserTabInSight(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	b := s.visit(t).as("operator")
	const inSight = `(() => { const r = document.querySelector(".tabs [aria-current]").getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth + 1 })()`
	b.open(op.TenantSettingsPath(workspace, p.Slug))
	b.size(390)
	b.until(inSight)
	b.open(op.TenantSettingsPath(workspace, p.Slug))
	b.until(inSight)
}

// settled waits until the page is drawn and its animations are over.
const settled = `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
	.then(() => Promise.all(document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations < Infinity).map((a) => a.finished.catch(() => {}))))
	.then(() => true)`

// widest names the elements that are wider than the page.
const widest = `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
	.slice(0, 5).map((e) => e.tagName + "." + e.className).join(", ")`

// shot writes a picture of the whole page.
func (b *tab) shot(file string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	eval[any](b, `document.activeElement?.blur(), scrollTo(0, 0)`)
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// forget clears the complaints.
func (b *tab) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaint = nil
}

// scene is a page in one of its states.
type scene struct {
	name string
	role string // of the reader; empty: nobody is signed in
	show func(b *tab)
}

// gallery is a show with something of everything in it.
type gallery struct {
	*show
	t        *testing.T
	tabs     map[string]*tab // by role
	database string          // its URL
	keeper   string          // id of the member with second factors

	kestrel, alder, marlow, fenwick     place
	succeeded, partial, failed, waiting op.RunRef
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	database := dbtest.URL(t, db.Postgres)
	s, err := open(t.Context(), demo.Config{Addr: "localhost:0", Heartbeat: time.Second, Database: database}) // passkeys need a name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	g := &gallery{show: s, t: t, tabs: map[string]*tab{}, database: database}
	g.kestrel, g.alder, g.marlow, g.fenwick = s.place(t, "kestrel"), s.place(t, "alder-street"), s.place(t, "marlow"), s.place(t, "fenwick")

	groups := g.alder.start(op.DirectoryGroupsSync)
	g.marlow.fault(graphsim.Fault{Path: "/v1.0/deviceManagement/managedDevices", Action: graphsim.Action{
		Kind: graphsim.ActError, Status: http.StatusBadRequest, Code: "BadRequest", Message: "Invalid filter clause",
	}})
	g.partial = g.marlow.start(op.InventorySync)
	if err := s.control.RevokeConsent(t.Context(), g.fenwick.DirectoryID, g.fenwick.Default.ClientID); err != nil {
		t.Fatal(err)
	}
	g.failed = g.fenwick.start(op.InventorySync)
	g.fenwick.ended(g.failed.ID)
	g.kestrel.fault(graphsim.Fault{Path: "/*/deviceManagement/*", Skip: 9, Action: graphsim.Action{Kind: graphsim.ActHold}})
	g.alder.ended(groups.ID)
	g.succeeded = g.alder.start(op.InventorySync)
	g.alder.ended(g.succeeded.ID)
	g.alder.ended(g.alder.start("directory.roles.sync").ID)
	g.marlow.ended(g.partial.ID)
	verify := g.marlow.start(op.ConnectionVerify)
	g.marlow.ended(verify.ID)
	return g
}

// tab returns the window of a role, for the test t.
func (g *gallery) tab(t *testing.T, role string) *tab {
	t.Helper()
	b := g.tabs[role]
	if b == nil {
		b = g.visit(g.t)
		b.expect(`Failed to load resource: the server responded with a status of (400|401|403|404|409|422) `)
		g.tabs[role] = b
		switch role {
		case "":
		case keeper:
			g.keeper = g.join(g.t, "Kay Rowe", keeperEmail, keeperPassword)
			b.securityKey()
			b.signIn(keeperEmail, keeperPassword)
		default:
			b.as(role)
		}
	}
	b.t = t
	return b
}

// keeper is the role of a member with second factors.
const keeper, keeperEmail, keeperPassword = "keeper", "kay.rowe@lattice.example", "correct horse battery"

// longAgo makes every sign-in a day older while f runs.
func (g *gallery) longAgo(t *testing.T, f func()) {
	t.Helper()
	g.breaks(t, `UPDATE tokens SET proved_at = proved_at - 86400000000`)
	f()
	g.breaks(t, `UPDATE tokens SET proved_at = proved_at + 86400000000`)
}

// at is a scene that needs only an address.
func (g *gallery) at(name, role, path string) scene {
	return scene{name, role, func(b *tab) { b.open(path) }}
}

// pressed is a scene after a start.
func (g *gallery) pressed(name, role string, p place, page surface, kind op.Kind) scene {
	return scene{name, role, func(b *tab) {
		id := dashed(kind) + page.after(p)
		b.open(page.path(p))
		b.click("#start-" + id + " button")
		b.has("#answer-" + id + ".result")
	}}
}

// breaks runs a statement on the database.
func (g *gallery) breaks(t *testing.T, statement string) {
	t.Helper()
	d := dbtest.Open(t, db.Config{URL: g.database})
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, statement)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// scenes returns all scenes. Their order matters: each finds what those before it left.
func (g *gallery) scenes() []scene {
	ws, slug := workspace, g.kestrel.Slug
	var invitation, reset string
	tenant, connection := surfaces[0], surfaces[1]
	juniper := g.place(g.t, "juniper")
	bright := g.place(g.t, "bright-quay")
	return []scene{
		g.at("sign-in", "", "/sign-in"),
		{"sign-in-refused", "", func(b *tab) {
			b.open("/sign-in")
			b.fillIn("ana.ruiz@lattice.example", "not her password")
			b.has(".errors")
		}},
		{"session-ended", "", func(b *tab) {
			yes := true
			call(b, network.SetCookie, network.SetCookieParams{Name: "__Host-interlock", Value: "ils_OVER", URL: g.URL, Path: "/", Secure: &yes})
			b.open(op.TenantsPath(ws))
		}},
		g.at("workspaces", "operator", op.WorkspacesRoute),
		g.at("tenants", "operator", op.TenantsPath(ws)),
		g.at("tenants-none-found", "operator", op.TenantsPath(ws)+"?q=nobody"),
		{"tenants-switcher", "operator", func(b *tab) {
			b.open(op.TenantsPath(ws))
			b.click(".switch")
		}},
		g.at("tenant", "operator", g.alder.path()),
		g.pressed("tenant-accepted", "operator", g.kestrel, tenant, op.InventorySync),
		g.pressed("tenant-deduped", "operator", g.kestrel, tenant, op.InventorySync),
		g.pressed("tenant-scope-busy", "operator", g.kestrel, tenant, op.DirectoryGroupsSync),
		g.pressed("tenant-blocked", "owner", juniper, tenant, op.InventorySync),
		g.pressed("tenant-blocked-ask", "operator", juniper, tenant, op.InventorySync),
		g.at("tenant-no-capability", "viewer", g.alder.path()),
		g.at("tenant-no-default", "operator", op.TenantPath(ws, "harbour-pine")),
		g.at("tenant-archived", "operator", op.TenantPath(ws, "old-mill")),
		g.pressed("connection-deduped", "operator", g.kestrel, connection, op.InventorySync),
		g.pressed("connection-scope-busy", "operator", g.kestrel, connection, op.ConnectionVerify),
		g.pressed("connection-blocked", "owner", bright, connection, op.DirectoryGroupsSync),
		{"connection-accepted", "owner", func(b *tab) {
			b.open(g.alder.connection())
			id := "connection-verify-" + g.alder.Default.ID
			b.click("#start-" + id + " button")
			b.has("#answer-" + id + ".result")
		}},
		g.at("connection", "owner", g.alder.connection()),
		{"connection-delete", "owner", func(b *tab) {
			b.open(g.alder.connection())
			b.click("#manage details:last-of-type summary")
		}},
		g.at("connections", "owner", op.ConnectionsPath(ws, slug)),
		{"connections-notice", "operator", func(b *tab) {
			b.open(op.ConnectionsPath(ws, slug))
			b.click(`form[action$="connection.verify"] button`)
			b.has("#notices .result")
		}},
		g.at("connections-all", "operator", op.AllConnectionsPath(ws)),
		g.at("connection-new", "owner", op.ConnectionNewPath(ws, slug)),
		{"connection-new-refused", "owner", func(b *tab) {
			b.open(op.ConnectionNewPath(ws, slug))
			eval[bool](b, `document.querySelector("main form").noValidate = true`)
			b.do(chromedp.SetValue(chromedp.CSS("#client_id"), "not a GUID"))
			b.click("main form button[type=submit]")
			b.has(".errors")
		}},
		g.at("connection-edit", "owner", op.EditConnection.Path(ws, slug, "primary")),
		g.at("connection-credential", "owner", op.RotateCredential.Path(ws, slug, "primary")),
		g.at("connection-consent", "owner", op.AskConsent.Path(ws, slug, "primary")),
		{"connection-consent-link", "owner", func(b *tab) {
			b.open(op.AskConsent.Path(ws, slug, "primary"))
			b.click(`main form[action$="/consent"] button`)
			b.has("#link")
		}},
		g.at("groups", "operator", op.DatasetPath(ws, "alder-street", "groups")),
		g.at("groups-empty", "operator", op.DatasetPath(ws, "fenwick", "groups")),
		{"group", "operator", func(b *tab) {
			b.open(op.DatasetPath(ws, "alder-street", "groups"))
			b.follow(`tbody a[href*="/groups/"]`)
		}},
		g.at("inventory", "operator", op.DatasetPath(ws, "alder-street", "inventory")),
		g.at("roles-empty", "operator", op.DatasetPath(ws, "fenwick", "roles")),
		g.at("roles", "operator", op.DatasetPath(ws, "alder-street", "roles")),
		{"run-queued", "operator", func(b *tab) {
			// The provider throttles: the run goes back to the queue.
			g.alder.fault(graphsim.Fault{Path: "/*/deviceManagement/*", Action: graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "21"}})
			g.waiting = g.alder.start(op.InventorySync)
			g.alder.until(g.waiting.ID, func(r op.Run) bool { return r.State == op.Queued && r.BeganAt != nil })
			b.open(op.RunPath(ws, g.waiting.Code))
		}},
		{"connection-disabled", "owner", func(b *tab) {
			g.send(b.t, http.MethodPost, "/tenants/alder-street/connections/primary/disable", nil)
			b.open(g.alder.connection())
		}},
		g.at("operations", "operator", op.OperationsPath(ws)),
		g.at("operations-attention", "operator", op.OperationsPath(ws)+"?show=attention"),
		g.at("operations-empty", "operator", op.OperationsPath(ws)+"?state=lost"),
		g.at("attempts", "operator", op.AttemptsPath(ws)),
		{"attempt", "operator", func(b *tab) {
			b.open(op.AttemptsPath(ws))
			b.follow(`tbody a[href*="/attempts/"]`)
		}},
		{"run-running", "operator", func(b *tab) {
			b.open(op.RunPath(ws, g.kestrel.runs()[0].Code))
			b.live()
		}},
		g.at("run-succeeded", "operator", op.RunPath(ws, g.succeeded.Code)),
		g.at("run-partial", "operator", op.RunPath(ws, g.partial.Code)),
		g.at("run-failed", "owner", op.RunPath(ws, g.failed.Code)),
		g.at("run-failed-ask", "operator", op.RunPath(ws, g.failed.Code)),
		g.at("notifications", "operator", op.NotificationsPath(ws)),
		{"notifications-panel", "operator", func(b *tab) {
			b.open(g.marlow.path())
			b.click("#bell")
			b.has("#panel .panel")
		}},
		g.at("tokens", "operator", op.TokensPath(ws)),
		g.at("security", "operator", op.SecurityRoute),
		{"authenticator", "operator", func(b *tab) {
			b.open(op.SecurityRoute)
			b.follow(`form[action="` + op.AuthenticatorRoute + `"] button`)
		}},
		g.at("policy", "owner", op.PolicyPath(ws)),
		{"token-made", "operator", func(b *tab) {
			b.open(op.TokensPath(ws))
			b.do(chromedp.SetValue(chromedp.CSS("#name"), "Nightly report"))
			b.follow("main form:has(#name) button[type=submit]")
			b.says("h2", "Nightly report")
		}},
		{"invite", "owner", func(b *tab) {
			b.open(op.InvitationsPath(ws))
			b.click("#all_tenants-false")
			b.do(chromedp.SetValue(chromedp.CSS("#tenant_query"), "al"))
			b.follow("button[name=find]")
			b.has("#tenants-alder-street")
			b.click("main form details summary")
		}},
		{"invited", "owner", func(b *tab) {
			b.open(op.InvitationsPath(ws))
			b.do(chromedp.SetValue(chromedp.CSS("#email"), "kim.vale@lattice.example"))
			b.follow("main form button.btn--go")
			b.has("#link")
			invitation = eval[string](b, `document.querySelector("#link").value`)
		}},
		{"invitation", "", func(b *tab) { b.do(chromedp.Navigate(invitation)) }},
		{"invitation-other", "operator", func(b *tab) { b.do(chromedp.Navigate(invitation)) }},
		g.at("invitation-dead", "", op.InvitationPath("ili_x")),
		g.at("members", "owner", op.MembersPath(ws)),
		{"member", "owner", func(b *tab) {
			b.open(op.MembersPath(ws))
			b.follow(`#members a[href*="/members/"]`)
			b.click("main details.card summary")
		}},
		{"passkey-new", keeper, func(b *tab) {
			b.open(op.SecurityRoute)
			b.follow(`form[action="` + op.PasskeysRoute + `"] button`)
			b.has(`form[data-passkey="create"] [data-passkey-ask] button`)
		}},
		{"recovery-codes", keeper, func(b *tab) {
			b.follow(`form[data-passkey="create"] [data-passkey-ask] button`)
			b.has(".codes")
		}},
		{"security-factors", keeper, func(b *tab) {
			b.open(op.SecurityRoute)
			b.follow(`form[action="` + op.AuthenticatorRoute + `"] button`)
			code, err := totp.GenerateCode(eval[string](b, `document.getElementById("key").value`), time.Now())
			if err != nil {
				b.t.Fatal(err)
			}
			b.do(chromedp.SetValue(chromedp.CSS("#code"), code))
			b.follow(`form[action="` + op.AuthenticatorConfirmRoute + `"] button`)
			b.says("[role=status]", "Second factor added")
		}},
		{"confirm-factors", keeper, func(b *tab) {
			g.longAgo(b.t, func() {
				b.click(`details:has(form[action="` + op.RecoveryCodesRoute + `"]) summary`)
				b.follow(`form[action="` + op.RecoveryCodesRoute + `"] button`)
			})
			b.says("h1", "Confirm that it's you")
		}},
		{"confirm-password", "owner", func(b *tab) {
			g.longAgo(b.t, func() {
				b.open(op.PolicyPath(ws))
				b.follow(`form[action="` + op.PolicyPath(ws) + `"] button`)
			})
			b.says("h1", "Confirm that it's you")
		}},
		{"sign-in-second", keeper, func(b *tab) {
			b.open(op.SecurityRoute)
			b.signOut()
			b.fillIn(keeperEmail, keeperPassword)
			b.at(op.SignInSecondRoute)
			b.has(usePasskey)
		}},
		{"sign-in-passkey", "", func(b *tab) {
			b.open("/sign-in")
			b.follow(`form[action="` + op.SignInPasskeyRoute + `"] button`)
			b.has(usePasskey)
		}},
		{"reset-link", "owner", func(b *tab) {
			b.open(op.MemberPath(ws, g.keeper))
			b.follow(`form[action="` + op.ResetMember.Path(ws, g.keeper) + `"] button`)
			b.has("#link")
			reset = eval[string](b, `document.querySelector("#link").value`)
		}},
		{"new-password", "", func(b *tab) { b.do(chromedp.Navigate(reset)) }},
		{"new-password-refused", "", func(b *tab) {
			b.do(chromedp.SetValue(chromedp.CSS("#password"), "short"))
			b.follow("form.card button[type=submit]")
			b.has(".errors")
		}},
		{"password-saved", "", func(b *tab) {
			b.do(chromedp.SetValue(chromedp.CSS("#password"), "another horse battery"))
			b.follow("form.card button[type=submit]")
			b.says("h1", "Password saved")
		}},
		g.at("account", "operator", op.AccountRoute),
		g.at("settings", "owner", op.TenantSettingsPath(ws, "alder-street")),
		g.at("error-403", "viewer", op.EditConnection.Path(ws, slug, "primary")),
		g.at("error-404", "operator", op.TenantPath(ws, "nobody")),
		{"run-cancelled", "operator", func(b *tab) {
			r := g.kestrel.runs()[0]
			if _, err := g.as(b.t, "operator").Cancel(b.t.Context(), r.ID); err != nil {
				b.t.Fatal(err)
			}
			g.kestrel.ended(r.ID)
			b.open(op.RunPath(ws, r.Code))
		}},
		{"notice-run-ended", "operator", func(b *tab) {
			b.open(op.TenantsPath(ws))
			b.live()
			p := g.marlow
			p.t = b.t
			p.ended(p.start(op.ConnectionVerify).ID)
			b.has("#notices .result")
		}},
		{"notifications-loading", "operator", func(b *tab) {
			b.open(op.TenantsPath(ws))
			eval[any](b, `document.getElementById("panel").replaceChildren(document.getElementById("panel-loading").content.cloneNode(true))`)
		}},
		{"error-500", "operator", func(b *tab) {
			b.expect(refused(http.StatusInternalServerError))
			g.breaks(b.t, "ALTER TABLE datasets RENAME TO gone")
			b.open(op.DatasetPath(ws, "alder-street", "groups"))
			b.says("h1", "Interlock couldn't show this page")
			g.breaks(b.t, "ALTER TABLE gone RENAME TO datasets")
		}},
		{"run-blocked", "operator", func(b *tab) {
			p := g.alder
			p.t = b.t
			r := p.ended(g.waiting.ID)
			if r.Outcome != op.RunBlocked {
				b.t.Fatalf("the run ended as %s", r.Words.Code)
			}
			b.open(op.RunPath(ws, r.Code))
		}},
	}
}
