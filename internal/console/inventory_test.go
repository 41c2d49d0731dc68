package console

import (
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestInventory: what a sync read, by type, and the button that reads it anew.
func TestInventory(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const path = kestrel + "/inventory"
		tenant, connection := w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		ana.get(path).want(http.StatusOK).says("#inventory-list", "No inventory yet")
		w.read(tenant, connection, "inventory/managedDevices", mirror.Record{ID: "d1", Name: "Laptop", ModifiedAt: "2026-11-03T10:00:00Z", Data: []byte(`{}`)})
		w.read(tenant, connection, "inventory/mobileApps", row("", "a1", "Payroll", `{}`), row("", "a2", "Timesheet", `{}`))
		page := ana.get(path)
		page.says(".asof", "3 objects, as of")
		page.says("#inventory tr:first-child", "Laptop d1Devices3 Nov 2026")
		page.says("#f-type", "Apps (2)")
		if n := ana.get(path + "?type=mobileApps").page.Find("#inventory tr").Length(); n != 2 {
			t.Errorf("%d apps", n)
		}
		ana.get(path+"?q=zzz").says("#inventory-list", "No objects match these filters")
		form := "#start-" + dashed(op.InventorySync)
		if got := ana.get(ana.press(page, form).leads(path + "?attempt=")).result("#answer-" + dashed(op.InventorySync)); got.tag != "Accepted" {
			t.Errorf("shows %+v", got)
		}
	})
}

// TestSettings: a tenant goes into the archive and comes back, and its starts say so.
func TestSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const path = kestrel + "/settings"
		w.ready("kestrel", nil)
		mei, ana := w.browser(w.Owner), w.browser(w.Operator)
		ana.get(path).want(http.StatusOK).says("main", "Needs “Manage tenants”")
		ana.send(http.MethodPost, path+"/archive", nil).want(http.StatusForbidden)

		mei.press(mei.get(path), "form[action='"+path+"/archive']").leads(path + "?done=archive")
		blocked := ana.get(ana.press(ana.get(kestrel), "#start-"+dashed(op.InventorySync)).leads(kestrel))
		if got := blocked.result("#answer-" + dashed(op.InventorySync)); got.tag != "Blocked" {
			t.Errorf("shows %+v", got)
		}
		mei.press(mei.get(path), "form[action='"+path+"/restore']").leads(path + "?done=restore")
		ana.press(ana.get(kestrel), "#start-"+dashed(op.InventorySync)).leads(kestrel)
		busy := mei.press(mei.get(path), "form[action='"+path+"/archive']").want(http.StatusConflict)
		busy.says(".errors", "is on its way")
	})
}
