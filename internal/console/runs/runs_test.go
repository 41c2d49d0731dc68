package runs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
)

const kestrel = "/w/lattice/tenants/kestrel"

// TestRunPage (M2, P2): the page of a run shows its state, its initiator, its connection and
// the starts that joined it.
func TestRunPage(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		ana, mei := w.Browser(w.Operator), w.Browser(w.Owner)
		accepted := ana.Get(ana.Press(ana.Get(kestrel), "#start-inventory-sync").Leads(kestrel))
		path := accepted.Page.Find(".result__acts a").AttrOr("href", "")
		if _, err := w.Gate.Start(t.Context(), w.Second, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceCLI}); err != nil {
			t.Fatal(err)
		}

		page := ana.Get(path).Want(http.StatusOK)
		page.Says("h1", "Inventory sync Queued")
		page.Says("#run-top", "Waiting to start.")
		page.Says("#run-facts", "Microsoft 365 · kestrel primary")
		page.Says("#run-facts", "Ana Ruiz Console")
		page.Says("#run-facts", "BeganNot yet")
		page.Says("#run-facts", "Holds the connectionYes, until it ends")
		page.Says("#joined", "Tom Okafor")
		page.Says("#joined", "Command line")
		page.Says("#timeline", "Accepted")
		if strings.Contains(page.Text("#run-facts"), "Choices") {
			t.Error("the operation's own defaults are shown as choices")
		}
		if page.Page.Find("#run-actions form").Length() != 1 || page.Page.Find("form[action$=release]").Length() != 0 {
			t.Error("a run that is in line can be cancelled, and not be released")
		}
		if w.Browser(w.Viewer).Get(path).Page.Find("#run-actions form").Length() != 0 {
			t.Error("a viewer can cancel")
		}
		ana.Get(strings.ToLower(path)).Want(http.StatusOK) // a code that was typed

		id := w.RunAt(path)
		w.Working(id, 3, 12)
		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, at)
			VALUES ($1, 1, 'apps', 'Apps', 'failed', 0, 0, 4, 'permission_missing', '{"provider":"Microsoft 365","permissions":"DeviceManagementApps.Read.All","count":"1"}', interlock_now())`, id)
		page = ana.Get(path)
		page.Says("#run-top h2", "3 of 12 types")
		page.Says("#run-top", "25%")
		page.Says("#item-rows", "AppsFailed1 permission is missing. The connection doesn't have DeviceManagementApps.Read.All.")

		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, at)
			VALUES ($1, 2, 'devices', 'Devices', 'done', 4, 0, 4, '', '{}', interlock_now())`, id)
		w.Exec(`UPDATE runs SET failed = 1 WHERE id = $1`, id)
		if got := ana.Get(path).Column("#item-rows td:first-child"); len(got) != 2 {
			t.Errorf("items %q", got)
		}
		if got := ana.Get(path + "?show=failed").Column("#item-rows td:first-child"); len(got) != 1 || got[0] != "Apps" {
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
		page = ana.Get(path)
		if got := page.Column("#item-rows td:first-child"); len(got) != 10 || got[0] != "Apps" || got[1] != "type-11" || got[2] != "Devices" {
			t.Errorf("items %q", got)
		}
		page.Says("#item-rows", "type-11Not reached")
		page.Says("#item-rows", "type-00DoneNone in the tenant")
		all := page.Page.Find("#items .pager a")
		if got := ana.Get(all.AttrOr("href", "")).Column("#item-rows td:first-child"); all.Text() != "Show all 14" || len(got) != 14 || got[0] != "Apps" || got[1] != "Devices" {
			t.Errorf("%s leads to %q", all.Text(), got)
		}
		if lines := page.Column("#timeline .timeline > li > div > b"); len(lines) != 2 || lines[0] != "Reading type-11" {
			t.Errorf("timeline %q", lines)
		}
		page.Says("#timeline summary", "11 steps before it")
		page.Says("#timeline .before li:last-child", "Reading type-00")

		// It stands still: an owner may take the connection away, an operator not.
		w.Exec(`UPDATE runs SET progress_at = progress_at - 3600000000 WHERE id = $1`, id)
		ana.Get(path).Says("#run-top", "Inventory sync is making no progress")
		if ana.Get(path).Page.Find("form[action$=release]").Length() != 0 {
			t.Error("an operator can release a connection")
		}
		still := mei.Get(path)
		mei.Press(still, "form[action$=release]", "note", "x").Want(http.StatusUnprocessableEntity)
		mei.Press(still, "form[action$=release]", "note", "it hangs since this morning").Leads(path)
		mei.Get(path).Says("#timeline", "Mei Tan released the connection")
		mei.Press(still, "form[action$=release]", "note", "a second note").Want(http.StatusConflict).Says("main", "Mei Tan released this run on ")

		w.End(id, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		page = ana.Get(path)
		if got := page.Result("#outcome"); got.Tag != "Failed" || got.Title != "Inventory sync failed" || !strings.HasPrefix(got.Why, "Admin consent was withdrawn.") {
			t.Errorf("shows %+v", got)
		}
		page.Says("#run-facts", "Holds the connectionNo")
		if n := w.Int(`SELECT COUNT(*) FROM notifications WHERE read_at IS NULL`); n != 0 {
			t.Error("its starter has seen how it ended, and is told again")
		}
		again := ana.Press(page, "#run-actions form").Leads(path + "?attempt=")
		ana.Get(again).Says(".result__title", "Inventory sync is queued")
	})
}

func TestCancel(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		_, code := w.Start(w.Operator, "kestrel", op.InventorySync)
		path := "/w/lattice/operations/" + code
		ana := w.Browser(w.Operator)
		page := ana.Get(path)
		ana.Press(page, "#run-actions form").Leads(path)
		if got := ana.Get(path).Result("#outcome"); got.Tag != "Cancelled" || !strings.Contains(got.Why, "It had not started.") {
			t.Errorf("shows %+v", got)
		}
		late := ana.Press(page, "#run-actions form").Want(http.StatusConflict)
		late.Says("main", "Ana Ruiz cancelled this run on ")
		if wrong := w.Audit(); len(wrong) > 0 {
			t.Error(wrong)
		}
	})
}

// TestRunList (M1, M3): the list shows the runs of all tenants that the reader sees.
func TestRunList(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Ready("marlow", nil)
		w.Ready("fenwick", nil)
		kestrel, _ := w.Start(w.Operator, "kestrel", op.InventorySync)
		w.Start(w.Owner, "marlow", op.DirectoryGroupsSync)
		fenwick, _ := w.Start(w.Operator, "fenwick", op.ConnectionVerify)
		w.End(fenwick, op.RunBlocked, `{"code":"authorization_lost","phase":"execution","args":{}}`)
		w.Working(kestrel, 1, 2)
		mei := w.Browser(w.Owner)
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
			page := mei.Get("/w/lattice/operations" + tt.query).Want(http.StatusOK)
			if got := page.Column("#runs td:nth-child(2)"); strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("%q lists %q, want %q", tt.query, got, tt.want)
			}
		}
		page := mei.Get("/w/lattice/operations")
		page.Says("#count-active", "2")
		page.Says("tr:contains(Kestrel)", "1 of 2 types")
		page.Says("tr:contains(Fenwick)", "Didn't run")
		if got := w.Browser(w.Outsider).Get("/w/northgate/operations").Page.Find("#runs tr").Length(); got != 0 {
			t.Errorf("someone of another workspace sees %d runs", got)
		}
	})
}
