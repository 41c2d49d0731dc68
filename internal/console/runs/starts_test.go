package runs_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestFourOutcomes (T1, V1): each answer is below its button, in the same component and with
// its status, with and without script.
func TestFourOutcomes(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Ready("marlow", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		ana := w.Browser(w.Operator)
		for _, tt := range []struct {
			tenant string
			kind   op.Kind
			status int
			shown  consoletest.Result
		}{
			{"marlow", op.InventorySync, http.StatusUnprocessableEntity, consoletest.Result{
				Tag: "Blocked", Title: "Inventory sync did not start",
				Why: "Admin consent is missing. ", Next: "Ask an administrator of Marlow to grant consent", Facts: "blocked/consent_missing",
			}},
			{"kestrel", op.InventorySync, http.StatusAccepted, consoletest.Result{
				Tag: "Accepted", Title: "Inventory sync is queued",
				Why: "All checks passed. Run ", Next: "You'll be notified when it ends.", Facts: "QueuedRun ",
			}},
			{"kestrel", op.InventorySync, http.StatusOK, consoletest.Result{
				Tag: "Already running", Title: "Inventory sync is already queued",
				Why: "Same operation is active. You started it", Next: "Follow run ", Facts: "QueuedNothing new",
			}},
			{"kestrel", op.DirectoryGroupsSync, http.StatusConflict, consoletest.Result{
				Tag: "Connection busy", Title: "Directory groups sync did not start",
				Why: "Connection is in use. Inventory sync (run ", Next: "Start again when run ", Facts: "scope_busy/other_operation_active",
			}},
		} {
			t.Run(tt.tenant+" "+string(tt.kind)+" "+tt.shown.Tag, func(t *testing.T) {
				path := op.TenantPath("lattice", tt.tenant)
				form, slot := "#start-"+strings.ReplaceAll(string(tt.kind), ".", "-"), "#answer-"+strings.ReplaceAll(string(tt.kind), ".", "-")
				check := func(got consoletest.Result) {
					t.Helper()
					if got.Tag != tt.shown.Tag || got.Title != tt.shown.Title || !strings.HasPrefix(got.Why, tt.shown.Why) ||
						!strings.Contains(got.Next, tt.shown.Next) || !strings.Contains(got.Facts, tt.shown.Facts) {
						t.Errorf("shows %+v,\nwant %+v", got, tt.shown)
					}
				}
				page := ana.Get(path).Want(http.StatusOK)
				fragment := ana.WithScript().Press(page, form).Want(tt.status)
				check(fragment.Result(slot))
				if old, fresh := page.Page.Find(form+" [name=key]").AttrOr("value", ""), fragment.Page.Find("input[name=key]").AttrOr("value", ""); fresh == "" || fresh == old {
					t.Errorf("the next press has the key %q, this one had %q", fresh, old)
				}
				if tt.shown.Tag == "Accepted" {
					return // pressed once more it would be another answer
				}
				back := ana.Get(ana.Press(ana.Get(path), form).Leads(path + "?attempt="))
				check(back.Result(slot))
				if _, focused := back.Page.Find(slot + "[autofocus][tabindex='-1']").Attr("id"); !focused {
					t.Error("the answer has no focus")
				}
			})
		}
		if wrong := w.Audit(); len(wrong) > 0 {
			t.Error(wrong)
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}

// TestSameFormTwice: a double click, or a form that is sent again, starts once.
func TestSameFormTwice(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		page := ana.Get(kestrel)
		first := ana.Press(page, "#start-inventory-sync").Leads(kestrel + "?attempt=")
		if again := ana.Press(page, "#start-inventory-sync").Leads(kestrel + "?attempt="); again != first {
			t.Errorf("the same form leads to %s, then to %s", first, again)
		}
		answer := ana.WithScript().Press(page, "#start-inventory-sync").Want(http.StatusAccepted).Result("#answer-inventory-sync")
		if !strings.HasPrefix(answer.Why, "Request was already answered.") {
			t.Errorf("shows %+v", answer)
		}
		other := ana.WithScript().Press(page, "#start-inventory-sync", "parameters", `{"types":["mobileApps"]}`).Want(http.StatusUnprocessableEntity)
		other.Says(".result", "The same key was used before with other values")
		if n := w.Int(`SELECT COUNT(*) FROM runs`) + w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 2 {
			t.Errorf("%d runs and attempts, want one of each", n)
		}
	})
}

// TestStaleForms: an out-of-date form starts nothing, and the page says so.
func TestStaleForms(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		_, connection := w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		page := ana.Get(kestrel)
		nothing := func() {
			t.Helper()
			if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
				t.Fatalf("%d runs were started", n)
			}
		}

		old := web.NewKey(time.Now().Add(-access.SessionIdle - time.Minute))
		ana.Press(page, "#start-inventory-sync", "key", old).Want(http.StatusBadRequest).Says("h1", "This form has expired")
		ana.WithScript().Press(page, "#start-inventory-sync", "key", old).Want(http.StatusBadRequest).Says(".result__title", "This form has expired")
		for _, key := range []string{"", "x", "zz-short", strings.Repeat("a", 300)} {
			ana.Press(page, "#start-inventory-sync", "key", key).Want(http.StatusUnprocessableEntity)
		}
		ana.Press(page, "#start-inventory-sync", "version", "one").Want(http.StatusUnprocessableEntity)
		ana.Press(page, "#start-inventory-sync", "parameters", "{").Want(http.StatusUnprocessableEntity)
		ana.Press(page, "#start-inventory-sync", "parameters", strings.Repeat("x", 64<<10)).Want(http.StatusRequestEntityTooLarge)
		nothing()

		// The connection was edited since the page showed it.
		w.Exec(`UPDATE connections SET version = 2, rev = rev + 1 WHERE id = $1`, connection)
		ana.WithScript().Press(page, "#start-inventory-sync").Want(http.StatusUnprocessableEntity).
			Says("#answer-inventory-sync", "Connection has changed. kestrel primary was edited after the page loaded.")
		nothing()

		// The session is over: nothing was sent, and the way back is kept.
		w.Exec(`UPDATE tokens SET revoked_at = interlock_now() WHERE kind = 'session'`)
		ended := ana.Press(page, "#start-inventory-sync").Want(http.StatusUnauthorized)
		ended.Says("h1", "Your session has ended")
		ended.Says("main", "Nothing was changed.")
		if to := ended.Page.Find("main a").AttrOr("href", ""); to != "/sign-in?next="+url.QueryEscape(kestrel) {
			t.Errorf("leads to %q", to)
		}
		ana.WithScript().Press(page, "#start-inventory-sync").Want(http.StatusUnauthorized).Says(".result__title", "Your session has ended")
		nothing()
		if n := w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 1 {
			t.Errorf("%d attempts are on record, want the one that the gate answered", n)
		}
	})
}

