package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// id is that of the connection with the address.
func (w *world) id(address string) string {
	w.t.Helper()
	return w.text(`SELECT id FROM connections WHERE slug = $1`, path.Base(address))
}

// text returns the one text that a query gives.
func (w *world) text(sql string, args ...any) (s string) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(&s)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// TestPartsAreOnTheirPages: what a stream replaces is there to be replaced, once,
// and leaves alone the start forms, whose keys the page has by then.
func TestPartsAreOnTheirPages(t *testing.T) {
	w := quick(onOne(t, Deps{}))
	tenant, connection := w.ready("kestrel", nil)
	w.read(tenant, connection, catalogue.Groups, row("", "g1", "Drivers", `{}`))
	w.read(tenant, connection, "inventory/mobileApps", row("", "a1", "Payroll", `{}`))
	mei := w.browser(w.Owner)
	for _, path := range []string{kestrel, kestrels, primary, "/w/lattice/connections", groups, kestrel + "/inventory", "/w/lattice/operations/attempts"} {
		page := mei.get(path).want(http.StatusOK)
		address, lives := page.page.Find("#stream").Attr("data-page")
		if !lives {
			t.Errorf("%s does not live", path)
			continue
		}
		first := mei.stream(withLive(t, address)).next()
		parts := first.Find("hx-partial")
		if parts.Length() < 3 {
			t.Errorf("%s has %d parts", path, parts.Length())
		}
		parts.Each(func(_ int, part *goquery.Selection) {
			target := part.AttrOr("hx-target", "")
			if n := page.page.Find(target).Length(); n != 1 {
				t.Errorf("%s has %d places for %s", path, n, target)
			}
			if n := page.page.Find(target + " [name=key]").Length(); n != 0 {
				t.Errorf("%s: %s holds %d start forms", path, target, n)
			}
		})
	}
}

// TestHostileData (S8): what a provider or a person wrote is text, whatever it holds.
func TestHostileData(t *testing.T) {
	w := onOne(t, Deps{})
	const hostile = `<script>alert(1)</script>"'><img src=x>`
	tenant, connection := w.ready("kestrel", nil)
	properties, err := json.Marshal(map[string]string{"description": hostile, "membershipRule": hostile})
	if err != nil {
		t.Fatal(err)
	}
	strange := row("g1", "s1", "", "")
	strange.Type = hostile
	w.read(tenant, connection, catalogue.Groups, row("", "g1", hostile, string(properties)), row("", hostile, "", `{}`), row("g1", hostile, "", ""), strange)
	w.read(tenant, connection, "inventory/"+hostile, row("", "a1", hostile, `{}`))
	w.Exec(`UPDATE tenants SET name = $1, domain = $1, owner_name = $1`, hostile)
	w.Exec(`UPDATE users SET name = $1 WHERE id = $2`, hostile, w.Second.ID())
	w.Exec(`UPDATE tokens SET name = $1 WHERE kind = 'token'`, hostile)
	mei := w.browser(w.Owner)
	mei.press(mei.get(kestrel), "#start-"+dashed(op.InventorySync)).leads(kestrel)
	for _, path := range []string{
		groups, groups + "/g1", kestrel + "/inventory", kestrel + "/settings", tokens, members, members + "/" + w.Second.ID(), "/w/lattice/operations/attempts",
	} {
		page := mei.get(path).want(http.StatusOK)
		if n := page.page.Find("script:not([src]), img").Length(); n != 0 {
			t.Errorf("%s: %d elements came from data", path, n)
		}
		page.says("main", hostile)
	}
	wrong := mei.send(http.MethodPost, kestrels+"/new", url.Values{"name": {hostile}, "slug": {hostile}, "client_id": {hostile}, "directory_id": {hostile}}).want(http.StatusUnprocessableEntity)
	if n := wrong.page.Find("script:not([src]), img").Length(); n != 0 {
		t.Errorf("%d elements came from what was typed", n)
	}
}
