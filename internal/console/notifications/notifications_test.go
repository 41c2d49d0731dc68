package notifications_test

import (
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestNotifications (A4): only the initiator of a run is notified of its end.
func TestNotifications(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		run, code := w.Start(w.Operator, "kestrel", op.InventorySync)
		w.End(run, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		ana, mei := w.Browser(w.Operator), w.Browser(w.Owner)
		const path = "/w/lattice/notifications"

		page := ana.Get(path).Want(http.StatusOK)
		page.Says("#inbox", "Inventory sync failed (unread)")
		page.Says("#inbox", "Admin consent was withdrawn.")
		page.Says("#inbox", "Kestrel · run "+code)
		if label := page.Page.Find("#bell").AttrOr("aria-label", ""); label != "Notifications, 1 unread" {
			t.Errorf("the bell says %q", label)
		}
		panel := ana.WithScript().Get(path).Want(http.StatusOK)
		panel.Says("aside", "Inventory sync failed")
		if panel.Page.Find("html main").Length() != 0 {
			t.Error("the panel is a whole page")
		}
		mei.Get(path).Says("#inbox", "No notifications yet")

		mei.Press(mei.Get(path), "form[action$=read]").Leads(path)
		ana.Get(path).Says("#bell", "1") // still
		ana.Press(page, "form[action$=read]").Leads(path)
		if n := ana.Get(path).Page.Find(".is-unread").Length(); n != 0 {
			t.Errorf("%d unread after all were read", n)
		}
	})
}
