package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// start asks for an operation past the console and returns the run's code.
func (w *world) start(a access.Actor, tenant string, kind op.Kind) (id, code string) {
	w.t.Helper()
	res, err := w.gate.Start(w.t.Context(), a, op.Request{Tenant: tenant, Kind: kind, Surface: op.SurfaceAPI})
	if err != nil || res.Run() == nil {
		w.t.Fatalf("%v, %v", res.Outcome(), err)
	}
	return res.Run().ID, res.Run().Code
}

// working makes a run one that a worker works on, as the ledger would.
func (w *world) working(run string, done, total int64) {
	w.t.Helper()
	now := time.Now()
	w.Exec(`UPDATE runs SET state = 'running', began_at = $2, seen_at = $2, progress_at = $2, done = $3, total = $4 WHERE id = $1`, run, now.UnixMicro(), done, total)
	w.Exec(`UPDATE run_claims SET lease_until = $2, boot_id = 'test' WHERE run_id = $1`, run, now.Add(time.Minute).UnixMicro())
}

// ended makes a run one that ended, and tells its starter.
func (w *world) ended(run string, outcome op.RunOutcome, cause string) {
	w.t.Helper()
	w.Exec(`DELETE FROM run_claims WHERE run_id = $1`, run)
	w.Exec(`DELETE FROM river_job`)
	w.Exec(`UPDATE runs SET state = 'finished', outcome = $2, cause = $3, ended_at = interlock_now() WHERE id = $1`, run, string(outcome), cause)
	w.Exec(`UPDATE tenants SET latest_run = $1, latest_outcome = $2 WHERE id = (SELECT r.tenant_id FROM runs r WHERE r.id = $1)`, run, string(outcome))
	w.Exec(`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at)
		SELECT $2, workspace_id, tenant_id, initiator_id, id, interlock_now() FROM runs WHERE id = $1`, run, access.NewID())
	w.feed.Changed(op.Change{Run: run})
}

func (a answer) column(selector string) (texts []string) {
	a.page.Find(selector).Each(func(_ int, s *goquery.Selection) { texts = append(texts, strings.Join(strings.Fields(s.Text()), " ")) })
	return texts
}

func TestTenantList(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		soon := time.Now().Add(5 * 24 * time.Hour)
		w.ready("fenwick", func(c *tenancy.Connection) { c.CredentialExpiresAt = &soon })
		run, _ := w.start(w.Operator, "kestrel", op.InventorySync)
		jonas := w.browser(w.Viewer)
		for _, tt := range []struct{ query, want string }{
			{"", "Fenwick fenwick.example, Kestrel kestrel.example, Marlow marlow.example"},
			{"?q=STREL", "Kestrel kestrel.example"},
			{"?q=marlow.ex", "Marlow marlow.example"},
			{"?readiness=blocked", "Marlow marlow.example"},
			{"?readiness=needs_care", "Fenwick fenwick.example"},
			{"?readiness=ready", "Kestrel kestrel.example"},
			{"?run=active", "Kestrel kestrel.example"},
			{"?run=failed", ""},
			{"?q=nowhere", ""},
		} {
			page := jonas.get("/w/lattice/tenants" + tt.query).want(http.StatusOK)
			if got := strings.Join(page.column("#tenants td:first-child"), ", "); got != tt.want {
				t.Errorf("%q lists %q, want %q", tt.query, got, tt.want)
			}
			if tt.want == "" {
				page.says(".empty", "No tenants match these filters")
			}
		}
		page := jonas.get("/w/lattice/tenants")
		page.says("tr:contains(Marlow)", "Admin consent is missing")
		page.says("tr:contains(Fenwick)", "Client secret expires in 4 days")
		page.says("tr:contains(Kestrel)", "Queued Inventory sync")
		w.ended(run, op.RunFailed, `{"code":"provider_unreachable","phase":"execution","args":{}}`)
		jonas.get("/w/lattice/tenants?run=failed").says("#tenants", "Kestrel")
		jonas.get("/w/lattice/tenants?cursor=x").want(http.StatusBadRequest)
		jonas.get("/w/lattice/tenants?q=" + strings.Repeat("x", 300)).want(http.StatusUnprocessableEntity)
	})
}

