package api

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const guid = "8c4e0000-0000-4000-8000-0000000091d2"

// TestPastedIsTidied: the answer to a change says how a pasted value was tidied.
func TestPastedIsTidied(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Tenant(w.Workspace, "kestrel", "Kestrel")
		const base = "/tenants/kestrel/connections"
		told := []string{op.TidiedSpace.Words(), op.TidiedQuotes.Words()}
		var c ConnectionDetail
		w.post(w.Owner, base, map[string]any{"name": "Primary", "client_id": " \"" + strings.ToUpper(guid) + "\"\n"}).want(http.StatusCreated, &c)
		if c.ClientID != guid || !slices.Equal(c.Notes, told) {
			t.Errorf("created with %q, told %q", c.ClientID, c.Notes)
		}
		w.post(w.Owner, base+"/primary/credential", map[string]any{"secret": "'aB3~q.sample-secret-0001 ' "}).want(http.StatusOK, &c)
		if !slices.Equal(c.Notes, told) {
			t.Errorf("saved, and told %q", c.Notes)
		}
		c.Notes = nil
		w.post(w.Owner, base+"/primary/credential", map[string]any{"secret": "aB3~q.sample-secret-0001"}).want(http.StatusOK, &c)
		if c.Notes != nil {
			t.Errorf("nothing was done, and it is told that %q", c.Notes)
		}
		for _, wrong := range []struct{ field, value, says string }{
			{"secret", guid, "looks like the secret's ID, not its value"},
			{"certificate", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "is a certificate request"},
		} {
			p := w.post(w.Owner, base+"/primary/credential", map[string]any{wrong.field: wrong.value}).problem(http.StatusUnprocessableEntity, "field")
			if p.Errors[0].Field != wrong.field || !strings.Contains(p.Errors[0].Detail, wrong.says) {
				t.Errorf("%s: %v", wrong.field, p.Errors)
			}
		}
	})
}

// TestConnectionLifecycle (P3): changing a connection is no start. It creates no attempt
// and no run, and is recorded in the audit trail.
func TestConnectionLifecycle(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Tenant(w.Workspace, "kestrel", "Kestrel")
		base := "/tenants/kestrel/connections"
		var c ConnectionDetail
		w.post(w.Owner, base, map[string]any{"name": "Kestrel primary", "client_id": guid}).want(http.StatusCreated, &c)
		if c.Slug != "kestrel-primary" || !c.Default || !c.Enabled || c.Readiness != tenancy.NotReady || len(c.Blockers) == 0 || c.Blockers[0].Code != op.CredentialMissing {
			t.Errorf("created %+v", c)
		}
		one := base + "/kestrel-primary"
		w.post(w.Owner, one+"/credential", map[string]any{"secret": "hunter2hunter2", "expires_at": "2030-01-01T00:00:00Z"}).want(http.StatusOK, &c)
		if c.Credential != tenancy.ClientSecret || c.CredentialVersion != 1 || c.CredentialExpiresAt == nil {
			t.Errorf("with a secret it is %+v", c.Connection)
		}
		var consent Consent
		w.post(w.Owner, one+"/consent", nil).want(http.StatusOK, &consent)
		if !strings.HasPrefix(consent.URL, "https://login.example/") {
			t.Errorf("consent at %q", consent.URL)
		}
		w.post(w.Owner, one+"/disable", nil).want(http.StatusOK, &c)
		if c.Enabled || c.DisabledBy != w.Owner.Name() || c.Consent != tenancy.ConsentPending {
			t.Errorf("disabled %+v", c.Connection)
		}
		w.post(w.Owner, one+"/enable", nil).want(http.StatusOK, &c)
		w.ask(w.Bearer(w.Owner), http.MethodPatch, one, map[string]any{"name": "Kestrel main"}).want(http.StatusOK, &c)
		if !c.Enabled || c.Name != "Kestrel main" || c.Slug != "kestrel-primary" || c.Version != 2 {
			t.Errorf("edited %+v", c.Connection)
		}
		w.post(w.Owner, base, map[string]any{"name": "Second", "client_id": guid}).problem(http.StatusConflict, "conflict") // same directory
		w.post(w.Owner, base, map[string]any{"name": "Second", "client_id": guid, "disabled": true}).want(http.StatusCreated)
		w.post(w.Owner, base+"/second/default", nil).want(http.StatusOK, &c)
		var list Page[ConnectionDetail]
		w.get(w.Viewer, base).want(http.StatusOK, &list)
		if len(list.Items) != 2 || list.Items[0].Default || !list.Items[1].Default {
			t.Errorf("listed %+v", list.Items)
		}
		w.ask(w.Bearer(w.Owner), http.MethodDelete, one+"/consent", nil).want(http.StatusOK, &c)
		if c.Consent != tenancy.ConsentRevoked {
			t.Errorf("consent is %s", c.Consent)
		}
		w.ask(w.Bearer(w.Owner), http.MethodDelete, one, nil).want(http.StatusNoContent)
		w.get(w.Owner, one).problem(http.StatusNotFound, "not_found")

		if n := w.Int(`SELECT COUNT(*) FROM start_attempts`) + w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("%d attempts and runs were made", n)
		}
		var trail Page[AuditRecord]
		w.get(w.Owner, "/audit?limit=200").want(http.StatusOK, &trail)
		var actions []string
		for _, r := range trail.Items {
			actions = append(actions, r.Action)
		}
		slices.Reverse(actions)
		want := []string{
			"connection.create", "connection.credential", "connection.consent_begin", "connection.disable", "connection.enable", "connection.edit",
			"connection.create", "connection.default", "connection.consent_revoked", "connection.delete",
		}
		if !slices.Equal(actions, want) {
			t.Errorf("on record are\n%v, want\n%v", actions, want)
		}
	})
}

