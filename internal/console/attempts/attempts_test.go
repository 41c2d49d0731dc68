package attempts_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
)

const kestrel = "/w/lattice/tenants/kestrel"

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }

// TestAttempts (M4, M5): every answer can be looked up in its original words by members who
// see its tenant.
func TestAttempts(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		const list = "/w/lattice/operations/attempts"
		w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		ana.Get(list).Want(http.StatusOK).Says("#attempt-list", "No start attempts yet")
		press := func(kind op.Kind) string {
			to := ana.Press(ana.Get(kestrel), "#start-"+dashed(kind)).Leads(kestrel + "?attempt=")
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			return u.Query().Get("attempt")
		}
		press(op.InventorySync)
		busy := press(op.ConnectionVerify)

		page := ana.Get(list).Want(http.StatusOK)
		if n := page.Page.Find("#attempts tr").Length(); n != 2 {
			t.Fatalf("%d attempts", n)
		}
		page.Says("#attempts tr:first-child", "Connection busy Connection is in use")
		page.Says("#attempts tr:first-child", "Held by")
		page.Says("#attempts tr:nth-child(2)", "Accepted")
		for filter, want := range map[string]int{"outcome=scope_busy": 1, "operation=inventory.sync": 1, "tenant=kestrel": 2, "by=me": 2, "outcome=blocked": 0, "tenant=none": 0} {
			if got := ana.Get(list + "?" + filter).Want(http.StatusOK).Page.Find("#attempts tr").Length(); got != want {
				t.Errorf("%s: %d attempts, want %d", filter, got, want)
			}
		}

		there := ana.Get(kestrel + "?attempt=" + busy).Result("#answer-" + dashed(op.ConnectionVerify))
		kept := ana.Get(list + "/" + busy).Want(http.StatusOK)
		if got := kept.Result("main .result"); got != there {
			t.Errorf("the record says %+v,\nthe page of the tenant %+v", got, there)
		}
		if n := kept.Page.Find("main button").Length(); n != 0 {
			t.Errorf("%d buttons: a record starts nothing", n)
		}
		w.Browser(w.Outsider).Get("/w/northgate/operations/attempts/" + busy).Want(http.StatusNotFound)
	})
}