func TestPaging(t *testing.T) {
	w := onOne(t, Deps{})
	for i := range 53 {
		w.Tenant(w.Workspace, "t"+strconv.Itoa(100+i), "Tenant "+strconv.Itoa(100+i))
	}
	mei := w.browser(w.Owner)
	first := mei.get("/w/lattice/tenants?readiness=blocked")
	if n := first.page.Find("#tenants tr").Length(); n != 50 {
		t.Fatalf("%d on the first page", n)
	}
	next := first.page.Find("[rel=next]").AttrOr("href", "")
	second := mei.get(next)
	if got := second.column("#tenants td:first-child a"); len(got) != 3 || got[0] != "Tenant 150" {
		t.Errorf("the second page lists %q", got)
	}
	if second.page.Find("[rel=next]").Length() != 0 {
		t.Error("the last page leads further")
	}
	if back := second.page.Find(".pager a").AttrOr("href", ""); back != "/w/lattice/tenants?readiness=blocked" {
		t.Errorf("the first page is at %s", back)
	}
	// A cursor of one list is none of another.
	u, _ := url.Parse(next)
	mei.get("/w/lattice/operations?cursor=" + u.Query().Get("cursor")).want(http.StatusBadRequest)
}

// TestTenantPage (T1, T2, P4): what can be started, what was verified, and who
// mends what is in the way.
func TestTenantPage(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		expired := time.Now().Add(-24 * time.Hour)
		tenant, connection := w.ready("kestrel", func(c *tenancy.Connection) { c.CredentialExpiresAt = &expired })
		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', $5, interlock_now())`, connection, w.Workspace, tenant, access.NewID(), `[{"key":"sign_in","name":"Sign-in","result":"ok","detail":"It works."},
			{"key":"area.groups","name":"Groups and members","result":"failed","reason":"permission_missing","detail":"","args":{"provider":"Microsoft 365","permissions":"Group.Read.All","count":"1"}}]`)

		page := w.browser(w.Operator).get(kestrel).want(http.StatusOK)
		for _, op := range []string{"Connection verification", "Inventory sync", "Directory groups sync"} {
			page.says(".acts", op)
		}
		if n := page.page.Find(".acts form button:not([disabled])").Length(); n != 3 {
			t.Errorf("%d buttons, want 3: the gate says what is in the way", n)
		}
		page.says("h1", "Blocked")
		page.says("#verification", "Credential has expired. Add a new credential, then start again.")
		page.says("#verification", "Groups and members")
		page.says("#verification", "1 permission is missing. kestrel primary does not have Group.Read.All.")
		page.says("#verification", "Ask an administrator of Kestrel to grant them")
		page.says("#verification", "It works.")
		page.says("#recent", "No runs yet.")

		// Who may mend it is led there; who may not is told whom to ask.
		answer := func(b *browser) answer {
			return b.withScript().press(b.get(kestrel), "#start-inventory-sync").want(http.StatusUnprocessableEntity)
		}
		ask := answer(w.browser(w.Operator))
		ask.says(".result__ask", "Ask a workspace owner.")
		mend := answer(w.browser(w.Owner))
		if mend.page.Find(".result__ask").Length() != 0 {
			t.Error("an owner is told to ask an owner")
		}
		if to := mend.page.Find(".result__acts a.btn--go").AttrOr("href", ""); to != "/w/lattice/tenants/kestrel/connections/kestrel/credential" {
			t.Errorf("the owner is led to %q", to)
		}

		// Who may not start anything has no way to.
		viewer := w.browser(w.Viewer).get(kestrel)
		viewer.says(".acts", "Needs “Sync inventory”")
		if n := viewer.page.Find(".acts form").Length(); n != 0 {
			t.Errorf("a viewer has %d start forms", n)
		}
	})
}

// TestRunPage (M2, P2): what a run is, who asked for it, on what, and who joined.
func TestRunPage(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		ana, mei := w.browser(w.Operator), w.browser(w.Owner)
		accepted := ana.get(ana.press(ana.get(kestrel), "#start-inventory-sync").leads(kestrel))
		path := accepted.page.Find(".result__acts a").AttrOr("href", "")
		if _, err := w.gate.Start(t.Context(), w.Second, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceCLI}); err != nil {
			t.Fatal(err)
		}

		page := ana.get(path).want(http.StatusOK)
		page.says("h1", "Inventory sync Queued")
		page.says("#run-top", "In line.")
		page.says("#run-facts", "Microsoft 365 · kestrel primary")
		page.says("#run-facts", "Ana Ruiz Console")
		page.says("#run-facts", "BeganNot yet")
		page.says("#run-facts", "Holds the connectionYes, until it ends")
		page.says("#joined", "Tom Okafor")
		page.says("#joined", "Command line")
		page.says("#timeline", "Accepted")
		if strings.Contains(page.text("#run-facts"), "Choices") {
			t.Error("the operation's own defaults are shown as choices")
		}
		if page.page.Find("#run-actions form").Length() != 1 || page.page.Find("form[action$=release]").Length() != 0 {
			t.Error("a run that is in line can be cancelled, and not be released")
		}
		if w.browser(w.Viewer).get(path).page.Find("#run-actions form").Length() != 0 {
			t.Error("a viewer can cancel")
		}
		ana.get(strings.ToLower(path)).want(http.StatusOK) // a code that was typed

		id := w.run(path)
		w.working(id, 3, 12)
		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, at)
			VALUES ($1, 1, 'apps', 'Apps', 'failed', 0, 0, 4, 'permission_missing', '{"provider":"Microsoft 365","permissions":"DeviceManagementApps.Read.All","count":"1"}', interlock_now())`, id)
		page = ana.get(path)
		page.says("#run-top h2", "3 of 12 types")
		page.says("#run-top", "25%")
		page.says("#item-rows", "AppsFailed1 permission is missing. The connection does not have DeviceManagementApps.Read.All.")

		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, at)
			VALUES ($1, 2, 'devices', 'Devices', 'done', 4, 0, 4, '', '{}', interlock_now())`, id)
		w.Exec(`UPDATE runs SET failed = 1 WHERE id = $1`, id)
		if got := ana.get(path).column("#item-rows td:first-child"); len(got) != 2 {
			t.Errorf("items %q", got)
		}
		if got := ana.get(path + "?show=failed").column("#item-rows td:first-child"); len(got) != 1 || got[0] != "Apps" {
			t.Errorf("failed items %q", got)
		}

		// Of many items the first few are shown, failed ones before the others; of steps
		// that follow each other the newest.
		for i := range 12 {
			w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, at)
				VALUES ($1, $2, $3, $3, 'done', 0, 0, 0, '', '{"objects":"0"}', interlock_now())`, id, 10+i, fmt.Sprintf("type-%02d", i))
			w.Exec(`INSERT INTO run_events (run_id, seq, at, kind, text, fence) VALUES ($1, $2, interlock_now(), 'step', $3, 1)`, id, 100+i, fmt.Sprintf("Reading type-%02d", i))
		}
		w.Exec(`UPDATE run_items SET result = 'failed', reason = 'item_not_reached' WHERE run_id = $1 AND key = 'type-11'`, id)
		page = ana.get(path)
		if got := page.column("#item-rows td:first-child"); len(got) != 10 || got[0] != "Apps" || got[1] != "type-11" || got[2] != "Devices" {
			t.Errorf("items %q", got)
		}
		page.says("#item-rows", "type-11Not reached")
		page.says("#item-rows", "type-00DoneNone in the tenant")
		all := page.page.Find("#items .pager a")
		if got := ana.get(all.AttrOr("href", "")).column("#item-rows td:first-child"); all.Text() != "Show all 14" || len(got) != 14 || got[0] != "Apps" || got[1] != "Devices" {
			t.Errorf("%s leads to %q", all.Text(), got)
		}
		if lines := page.column("#timeline .timeline > li > div > b"); len(lines) != 2 || lines[0] != "Reading type-11" {
			t.Errorf("timeline %q", lines)
		}
		page.says("#timeline summary", "11 steps before it")
		page.says("#timeline .before li:last-child", "Reading type-00")

		// It stands still: an owner may take the connection away, an operator not.
		w.Exec(`UPDATE runs SET progress_at = progress_at - 3600000000 WHERE id = $1`, id)
		ana.get(path).says("#run-top", "Inventory sync makes no progress")
		if ana.get(path).page.Find("form[action$=release]").Length() != 0 {
			t.Error("an operator can release a connection")
		}
		still := mei.get(path)
		mei.press(still, "form[action$=release]", "note", "x").want(http.StatusUnprocessableEntity)
		mei.press(still, "form[action$=release]", "note", "it hangs since this morning").leads(path)
		mei.get(path).says("#timeline", "Mei Tan released the connection")
		mei.press(still, "form[action$=release]", "note", "a second note").want(http.StatusConflict).says("main", "Mei Tan released this run on ")

		w.ended(id, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		page = ana.get(path)
		if got := page.result("#outcome"); got.tag != "Failed" || got.title != "Inventory sync failed" || !strings.HasPrefix(got.why, "Admin consent was withdrawn.") {
			t.Errorf("shows %+v", got)
		}
		page.says("#run-facts", "Holds the connectionNo")
		if n := w.Int(`SELECT COUNT(*) FROM notifications WHERE read_at IS NULL`); n != 0 {
			t.Error("its starter has seen how it ended, and is told again")
		}
		again := ana.press(page, "#run-actions form").leads(path + "?attempt=")
		ana.get(again).says(".result__title", "Inventory sync is queued")
	})
}