// A start that is sent after the answer to a change never gets around it.
func TestStartAfterAChange(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		one := "/tenants/kestrel/connections/kestrel"
		sync := map[string]any{"operation": op.InventorySync}
		var got op.Answer
		w.post(w.Owner, one+"/disable", nil).want(http.StatusOK)
		w.start(w.Operator, "kestrel", "k1", sync).want(http.StatusUnprocessableEntity, &got)
		if got.Reasons[0].Code != op.ConnectionDisabled {
			t.Errorf("a disabled connection is answered with %s", got.Code)
		}
		w.post(w.Owner, one+"/enable", nil).want(http.StatusOK)
		w.ask(w.Bearer(w.Owner), http.MethodDelete, one+"/consent", nil).want(http.StatusOK)
		w.start(w.Operator, "kestrel", "k2", sync).want(http.StatusUnprocessableEntity, &got)
		if got.Reasons[0].Code != op.ConsentRevoked {
			t.Errorf("a withdrawn consent is answered with %s", got.Code)
		}
		w.ask(w.Bearer(w.Owner), http.MethodDelete, "/members/"+w.Operator.ID(), nil).want(http.StatusNoContent)
		w.start(w.Operator, "kestrel", "k3", sync).problem(http.StatusUnauthorized, "signed_out")
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("%d runs were made", n)
		}
	})
}

