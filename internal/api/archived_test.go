package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// changesOfArchived are the routes that change something of a tenant and answer in their
// own way when it is archived.
var changesOfArchived = map[string]string{
	"archive-tenant": "changes nothing again",
	"restore-tenant": "brings it back",
	"start":          "the gate refuses it as tenant_archived",

	"disable-connection": "takes access to the tenant away",
	"revoke-consent":     "takes access to the tenant away",
	"delete-connection":  "takes access to the tenant away",
}

// TestArchivedTenantsAreReadOnly: every route that changes something of a tenant answers
// 409 for an archived one, with the same words, and changes nothing.
func TestArchivedTenantsAreReadOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		p := m.places[1] // wren
		owner := w.Bearer(w.Owner)
		mapping, err := m.server.plans.SetMapping(t.Context(), w.Owner, p.tenant, restore.Mapping{Kind: policy.Groups, Source: access.NewID(), Target: access.NewID()})
		if err != nil {
			t.Fatal(err)
		}
		w.Exec(`UPDATE tenants SET status = 'archived', archived_at = interlock_now() WHERE id = $1`, p.tenant)
		entries := w.Int(`SELECT COUNT(*) FROM audit_log`)
		w.SignIn()
		for _, r := range m.server.routes {
			if r.Object != Tenant && r.Object != Connection || r.Method == http.MethodGet || changesOfArchived[r.ID] != "" {
				continue
			}
			var body any
			kind := "application/json"
			switch r.ID {
			case "create-connection":
				body = map[string]string{"name": "Another", "client_id": access.NewID()}
			case "edit-connection":
				body = map[string]string{"name": "Another"}
			case "rotate-credential":
				body = map[string]string{"secret": "aB3~" + strings.Repeat("x", 36)}
			case "upload-backup":
				body, kind = zipped(t, map[string]string{"a.json": `{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"x"}`}), zipType
			case "set-mapping":
				body = map[string]string{"kind": "groups", "source": access.NewID(), "target": access.NewID()}
			}
			path := strings.Replace(p.at(strings.Replace(r.Path, "{mapping}", mapping.ID, 1)), Base, "", 1)
			got := w.ask(owner, r.Method, path, body, "Content-Type", kind)
			if got.status != http.StatusConflict || !strings.Contains(string(got.body), `"code":"conflict"`) || !strings.Contains(string(got.body), "is archived. Archived tenants are read-only.") {
				t.Errorf("%s: %d %s", r.ID, got.status, got.body)
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM audit_log`); n != entries {
			t.Errorf("%d rows of the audit trail are new", n-entries)
		}
		if n := w.Int(`SELECT COUNT(*) FROM mappings`); n != 1 {
			t.Errorf("%d mappings, want 1", n)
		}
	})
}

// TestHeadIsNoDownload: a HEAD request has the headers of the download, and leaves no row
// in the audit trail, because nothing is sent. What isn't there is a 404 as for a GET.
func TestHeadIsNoDownload(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		owner, base := w.Bearer(w.Owner), "/tenants/kestrel/backups/"
		downloads := func() int64 { return w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'backup.download'`) }
		for _, path := range []string{"/archive", "/items/assignmentFilters/f1/file"} {
			before := downloads()
			head := w.ask(owner, http.MethodHead, base+m.places[0].backup+path, nil)
			if n := downloads() - before; head.status != http.StatusOK || n != 0 {
				t.Errorf("HEAD %s: %d, %d rows", path, head.status, n)
			}
			get := w.ask(owner, http.MethodGet, base+m.places[0].backup+path, nil)
			if n := downloads() - before; get.status != http.StatusOK || n != 1 {
				t.Errorf("GET %s: %d, %d rows", path, get.status, n)
			}
			for _, name := range []string{"Content-Type", "Content-Disposition"} {
				if head.header.Get(name) != get.header.Get(name) || get.header.Get(name) == "" {
					t.Errorf("%s of %s: %q, want %q", name, path, head.header.Get(name), get.header.Get(name))
				}
			}
			if a := w.ask(owner, http.MethodHead, base+access.NewID()+path, nil); a.status != http.StatusNotFound {
				t.Errorf("HEAD %s of none: %d", path, a.status)
			}
			if a := w.ask(w.Bearer(w.Viewer), http.MethodHead, base+m.places[0].backup+path, nil); a.status != http.StatusForbidden {
				t.Errorf("HEAD %s by a viewer: %d", path, a.status)
			}
		}
	})
}
