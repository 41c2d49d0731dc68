package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestEvidence: what the provider answered stands behind a fold at the run, at each
// failed item and at each failed check, as its own words, and only there.
func TestEvidence(t *testing.T) {
	const evidence = `{"call":"GET /v1.0/groups","status":403,"code":"AccessDenied","text":"<b>No</b>","request_id":"r-1","client_request_id":"c-1","correlation_id":"k-1","at":"2026-11-23T14:02:31Z"}`
	onBoth(t, func(t *testing.T, w *world) {
		tenant, connection := w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		accepted := ana.get(ana.press(ana.get(kestrel), "#start-inventory-sync").leads(kestrel))
		path := accepted.page.Find(".result__acts a").AttrOr("href", "")
		id := w.run(path)
		w.Exec(`INSERT INTO run_items (run_id, seq, key, name, result, done, failed, total, reason, args, evidence, at)
			VALUES ($1, 1, 'apps', 'Apps', 'failed', 0, 0, 4, 'item_refused', '{"provider":"Microsoft 365","provider_message":"No"}', $2, interlock_now()),
			($1, 2, 'devices', 'Devices', 'done', 4, 0, 4, '', '{}', '', interlock_now()),
			($1, 3, 'intents', 'Intents', 'not_applicable', 0, 0, 0, 'not_licensed', '{"tenant":"Kestrel"}', '', interlock_now())`, id, evidence)
		w.Exec(`UPDATE runs SET state = 'finished', outcome = 'failed', cause = $2, ended_at = interlock_now() WHERE id = $1`, id,
			`{"code":"provider_rejected","phase":"execution","args":{},"evidence":`+evidence+`}`)
		w.Exec(`DELETE FROM run_claims WHERE run_id = $1`, id)

		page := ana.get(path).want(http.StatusOK)
		for _, fold := range []string{"#evidence-run", "#evidence-1"} {
			if page.page.Find(fold+"[open]").Length() != 0 || page.page.Find(fold+" > summary").Length() != 1 {
				t.Errorf("%s is no closed fold", fold)
			}
			for _, fact := range []string{"GET /v1.0/groups", "HTTP 403", "AccessDenied", "<b>No</b>", "r-1", "c-1", "k-1", "23 Nov 2026, 14:02:31 UTC"} {
				page.says(fold, fact)
			}
		}
		if n := page.page.Find("details.evidence").Length(); n != 2 {
			t.Errorf("%d folds, one of the run and one of its failed item are right", n)
		}
		page.says("#item-rows", "IntentsNot applicableKestrel has no licence for this service, so there is nothing to read.")

		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', $5, interlock_now())`, connection, w.Workspace, tenant, access.NewID(),
			`[{"key":"sign_in","name":"Sign-in","result":"ok","detail":"It works."},
			{"key":"area.groups","name":"Groups and members","result":"failed","reason":"access_refused","args":{"permissions":"Group.Read.All","provider_message":"No"},"evidence":`+evidence+`},
			{"key":"area.devices","name":"Devices","result":"not_applicable","reason":"not_licensed","args":{}}]`)
		for _, at := range []string{kestrel, primary} {
			page = ana.get(at).want(http.StatusOK)
			page.says("#verification", "Groups and membersMicrosoft 365 refused access. Microsoft 365 refused access although kestrel primary has Group.Read.All. It said: “No”.")
			page.says("#verification", "Ask an administrator of Kestrel")
			page.says("#verification", "DevicesNot applicable. Kestrel has no licence for this service, so there is nothing to read.")
			page.says("#verification #found-area\\.groups", "c-1")
			page.says("#verification #checked-area\\.groups", "c-1")
		}
	})
}

// TestAge: what is known of a connection is told with its age, and after a change
// as what it is: not verified since. No green pill stands beside a red one.
func TestAge(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := time.Now().Add(-29 * 24 * time.Hour)
		tenant, connection := w.ready("kestrel", func(c *tenancy.Connection) { c.VerifiedAt, c.PermissionsAt = &old, &old })
		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', '[]', interlock_now())`, connection, w.Workspace, tenant, access.NewID())
		mei := w.browser(w.Owner)
		places := []struct{ path, state string }{
			{"/w/lattice/tenants", "#tenant-list"}, {kestrel, "#tenant-state"}, {kestrels, "#connections"}, {"/w/lattice/connections", "#connections"}, {primary, "#connection-state"},
		}
		for _, p := range places {
			page := mei.get(p.path).want(http.StatusOK)
			page.says(p.state, "Ready")
			page.says(p.state, "Checked 29 days ago")
		}
		mei.get(kestrel).says("#verification", "Verified")

		w.Exec(`UPDATE connections SET changed_at = interlock_now() WHERE id = $1`, connection)
		for _, p := range places {
			page := mei.get(p.path).want(http.StatusOK)
			page.says(p.state, "Not verified since the change")
			page.says(p.state, "Checked 29 days ago")
			if strings.Contains(page.text(p.state), "Ready") {
				t.Errorf("%s says Ready of a credential that was never tried: %q", p.path, page.text(p.state))
			}
		}
		for _, p := range []string{kestrel, primary} {
			page := mei.get(p)
			page.says("#verification .card__head", "Not verified since the change")
			if page.page.Find("form#start-connection-verify .btn--go, form[id^=start-connection-verify] .btn--go").Length() != 1 {
				t.Errorf("%s: verifying is not the primary button", p)
			}
			if page.page.Find("form[id^=start-inventory] .btn--go").Length() != 0 {
				t.Errorf("%s: there are two primary buttons", p)
			}
		}

		// Whatever is in the way goes before what was verified.
		w.Exec(`UPDATE connections SET consent = 'revoked' WHERE id = $1`, connection)
		for _, p := range []string{kestrel, primary} {
			head := mei.get(p).text("#verification .card__head")
			if !strings.Contains(head, "Blocked") || strings.Contains(head, "Verified") {
				t.Errorf("%s: the verification says %q beside a blocked connection", p, head)
			}
		}
	})
}