// run returns the id of the run at an address.
func (w *world) run(path string) (id string) {
	w.t.Helper()
	r, err := w.store.Run(w.t.Context(), w.scope(w.Owner), path[strings.LastIndex(path, "/")+1:])
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

func (w *world) scope(a access.Actor) access.Scope {
	w.t.Helper()
	s, err := w.console.site.Door.Workspace(w.t.Context(), a, tenancy.View)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestCancel(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		_, code := w.start(w.Operator, "kestrel", op.InventorySync)
		path := "/w/lattice/operations/" + code
		ana := w.browser(w.Operator)
		page := ana.get(path)
		ana.press(page, "#run-actions form").leads(path)
		if got := ana.get(path).result("#outcome"); got.tag != "Cancelled" || !strings.Contains(got.why, "It had not begun.") {
			t.Errorf("shows %+v", got)
		}
		late := ana.press(page, "#run-actions form").want(http.StatusConflict)
		late.says("main", "Ana Ruiz cancelled this run on ")
		if wrong := w.Audit(); len(wrong) > 0 {
			t.Error(wrong)
		}
	})
}

// TestFilterByAnyTenant: a list is narrowed to one of many tenants by what a person
// would type, and says so when that means none or several.
func TestFilterByAnyTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for i := range 205 {
			w.Tenant(w.Workspace, fmt.Sprintf("t-%03d", i), fmt.Sprintf("Tenant %03d", i))
		}
		w.Tenant(w.Other, "elsewhere", "Elsewhere")
		w.ready("kestrel", nil)
		_, run := w.start(w.Operator, "kestrel", op.InventorySync)
		ana := w.browser(w.Operator)
		for _, path := range []string{"/w/lattice/operations", "/w/lattice/operations/attempts"} {
			for text, want := range map[string]string{
				"t-204": "t-204", "T-204": "t-204", "Tenant 204": "t-204", "tenant 204": "t-204", " nant 204 ": "t-204", "kest": "kestrel",
			} {
				page := ana.get(path + "?tenant=" + url.QueryEscape(text)).want(http.StatusOK)
				field := page.page.Find("#f-tenant")
				if got := field.AttrOr("value", ""); got != want || field.AttrOr("aria-invalid", "false") != "false" {
					t.Errorf("%s: %q shows the tenant %q, want %q", path, text, got, want)
				}
				if got := page.page.Find("#main a[href*='"+run+"']").Length() > 0; got != (want == "kestrel") {
					t.Errorf("%s: %q shows Kestrel's run: %t", path, text, got)
				}
			}
			for text, want := range map[string]string{
				"nobody":    "“nobody” is no tenant that you can see.",
				"elsewhere": "“elsewhere” is no tenant that you can see.",
				"Tenant 20": "“Tenant 20” fits 5 tenants, such as Tenant 200 (t-200), Tenant 201 (t-201), Tenant 202 (t-202).",
				"tenant":    "“tenant” fits more than 20 tenants, such as Tenant 000 (t-000), Tenant 001 (t-001), Tenant 002 (t-002).",
			} {
				page := ana.get(path + "?tenant=" + url.QueryEscape(text)).want(http.StatusOK)
				field := page.page.Find("#f-tenant")
				if got := page.page.Find("#" + field.AttrOr("aria-describedby", "nothing")).Text(); got != want {
					t.Errorf("%s: %q is answered %q, want %q", path, text, got, want)
				}
				if page.page.Find("#main a[href*='"+run+"']").Length() > 0 {
					t.Errorf("%s: %q shows runs", path, text)
				}
			}
			if n := ana.get(path).want(http.StatusOK).page.Find("option[value^='t-']").Length(); n > 20 {
				t.Errorf("%s offers %d tenants at once", path, n)
			}
		}
		choices := func(text string) (values []string) {
			ana.get("/w/lattice/tenant-choices?tenant=" + url.QueryEscape(text)).want(http.StatusOK).page.Find("option").Each(func(_ int, o *goquery.Selection) {
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

// TestRunList (M1, M3): runs of all tenants that someone sees, told apart at a glance.
func TestRunList(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", nil)
		w.ready("fenwick", nil)
		kestrel, _ := w.start(w.Operator, "kestrel", op.InventorySync)
		w.start(w.Owner, "marlow", op.DirectoryGroupsSync)
		fenwick, _ := w.start(w.Operator, "fenwick", op.ConnectionVerify)
		w.ended(fenwick, op.RunBlocked, `{"code":"authorization_lost","phase":"execution","args":{}}`)
		w.working(kestrel, 1, 2)
		mei := w.browser(w.Owner)
		for _, tt := range []struct {
			query string
			want  []string
		}{
			{"", []string{"Blocked before run Starter lost access", "Queued", "Running"}},
			{"?show=active", []string{"Queued", "Running"}},
			{"?show=attention", []string{"Blocked before run Starter lost access"}},
			{"?by=me", []string{"Queued"}},
			{"?tenant=kestrel", []string{"Running"}},
			{"?operation=connection.verify", []string{"Blocked before run Starter lost access"}},
			{"?state=queued", []string{"Queued"}},
			{"?state=blocked", []string{"Blocked before run Starter lost access"}},
			{"?state=succeeded", nil},
			{"?tenant=nowhere", nil},
		} {
			page := mei.get("/w/lattice/operations" + tt.query).want(http.StatusOK)
			if got := page.column("#runs td:nth-child(2)"); strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("%q lists %q, want %q", tt.query, got, tt.want)
			}
		}
		page := mei.get("/w/lattice/operations")
		page.says("#count-active", "2")
		page.says("tr:contains(Kestrel)", "1 of 2 types")
		page.says("tr:contains(Fenwick)", "Did not run")
		if got := w.browser(w.Outsider).get("/w/northgate/operations").page.Find("#runs tr").Length(); got != 0 {
			t.Errorf("someone of another workspace sees %d runs", got)
		}
	})
}