func TestLifecycleShapes(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	w.ready("kestrel")
	one := "/tenants/kestrel/connections/kestrel"
	for _, c := range []struct{ method, path, body, field string }{
		{"POST", "/tenants/kestrel/connections", `{"client_id":"` + guid + `"}`, "name"},
		{"POST", "/tenants/kestrel/connections", `{"name":"","client_id":"` + guid + `"}`, "name"},
		{"POST", "/tenants/kestrel/connections", `{"name":"x","client_id":"nope","disabled":true}`, "client_id"},
		{"POST", "/tenants/kestrel/connections", `{"name":"x","client_id":"` + guid + `","cloud":"moon"}`, "cloud"},
		{"POST", "/tenants/kestrel/connections", `{"name":"x","client_id":"` + guid + `","rev":9}`, "rev"},
		{"POST", "/tenants/kestrel/connections", `{"name":"x","client_id":"` + guid + `","workspace_id":"w"}`, "workspace_id"},
		{"PATCH", one, `{"enabled":false}`, "enabled"},
		{"PATCH", one, `{"name":5}`, "name"},
		{"POST", one + "/credential", `{}`, "secret"},
		{"POST", one + "/credential", `{"secret":"a","certificate":"b"}`, "certificate"},
		{"POST", one + "/credential", `{"certificate":"b","expires_at":"2030-01-01T00:00:00Z"}`, "expires_at"},
		{"POST", one + "/credential", `{"certificate":"-----BEGIN"}`, "certificate"},
		{"POST", "/tenants", `{"name":"x","domain":"x.example","directory_id":"x"}`, "directory_id"},
		{"POST", "/tenants", `{"domain":"x.example","directory_id":"` + guid + `"}`, "name"},
		{"POST", "/invitations", `{"email":"xxx","role":"viewer"}`, "email"},
		{"POST", "/invitations", `{"email":"x@y.example","role":"king"}`, "role"},
		{"POST", "/invitations", `{"email":"x@y.example","role":"viewer","tenants":["nowhere"]}`, "tenants[0]"},
		{"POST", "/invitations", `{"email":"x@y.example","role":"viewer","tenants":[]}`, "tenants"},
		{"POST", "/invitations", `{"email":"x@y.example","role":"owner","tenants":["kestrel"]}`, "all_tenants"},
		{"POST", "/invitations", `{"email":"x@y.example","role":"viewer","password":"long enough to be one"}`, "password"},
		{"POST", "/invitations", `{"email":"` + w.Viewer.Email() + `","role":"viewer"}`, "email"},
		{"POST", "/join", `{"link":"ili_x","name":"x","password":"tiny pw"}`, "password"},
		{"POST", "/join", `{"link":"ili_x","name":" ","password":"long enough to be one"}`, "name"},
		{"POST", "/join", `{"password":"long enough to be one"}`, "link"},
		{"POST", "/password-reset", `{"link":"ilr_x","password":"tiny pw"}`, "password"},
		{"POST", "/me/password", `{"current_password":"x","password":"tiny pw"}`, "password"},
		{"PATCH", "/me", `{"name":"a\u0000b"}`, "name"},
		{"PATCH", "/members/" + w.Viewer.ID(), `{"denied":["everything"]}`, "denied[0]"},
		{"POST", "/tokens", `{"name":""}`, "name"},
		{"POST", "/tokens", `{"name":"x","ttl_seconds":5}`, "ttl_seconds"},
		{"POST", "/tokens", `{"name":"x","only":["everything"]}`, "only[0]"},
		{"POST", "/sign-in", `{"email":"x@y.example"}`, "password"},
		{"POST", "/sign-in", `{"email":"x@y.example","password":"p","admin":true}`, "admin"},
	} {
		p := w.ask(w.Bearer(w.Owner), c.method, c.path, c.body).problem(http.StatusUnprocessableEntity, "field")
		if len(p.Errors) == 0 || p.Errors[0].Field != c.field {
			t.Errorf("%s %s %s is told about %v, want %s", c.method, c.path, c.body, p.Errors, c.field)
		}
		if strings.Contains(p.Detail, "tiny pw") {
			t.Errorf("a problem repeats a password: %s", p.Detail)
		}
	}
}

func TestTenants(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var tenant TenantDetail
		w.post(w.Owner, "/tenants", map[string]any{"name": "Bright Quay Architects", "domain": "brightquay.example", "directory_id": guid}).
			want(http.StatusCreated, &tenant)
		if tenant.Slug != "bright-quay-architects" || tenant.Readiness != tenancy.NotReady || tenant.Blockers[0].Code != op.ConnectionMissing {
			t.Errorf("created %+v", tenant)
		}
		if fix := tenant.Blockers[0].Fix; fix == nil || fix.Who != "you" || fix.Href == "" {
			t.Errorf("an owner is told to mend it by %+v", fix)
		}
		w.get(w.Viewer, "/tenants/bright-quay-architects").want(http.StatusOK, &tenant)
		if fix := tenant.Blockers[0].Fix; fix == nil || fix.Who == "you" || fix.Href != "" {
			t.Errorf("a viewer is told to mend it by %+v", fix)
		}
		w.ready("kestrel")
		run := w.accepted(w.Operator, "kestrel", op.InventorySync)
		var list Page[TenantDetail]
		w.get(w.Viewer, "/tenants?readiness=ready").want(http.StatusOK, &list)
		if len(list.Items) != 1 || list.Items[0].Slug != "kestrel" || list.Items[0].Active == nil || list.Items[0].Active.ID != run.ID || list.Items[0].Default == nil {
			t.Errorf("ready are %+v", list.Items)
		}
		w.get(w.Viewer, "/tenants?q=bright").want(http.StatusOK, &list)
		if len(list.Items) != 1 {
			t.Errorf("found %+v", list.Items)
		}
		w.post(w.Owner, "/tenants/kestrel/archive", nil).problem(http.StatusConflict, "conflict") // a run is on its way
		w.post(w.Owner, "/tenants/bright-quay-architects/archive", nil).want(http.StatusOK, &tenant)
		if tenant.Status != tenancy.TenantArchived {
			t.Errorf("archived it is %s", tenant.Status)
		}
		w.post(w.Owner, "/tenants/bright-quay-architects/restore", nil).want(http.StatusOK, &tenant)
		if tenant.Status != tenancy.TenantActive {
			t.Errorf("restored it is %s", tenant.Status)
		}
	})
}

func TestMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		w.ready("wren")
		var invited NewInvitation
		w.post(w.Owner, "/invitations", map[string]any{"email": "Li.Wen@lattice.example", "role": "operator", "tenants": []string{"kestrel"}}).
			want(http.StatusCreated, &invited)
		var open Page[access.Invitation]
		w.get(w.Owner, "/invitations").want(http.StatusOK, &open)
		if len(open.Items) != 1 || open.Items[0].ID != invited.Invitation.ID || open.Items[0].Email != "li.wen@lattice.example" || open.Items[0].Tenants[0].Slug != "kestrel" {
			t.Errorf("open are %+v", open.Items)
		}
		link := linkOf(t, invited.Link)
		var offer OpenedInvitation
		w.ask("", http.MethodPost, "/join/open", map[string]string{"link": link}).want(http.StatusOK, &offer)
		if offer.Workspace != "lattice" || offer.InvitedBy != w.Owner.Name() || offer.Role != tenancy.Operator || time.Until(offer.ExpiresAt) > access.LinkLife {
			t.Errorf("offered is %+v", offer)
		}
		w.ask("", http.MethodPost, "/join", map[string]string{"link": link, "name": "Li Wen", "password": "correct horse battery"}).want(http.StatusOK)
		w.get(w.Owner, "/invitations").want(http.StatusOK, &open)
		if len(open.Items) != 0 {
			t.Errorf("open are %+v", open.Items)
		}
		var people Page[store.Member]
		w.get(w.Owner, "/members").want(http.StatusOK, &people)
		m := people.Items[slices.IndexFunc(people.Items, func(m store.Member) bool { return m.Name == "Li Wen" })]
		if m.Email != "li.wen@lattice.example" || m.AllTenants || len(m.Tenants) != 1 {
			t.Errorf("added %+v", m)
		}
		var s Session
		w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "li.wen@lattice.example", "password": "correct horse battery"}).want(http.StatusOK, &s)
		w.ask(s.Token, http.MethodGet, "/tenants/wren", nil).problem(http.StatusNotFound, "not_found")
		credentials := map[string]string{"email": "li.wen@lattice.example", "password": "correct horse battery"}
		w.ask("", http.MethodPost, "/sign-in", credentials, "Interlock-Surface", "cli").want(http.StatusOK, &Session{})
		w.ask("", http.MethodPost, "/sign-in", credentials, "Interlock-Surface", "web").problem(http.StatusUnprocessableEntity, "field")
		var sessions Page[access.Token]
		w.ask(s.Token, http.MethodGet, "/tokens", nil).want(http.StatusOK, &sessions)
		if len(sessions.Items) != 2 || sessions.Items[0].Name != "Command line" || sessions.Items[1].Name != "API" {
			t.Errorf("sessions are %+v", sessions.Items)
		}

		one := "/members/" + m.ID
		w.ask(w.Bearer(w.Owner), http.MethodPatch, one, map[string]any{"all_tenants": true, "denied": []string{"inventory.sync"}}).want(http.StatusOK, &m)
		w.ask(s.Token, http.MethodGet, "/tenants/wren", nil).want(http.StatusOK)
		w.ask(s.Token, http.MethodPost, "/tenants/wren/starts", map[string]any{"operation": "inventory.sync"}, "Idempotency-Key", "k").problem(http.StatusForbidden, "forbidden")
		w.ask(w.Bearer(w.Owner), http.MethodPatch, one, map[string]any{"role": "viewer", "denied": []string{}, "tenants": []string{"wren"}}).want(http.StatusOK, &m)
		if m.Role != tenancy.Viewer || len(m.Denied) != 0 || m.AllTenants || len(m.Tenants) != 1 || m.Tenants[0].Slug != "wren" {
			t.Errorf("changed to %+v", m)
		}
		w.get(w.Owner, one).want(http.StatusOK, &m)

		w.post(w.Owner, one+"/disable", nil).want(http.StatusOK, &m)
		if !m.Disabled {
			t.Error("is not disabled")
		}
		w.ask(s.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
		w.post(w.Owner, one+"/enable", nil).want(http.StatusOK, &m)
		w.ask(w.Bearer(w.Owner), http.MethodDelete, one, nil).want(http.StatusNoContent)
		w.get(w.Owner, one).problem(http.StatusNotFound, "not_found")
		w.get(w.Owner, "/members/"+w.Outsider.ID()).problem(http.StatusNotFound, "not_found")
		w.ask(w.Bearer(w.Owner), http.MethodDelete, "/members/"+w.Owner.ID(), nil).problem(http.StatusConflict, "conflict") // the last owner
		var list Page[store.Member]
		w.get(w.Owner, "/members").want(http.StatusOK, &list)
		if len(list.Items) != 4 {
			t.Errorf("members are %+v", list.Items)
		}
	})
}

