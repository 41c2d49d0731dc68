package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const kestrel = "/w/lattice/tenants/kestrel"

// TestFourOutcomes (T1, V1): every answer stands below its button, in the same
// component and with its true status, with script and without.
func TestFourOutcomes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		ana := w.browser(w.Operator)
		for _, tt := range []struct {
			tenant string
			kind   op.Kind
			status int
			shown  shown
		}{
			{"marlow", op.InventorySync, http.StatusUnprocessableEntity, shown{
				"Blocked", "Inventory sync did not start", "Admin consent is missing. ", "Ask an administrator of Marlow to grant consent", "blocked/consent_missing",
			}},
			{"kestrel", op.InventorySync, http.StatusAccepted, shown{
				"Accepted", "Inventory sync is queued", "All checks passed. Run ", "We notify you when it ends.", "QueuedRun ",
			}},
			{"kestrel", op.InventorySync, http.StatusOK, shown{
				"Already running", "Inventory sync is already queued", "Same operation is active. You started it", "Follow run ", "QueuedNothing new",
			}},
			{"kestrel", op.DirectoryGroupsSync, http.StatusConflict, shown{
				"Connection busy", "Directory groups sync did not start", "Connection is in use. Inventory sync is using kestrel primary", "Start again when run ", "scope_busy/other_operation_active",
			}},
		} {
			t.Run(tt.tenant+" "+string(tt.kind)+" "+tt.shown.tag, func(t *testing.T) {
				path := op.TenantPath("lattice", tt.tenant)
				form, slot := "#start-"+strings.ReplaceAll(string(tt.kind), ".", "-"), "#answer-"+strings.ReplaceAll(string(tt.kind), ".", "-")
				check := func(got shown) {
					t.Helper()
					if got.tag != tt.shown.tag || got.title != tt.shown.title || !strings.HasPrefix(got.why, tt.shown.why) ||
						!strings.Contains(got.next, tt.shown.next) || !strings.Contains(got.facts, tt.shown.facts) {
						t.Errorf("shows %+v,\nwant %+v", got, tt.shown)
					}
				}
				page := ana.get(path).want(http.StatusOK)
				fragment := ana.withScript().press(page, form).want(tt.status)
				check(fragment.result(slot))
				if old, fresh := page.page.Find(form+" [name=key]").AttrOr("value", ""), fragment.page.Find("input[name=key]").AttrOr("value", ""); fresh == "" || fresh == old {
					t.Errorf("the next press has the key %q, this one had %q", fresh, old)
				}
				if tt.shown.tag == "Accepted" {
					return // pressed once more it would be another answer
				}
				back := ana.get(ana.press(ana.get(path), form).leads(path + "?attempt="))
				check(back.result(slot))
				if _, focused := back.page.Find(slot + "[autofocus][tabindex='-1']").Attr("id"); !focused {
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

// TestSameFormTwice: a double click, and a form that a browser sends again, is
// one press.
func TestSameFormTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		page := ana.get(kestrel)
		first := ana.press(page, "#start-inventory-sync").leads(kestrel + "?attempt=")
		if again := ana.press(page, "#start-inventory-sync").leads(kestrel + "?attempt="); again != first {
			t.Errorf("the same form leads to %s, then to %s", first, again)
		}
		answer := ana.withScript().press(page, "#start-inventory-sync").want(http.StatusAccepted).result("#answer-inventory-sync")
		if !strings.HasPrefix(answer.why, "Start was already received.") {
			t.Errorf("shows %+v", answer)
		}
		other := ana.withScript().press(page, "#start-inventory-sync", "parameters", `{"types":["mobileApps"]}`).want(http.StatusUnprocessableEntity)
		other.says(".result", "The same key came before with other values")
		if n := w.Int(`SELECT COUNT(*) FROM runs`) + w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 2 {
			t.Errorf("%d runs and attempts, want one of each", n)
		}
	})
}

// TestStaleForms: a form that no longer says what is true starts nothing, and the
// page says so.
func TestStaleForms(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, connection := w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		page := ana.get(kestrel)
		nothing := func() {
			t.Helper()
			if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
				t.Fatalf("%d runs were started", n)
			}
		}

		old := web.NewKey(time.Now().Add(-access.SessionIdle - time.Minute))
		ana.press(page, "#start-inventory-sync", "key", old).want(http.StatusBadRequest).says("h1", "This form is out of date")
		ana.withScript().press(page, "#start-inventory-sync", "key", old).want(http.StatusBadRequest).says(".result__title", "This form is out of date")
		for _, key := range []string{"", "x", "zz-short", strings.Repeat("a", 300)} {
			ana.press(page, "#start-inventory-sync", "key", key).want(http.StatusUnprocessableEntity)
		}
		ana.press(page, "#start-inventory-sync", "version", "one").want(http.StatusUnprocessableEntity)
		ana.press(page, "#start-inventory-sync", "parameters", "{").want(http.StatusUnprocessableEntity)
		ana.press(page, "#start-inventory-sync", "parameters", strings.Repeat("x", 64<<10)).want(http.StatusRequestEntityTooLarge)
		nothing()

		// The connection was edited since the page showed it.
		w.Exec(`UPDATE connections SET version = 2, rev = rev + 1 WHERE id = $1`, connection)
		ana.withScript().press(page, "#start-inventory-sync").want(http.StatusUnprocessableEntity).
			says("#answer-inventory-sync", "Connection changed meanwhile. kestrel primary was edited after the page was loaded.")
		nothing()

		// The session is over: nothing was sent, and the way back is kept.
		w.Exec(`UPDATE tokens SET revoked_at = interlock_now() WHERE kind = 'session'`)
		ended := ana.press(page, "#start-inventory-sync").want(http.StatusUnauthorized)
		ended.says("h1", "Your session has ended")
		ended.says("main", "Nothing was sent.")
		if to := ended.page.Find("main a").AttrOr("href", ""); to != "/sign-in?next="+url.QueryEscape(kestrel) {
			t.Errorf("leads to %q", to)
		}
		ana.withScript().press(page, "#start-inventory-sync").want(http.StatusUnauthorized).says(".result__title", "Your session has ended")
		nothing()
		if n := w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 1 {
			t.Errorf("%d attempts are on record, want the one that the gate answered", n)
		}
	})
}