// TestNotifications (A4): who started a run is told how it ended, and nobody else.
func TestNotifications(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		run, code := w.start(w.Operator, "kestrel", op.InventorySync)
		w.ended(run, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		ana, mei := w.browser(w.Operator), w.browser(w.Owner)
		const path = "/w/lattice/notifications"

		page := ana.get(path).want(http.StatusOK)
		page.says("#inbox", "Inventory sync failed (unread)")
		page.says("#inbox", "Admin consent was withdrawn.")
		page.says("#inbox", "Kestrel · run "+code)
		if label := page.page.Find("#bell").AttrOr("aria-label", ""); label != "Notifications, 1 unread" {
			t.Errorf("the bell says %q", label)
		}
		panel := ana.withScript().get(path).want(http.StatusOK)
		panel.says("aside", "Inventory sync failed")
		if panel.page.Find("html main").Length() != 0 {
			t.Error("the panel is a whole page")
		}
		mei.get(path).says("#inbox", "Nothing yet")

		mei.press(mei.get(path), "form[action$=read]").leads(path)
		ana.get(path).says("#bell", "1") // still
		ana.press(page, "form[action$=read]").leads(path)
		if n := ana.get(path).page.Find(".is-unread").Length(); n != 0 {
			t.Errorf("%d unread after all were read", n)
		}
	})
}