func TestAuditPages(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 5 {
			w.post(w.Owner, "/tokens", map[string]any{"name": "x"}).want(http.StatusCreated)
		}
		var seqs []int64
		for cursor := ""; ; {
			var p Page[AuditRecord]
			w.get(w.Owner, "/audit?limit=2&cursor="+cursor).want(http.StatusOK, &p)
			for _, r := range p.Items {
				seqs = append(seqs, r.Seq)
			}
			if p.Next == nil {
				break
			}
			cursor = *p.Next
		}
		if !slices.Equal(seqs, []int64{5, 4, 3, 2, 1}) {
			t.Errorf("read %v", seqs)
		}
		w.get(w.Operator, "/audit").problem(http.StatusForbidden, "forbidden")
	})
}

func TestData(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, connection := w.ready("kestrel")
		generation := 0
		dataset := func(name string, ids ...string) {
			generation++
			w.Exec(`INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, as_of, row_count, run_id) VALUES ($1, $2, $3, $4, $5, interlock_now(), $6, 'r')`,
				connection, name, w.Workspace, tenant, generation, len(ids))
			for _, id := range ids {
				w.Exec(`INSERT INTO records (generation, id, name, name_key, type, modified_at, data) VALUES ($1, $2, $2, $2, '#microsoft.graph.group', '', '{"id":"x"}')`,
					generation, id)
			}
		}
		dataset("groups", "g-1", "g-2", "g-3")
		w.Write(func(ctx context.Context, tx db.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO generations (id, connection_id, dataset) VALUES ($1, $2, 'groups')`, generation, connection); err != nil {
				return err
			}
			return mirror.PutMembers(ctx, tx, int64(generation), []mirror.Member{
				{Group: "g-1", Member: "ana", Type: "#microsoft.graph.user"},
				{Group: "g-1", Member: "g-2", Type: "#microsoft.graph.group"},
				{Group: "g-2", Member: "ana", Type: "#microsoft.graph.user"},
			})
		})
		dataset("inventory/mobileApps", "app-1")
		dataset("inventory/managedDevices", "device-1", "device-2")
		w.Exec(`UPDATE datasets SET stale_reason = 'provider_throttled' WHERE name = 'inventory/mobileApps'`)

		var groups Page[mirror.Record]
		w.get(w.Viewer, "/tenants/kestrel/groups?limit=2").want(http.StatusOK, &groups)
		if len(groups.Items) != 2 || groups.Next == nil || string(groups.Items[0].Data) != `{"id":"x"}` {
			t.Errorf("groups are %+v", groups)
		}
		w.get(w.Viewer, "/tenants/kestrel/groups?q=G-3").want(http.StatusOK, &groups)
		if len(groups.Items) != 1 {
			t.Errorf("found %+v", groups)
		}
		w.Exec(`UPDATE records SET type = CASE id WHEN 'g-1' THEN 'distribution' WHEN 'g-2' THEN 'dynamic_security' ELSE 'security' END WHERE id LIKE 'g-%'`)
		for query, want := range map[string]string{
			"":                                 "g-1 distribution,g-2 dynamic_security,g-3 security",
			"?type=":                           "g-1 distribution,g-2 dynamic_security,g-3 security",
			"?type=security":                   "g-2 dynamic_security,g-3 security",
			"?type=security&limit=1":           "g-2 dynamic_security",
			"?type=security&q=G-3":             "g-3 security",
			"?type=dynamic":                    "g-2 dynamic_security",
			"?type=mail_enabled_security":      "",
			"?connection=kestrel&type=dynamic": "g-2 dynamic_security",
		} {
			var found Page[mirror.Record]
			w.get(w.Viewer, "/tenants/kestrel/groups"+query).want(http.StatusOK, &found)
			var got []string
			for _, g := range found.Items {
				got = append(got, g.ID+" "+g.Type)
			}
			if strings.Join(got, ",") != want || (found.Next != nil) != strings.Contains(query, "limit") {
				t.Errorf("%s found %q", query, got)
			}
		}
		wrong := w.get(w.Viewer, "/tenants/kestrel/groups?type=unified").problem(http.StatusUnprocessableEntity, "field")
		if want := "must be one of security, microsoft_365, mail_enabled_security, distribution, dynamic"; len(wrong.Errors) != 1 || wrong.Errors[0].Field != "type" || wrong.Errors[0].Detail != want {
			t.Errorf("a type that there is not is answered with %+v", wrong.Errors)
		}
		documented, err := json.Marshal(w.document.operation(http.MethodGet, Base+"/tenants/{tenant}/groups")["parameters"])
		if err != nil || !strings.Contains(string(documented), `["security","microsoft_365","mail_enabled_security","distribution","dynamic"]`) {
			t.Errorf("the document says %s, %v", documented, err)
		}
		w.get(w.Viewer, "/tenants/kestrel/groups/g-1/members?type=security").problem(http.StatusUnprocessableEntity, "field")
		var g mirror.Record
		w.get(w.Viewer, "/tenants/kestrel/groups/g-2").want(http.StatusOK, &g)
		w.get(w.Viewer, "/tenants/kestrel/groups/g-9").problem(http.StatusNotFound, "not_found")
		w.get(w.Viewer, "/tenants/kestrel/groups/g-1/members?connection=kestrel").want(http.StatusOK, &groups)
		if len(groups.Items) != 2 || groups.Items[0].ID != "ana" || groups.Items[0].Name != "" || groups.Items[1].Name != "g-2" || groups.Items[1].Parent != "g-1" ||
			string(groups.Items[0].Data) != `{"@odata.type":"#microsoft.graph.user","id":"ana"}` {
			t.Errorf("members are %+v", groups)
		}
		for query, want := range map[string]string{"limit=1": "ana", "q=G-": "g-2", "q=ana": "ana", "q=an": ""} {
			var found Page[mirror.Record]
			w.get(w.Viewer, "/tenants/kestrel/groups/g-1/members?"+query).want(http.StatusOK, &found)
			var got []string
			for _, m := range found.Items {
				got = append(got, m.ID)
			}
			if strings.Join(got, ",") != want || (found.Next != nil) != (query == "limit=1") {
				t.Errorf("members of %s: %q", query, got)
			}
			if found.Next != nil {
				w.get(w.Viewer, "/tenants/kestrel/groups/g-1/members?limit=1&cursor="+*found.Next).want(http.StatusOK, &found)
				if len(found.Items) != 1 || found.Items[0].ID != "g-2" || found.Next != nil {
					t.Errorf("the second page is %+v", found)
				}
			}
		}
		w.get(w.Viewer, "/tenants/kestrel/groups?connection=elsewhere").problem(http.StatusNotFound, "not_found")
		var objects Page[Listed]
		w.get(w.Viewer, "/tenants/kestrel/inventory?type=managedDevices").want(http.StatusOK, &objects)
		if len(objects.Items) != 2 || objects.Items[0].Kind != "managedDevices" {
			t.Errorf("inventory is %+v", objects)
		}
		var types Page[Part]
		w.get(w.Viewer, "/tenants/kestrel/inventory/types").want(http.StatusOK, &types)
		if len(types.Items) != 2 || types.Items[1].Type != "mobileApps" || types.Items[1].Stale != op.ProviderThrottled || types.Items[0].AsOf == nil {
			t.Errorf("types are %+v", types)
		}

		w.get(w.Viewer, "/tenants/kestrel/verification").problem(http.StatusNotFound, "not_found")
		checks, err := json.Marshal([]map[string]any{{"key": "sign_in", "name": "Sign in", "result": "ok", "detail": "Signed in", "args": map[string]string{"x": "y"}}})
		if err != nil {
			t.Fatal(err)
		}
		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at) VALUES ($1, $2, $3, 'r', 'ok', '', $4, interlock_now())`,
			connection, w.Workspace, tenant, string(checks))
		var v Verification
		w.get(w.Viewer, "/tenants/kestrel/verification").want(http.StatusOK, &v)
		if v.Verdict != tenancy.VerificationOK || len(v.Checks) != 1 || v.Checks[0].Result != "ok" || v.Connection.ConnectionID != connection {
			t.Errorf("the report is %+v", v)
		}
	})
}