// TestTooManyStarts: a start over the limit is refused with Retry-After.
func TestTooManyStarts(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{Budgets: httpx.Budgets{Starts: httpx.NewBudget(1)}})
	w.Ready("kestrel", nil)
	ana := w.Browser(w.Operator)
	page := ana.Get(kestrel)
	ana.Press(page, "#start-inventory-sync").Leads(kestrel)
	over := ana.Press(ana.Get(kestrel), "#start-directory-groups-sync").Want(http.StatusTooManyRequests)
	over.Says("h1", "Too many starts")
	if over.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
}

// TestTooManyByScript: by script, a start over a limit of starts or requests is refused in
// the place of its answer, and that place remains.
func TestTooManyByScript(t *testing.T) {
	for _, limit := range []struct {
		name, title string
		budgets     func() httpx.Budgets
		presses     int
	}{
		{"starts", "Too many starts", func() httpx.Budgets { return httpx.Budgets{Starts: httpx.NewBudget(1)} }, 1},
		{"requests", "Too many requests", func() httpx.Budgets { return httpx.Budgets{Requests: httpx.NewBudget(2)} }, 1},
	} {
		t.Run(limit.name, func(t *testing.T) {
			w := consoletest.OnOne(t, console.Deps{Budgets: limit.budgets()})
			_, connection := w.Ready("kestrel", nil)
			ana := w.Browser(w.Operator)
			page := ana.Get(kestrel)
			for range limit.presses {
				ana.WithScript().Press(page, "#start-directory-groups-sync").Want(http.StatusAccepted)
			}
			over := ana.WithScript().Press(page, "#start-inventory-sync").Want(http.StatusTooManyRequests)
			over.Says("#answer-inventory-sync.result[role=alert] .result__title", limit.title)
			over.Says(".result__slots", "Next")
			if over.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
			listed := ana.WithScript().Press(page, "#start-inventory-sync", "connection", connection, "notice", "1").Want(http.StatusTooManyRequests)
			if n := listed.Page.Find(".result--compact .result__close").Length(); n != 1 {
				t.Errorf("a notice has %d buttons that close it", n)
			}
		})
	}
}

// TestEveryOperationHasFourOutcomes: each operation that starts by a button shows all four
// outcomes on the tenant's page and on the connection's page, and queues something only
// when it is accepted.
func TestEveryOperationHasFourOutcomes(t *testing.T) {
	var kinds []op.Kind
	for _, d := range catalogue.All() {
		if !d.Input {
			kinds = append(kinds, d.Kind)
		}
	}
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		for i, kind := range kinds {
			other := kinds[(i+1)%len(kinds)]
			slug := fmt.Sprint("tenant-", i)
			w.Ready(slug, nil)
			bare, refused := slug+"-bare", slug+"-refused"
			w.Ready(bare, func(c *tenancy.Connection) { c.Default = false })
			w.Ready(refused, func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
			ana := w.Browser(w.Operator)
			presses := []struct {
				path, tag string
				kind      op.Kind
			}{
				{op.TenantPath("lattice", bare), "Blocked", kind},
				{op.ConnectionPath("lattice", refused, refused), "Blocked", kind},
				{op.TenantPath("lattice", slug), "Accepted", kind},
				{op.ConnectionPath("lattice", slug, slug), "Already running", kind},
				{op.TenantPath("lattice", slug), "Already running", kind},
				{op.ConnectionPath("lattice", slug, slug), "Connection busy", other},
				{op.TenantPath("lattice", slug), "Connection busy", other},
			}
			var tabs []consoletest.Answer // all are opened before the first press
			for _, p := range presses {
				tabs = append(tabs, ana.Get(p.path).Want(http.StatusOK))
			}
			for n, p := range presses {
				if strings.Contains(p.path, refused) && kind == op.ConnectionVerify {
					continue // a verification finds out whether consent is still missing
				}
				name := strings.ReplaceAll(string(p.kind), ".", "-")
				if strings.Contains(p.path, "/connections/") {
					name += "-" + w.ConnectionAt(p.path)
				}
				if got := ana.WithScript().Press(tabs[n], "#start-"+name).Result("#answer-" + name); got.Tag != p.tag {
					t.Errorf("%s on %s shows %+v, want %s", p.kind, p.path, got, p.tag)
				}
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != int64(len(kinds)) {
			t.Errorf("%d runs for %d accepted starts", n, len(kinds))
		}
	})
}