// TestHostileNames (S8): what people and providers call things stays text.
func TestHostileNames(t *testing.T) {
	w := onOne(t, Deps{})
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
	ana := w.browser(w.Operator)
	scripts := ana.get("/w/lattice/operations").page.Find("script").Length()
	clean := func(what string, a answer) {
		t.Helper()
		a.page.Find("*").Each(func(_ int, s *goquery.Selection) {
			for _, attr := range s.Nodes[0].Attr {
				if strings.HasPrefix(attr.Key, "on") || strings.HasPrefix(attr.Val, "javascript:") && attr.Key != "aria-label" {
					t.Errorf("%s: an attribute of ours is %s=%q", what, attr.Key, attr.Val)
				}
			}
		})
		if n := a.page.Find("script").Length(); n != scripts && n != 0 {
			t.Errorf("%s has %d scripts", what, n)
		}
		if n := a.page.Find("img, iframe, object, main svg[onload], main hx-partial").Length(); n != 0 {
			t.Errorf("%s has %d elements that are not ours", what, n)
		}
	}
	for i, name := range hostile {
		path := "/w/lattice/tenants/h" + strconv.Itoa(i)
		page := ana.get(path).want(http.StatusOK)
		clean(path, page)
		page.says("h1", strings.Join(strings.Fields(name), " "))
		clean("the answer of "+path, ana.withScript().press(page, "#start-inventory-sync").want(http.StatusAccepted))
	}
	clean("the tenants", ana.get("/w/lattice/tenants"))
	runs := ana.get("/w/lattice/operations")
	clean("the runs", runs)
	clean("a run", ana.get(runs.page.Find("#runs a").First().AttrOr("href", "")))
	clean("a search", ana.get("/w/lattice/tenants?q="+url.QueryEscape(hostile[1])))
	clean("a filter", ana.get("/w/lattice/operations?tenant="+url.QueryEscape(hostile[0])+"&show="+url.QueryEscape(hostile[1])))
	clean("a way on", w.stranger().get("/sign-in?next="+url.QueryEscape("/"+hostile[1])))
	clean("a foreign address", ana.get("/w/lattice/tenants/"+url.PathEscape(hostile[0])))
}