// TestWorkloadIdentity: a connection of a workspace that the administrator named can sign
// in as the server's workload. The answer says what the app registration must trust.
func TestWorkloadIdentity(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Ready("kestrel", nil)
		const path = "/tenants/kestrel/connections/kestrel/credential"
		var c ConnectionDetail
		w.post(w.Owner, path, map[string]any{"workload_identity": true}).want(http.StatusOK, &c)
		if d := c.CredentialDetails; c.Credential != tenancy.WorkloadIdentity || c.CredentialExpiresAt != nil ||
			d.Issuer != "https://issuer.example" || d.Subject != "system:serviceaccount:ops:interlock" || d.Audience != "api://AzureADTokenExchange" {
			t.Errorf("%+v", c.Connection)
		}
		if n := w.Int(`SELECT COUNT(*) FROM credentials WHERE connection_id = $1`, c.ID); n != 0 {
			t.Errorf("%d secrets are kept", n)
		}
		for _, both := range []map[string]any{
			{"workload_identity": true, "secret": "aB3~q.sample-secret-0001"},
			{"workload_identity": true, "certificate": "x"},
			{"workload_identity": true, "password": "x"},
			{"workload_identity": true, "expires_at": "2031-01-01T00:00:00Z"},
		} {
			p := w.post(w.Owner, path, both).problem(http.StatusUnprocessableEntity, "field")
			if p.Errors[0].Field != "workload_identity" {
				t.Errorf("%v: %v", both, p.Errors)
			}
		}
		if err := os.Remove(w.TokenFile); err != nil {
			t.Fatal(err)
		}
		p := w.post(w.Owner, path, map[string]any{"workload_identity": true}).problem(http.StatusUnprocessableEntity, "field")
		if !strings.Contains(p.Errors[0].Detail, "can’t be read from its file") {
			t.Errorf("%v", p.Errors)
		}

		other := w.Add(w.Other, gatetest.Person{Name: "Sam", Email: "sam@northgate.example", Role: tenancy.Owner})
		w.Connection(w.Other, w.Tenant(w.Other, "farside", "Farside"), "farside", nil)
		p = w.ask(w.Session(other), http.MethodPost, "/tenants/farside/connections/farside/credential", map[string]any{"workload_identity": true}).problem(http.StatusUnprocessableEntity, "field")
		if !strings.Contains(p.Errors[0].Detail, "is not set up for this workspace") {
			t.Errorf("another workspace: %v", p.Errors)
		}
	})
}

// TestCloudsInTheDocument: the descriptions name every cloud.
func TestCloudsInTheDocument(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		names := tenancy.CloudNames()
		want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
		text, err := json.Marshal(w.document.root)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), want); n != 2 { // to create a connection, and to edit it
			t.Errorf("the document names the clouds %d times as %q", n, want)
		}
	})
}