// TestFault: what goes wrong on our side has a page that says so, and a reference
// to look it up by.
func TestFault(t *testing.T) {
	w := onOne(t, Deps{})
	w.console.site.Handle(web.Route{Method: http.MethodGet, Path: "/fault", Object: web.Self}, func(*web.Visit) error { panic("a fault of ours") })
	page := w.browser(w.Owner).get("/fault").want(http.StatusInternalServerError)
	page.says("h1", "Interlock could not show this page")
	page.says("main", "send the reference "+page.header.Get("X-Request-Id")+" to support")
	if strings.Contains(string(page.body), "a fault of ours") {
		t.Error("the page tells what went wrong inside")
	}
}

// TestTooManyStarts: a limit is told as one, and queues nothing.
func TestTooManyStarts(t *testing.T) {
	w := onOne(t, Deps{Budgets: httpx.Budgets{Starts: httpx.NewBudget(1)}})
	w.ready("kestrel", nil)
	ana := w.browser(w.Operator)
	page := ana.get(kestrel)
	ana.press(page, "#start-inventory-sync").leads(kestrel)
	over := ana.press(ana.get(kestrel), "#start-directory-groups-sync").want(http.StatusTooManyRequests)
	over.says("h1", "Too many starts in a short time")
	if over.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
}

// TestTooManyByScript: a press over a limit, of starts or of requests, is answered in
// the place of its answer, which stays there for the next press.
func TestTooManyByScript(t *testing.T) {
	for _, limit := range []struct {
		name, title string
		budgets     func() httpx.Budgets
		presses     int
	}{
		{"starts", "Too many starts in a short time", func() httpx.Budgets { return httpx.Budgets{Starts: httpx.NewBudget(1)} }, 1},
		{"requests", "Too many requests in a short time", func() httpx.Budgets { return httpx.Budgets{Requests: httpx.NewBudget(2)} }, 1},
	} {
		t.Run(limit.name, func(t *testing.T) {
			w := onOne(t, Deps{Budgets: limit.budgets()})
			_, connection := w.ready("kestrel", nil)
			ana := w.browser(w.Operator)
			page := ana.get(kestrel)
			for range limit.presses {
				ana.withScript().press(page, "#start-directory-groups-sync").want(http.StatusAccepted)
			}
			over := ana.withScript().press(page, "#start-inventory-sync").want(http.StatusTooManyRequests)
			over.says("#answer-inventory-sync.result[role=alert] .result__title", limit.title)
			over.says(".result__slots", "Next")
			if over.header.Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
			listed := ana.withScript().press(page, "#start-inventory-sync", "connection", connection, "notice", "1").want(http.StatusTooManyRequests)
			if n := listed.page.Find(".result--compact .result__close").Length(); n != 1 {
				t.Errorf("a notice has %d buttons that close it", n)
			}
		})
	}
}
