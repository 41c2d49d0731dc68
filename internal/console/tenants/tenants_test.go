package tenants_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const (
	kestrel  = "/w/lattice/tenants/kestrel"
	clientID = "5b567255-7703-4780-807c-7be8301ae99b"
)

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }

func TestTenantList(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Ready("marlow", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		soon := time.Now().Add(5 * 24 * time.Hour)
		w.Ready("fenwick", func(c *tenancy.Connection) { c.CredentialExpiresAt = &soon })
		run, _ := w.Start(w.Operator, "kestrel", op.InventorySync)
		jonas := w.Browser(w.Viewer)
		for _, tt := range []struct{ query, want string }{
			{"", "Fenwick fenwick.example, Kestrel kestrel.example, Marlow marlow.example"},
			{"?q=STREL", "Kestrel kestrel.example"},
			{"?q=marlow.ex", "Marlow marlow.example"},
			{"?readiness=blocked", "Marlow marlow.example"},
			{"?readiness=needs_care", "Fenwick fenwick.example"},
			{"?readiness=ready", "Kestrel kestrel.example"},
			{"?run=active", "Kestrel kestrel.example"},
			{"?run=failed", ""},
			{"?q=nowhere", ""},
		} {
			page := jonas.Get("/w/lattice/tenants" + tt.query).Want(http.StatusOK)
			if got := strings.Join(page.Column("#tenants td:first-child"), ", "); got != tt.want {
				t.Errorf("%q lists %q, want %q", tt.query, got, tt.want)
			}
			if tt.want == "" {
				page.Says(".empty", "No tenants match these filters")
			}
		}
		page := jonas.Get("/w/lattice/tenants")
		page.Says("tr:contains(Marlow)", "Admin consent is missing")
		page.Says("tr:contains(Fenwick)", "Client secret expires in 4 days")
		page.Says("tr:contains(Kestrel)", "Queued Inventory sync")
		w.End(run, op.RunFailed, `{"code":"provider_unreachable","phase":"execution","args":{}}`)
		jonas.Get("/w/lattice/tenants?run=failed").Says("#tenants", "Kestrel")
		jonas.Get("/w/lattice/tenants?cursor=x").Want(http.StatusBadRequest)
		jonas.Get("/w/lattice/tenants?q=" + strings.Repeat("x", 300)).Want(http.StatusUnprocessableEntity)
	})
}

func TestPaging(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	for i := range 53 {
		w.Tenant(w.Workspace, "t"+strconv.Itoa(100+i), "Tenant "+strconv.Itoa(100+i))
	}
	mei := w.Browser(w.Owner)
	first := mei.Get("/w/lattice/tenants?readiness=blocked")
	if n := first.Page.Find("#tenants tr").Length(); n != 50 {
		t.Fatalf("%d on the first page", n)
	}
	next := first.Page.Find("[rel=next]").AttrOr("href", "")
	second := mei.Get(next)
	if got := second.Column("#tenants td:first-child a"); len(got) != 3 || got[0] != "Tenant 150" {
		t.Errorf("the second page lists %q", got)
	}
	if second.Page.Find("[rel=next]").Length() != 0 {
		t.Error("the last page leads further")
	}
	if back := second.Page.Find(".pager a").AttrOr("href", ""); back != "/w/lattice/tenants?readiness=blocked" {
		t.Errorf("the first page is at %s", back)
	}
	// A cursor of one list is none of another.
	u, _ := url.Parse(next)
	mei.Get("/w/lattice/operations?cursor=" + u.Query().Get("cursor")).Want(http.StatusBadRequest)
}

// TestTenantPage (T1, T2, P4): the page shows what can be started, the verification, and who
// can remove a blocker.
func TestTenantPage(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		expired := time.Now().Add(-24 * time.Hour)
		tenant, connection := w.Ready("kestrel", func(c *tenancy.Connection) { c.CredentialExpiresAt = &expired })
		w.Exec(`INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
			VALUES ($1, $2, $3, $4, 'ok', '', $5, interlock_now())`, connection, w.Workspace, tenant, access.NewID(), `[{"key":"sign_in","name":"Sign-in","result":"ok","detail":"It works."},
			{"key":"area.groups","name":"Groups and members","result":"failed","reason":"permission_missing","detail":"","args":{"provider":"Microsoft 365","permissions":"Group.Read.All","count":"1"}}]`)

		page := w.Browser(w.Operator).Get(kestrel).Want(http.StatusOK)
		plain := 0
		for _, d := range catalogue.All() {
			if !d.Input { // it begins where its input is given
				page.Says(".acts", d.Words.Name)
				plain++
			}
		}
		if n := page.Page.Find(".acts form button:not([disabled])").Length(); n != plain {
			t.Errorf("%d buttons for %d operations: the gate says what is in the way", n, plain)
		}
		page.Says("h1", "Blocked")
		page.Says("#verification", "Credential has expired. Add a new credential, then start again.")
		page.Says("#verification", "Groups and members")
		page.Says("#verification", "1 permission is missing. kestrel primary doesn't have Group.Read.All.")
		page.Says("#verification", "Ask an administrator of Kestrel to grant them")
		page.Says("#verification", "It works.")
		page.Says("#recent", "No runs yet.")

		// Who may mend it is led there; who may not is told whom to ask.
		answer := func(b *consoletest.Browser) consoletest.Answer {
			return b.WithScript().Press(b.Get(kestrel), "#start-inventory-sync").Want(http.StatusUnprocessableEntity)
		}
		ask := answer(w.Browser(w.Operator))
		ask.Says(".result__ask", "Ask a workspace owner.")
		mend := answer(w.Browser(w.Owner))
		if mend.Page.Find(".result__ask").Length() != 0 {
			t.Error("an owner is told to ask an owner")
		}
		if to := mend.Page.Find(".result__acts a.btn--go").AttrOr("href", ""); to != "/w/lattice/tenants/kestrel/connections/kestrel/credential" {
			t.Errorf("the owner is led to %q", to)
		}

		// Who may not start anything has no way to.
		viewer := w.Browser(w.Viewer).Get(kestrel)
		viewer.Says(".acts", "Needs “Sync inventory”")
		if n := viewer.Page.Find(".acts form").Length(); n != 0 {
			t.Errorf("a viewer has %d start forms", n)
		}
	})
}

// TestTenantAdded: a new workspace gets a tenant and its connection on the pages alone.
// Errors are shown at their fields, and the input is kept.
func TestTenantAdded(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		mei := w.Browser(w.Owner)
		list := mei.Get("/w/lattice/tenants").Want(http.StatusOK)
		list.Says("#tenant-list", "No tenants yet")
		path := list.Page.Find("#tenant-list a").AttrOr("href", "")
		form := mei.Get(path).Want(http.StatusOK)
		for _, bad := range []struct{ field, value, says string }{
			{"name", "", "Name must not be empty."},
			{"directory_id", "kestrel", "Directory (tenant) ID must be a GUID"},
			{"slug", "new", "URL name must not be new"},
			{"slug", "Not A Slug", "URL name must"},
			{"domain", strings.Repeat("x", 254), "Domain has 254 characters, at most 253 are allowed."},
		} {
			values := []string{"name", "Kestrel Logistics", "domain", "kestrel.example", "directory_id", clientID, bad.field, bad.value}
			refused := mei.Press(form, "main form", values...).Want(http.StatusUnprocessableEntity)
			refused.Says(".errors", bad.says)
			if got := refused.Page.Find("#"+bad.field).AttrOr("value", ""); got != bad.value {
				t.Errorf("%s: the form shows %q again", bad.field, got)
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM tenants`); n != 0 {
			t.Fatalf("%d tenants from forms that were refused", n)
		}
		next := mei.Press(form, "main form", "name", "Kestrel Logistics", "domain", "kestrel.example", "directory_id", clientID).Leads("/w/lattice/tenants/kestrel-logistics/connections/new")
		if got := mei.Get(next).Want(http.StatusOK).Page.Find("#directory_id").AttrOr("value", ""); got != clientID {
			t.Errorf("its connection would sign in to directory %q", got)
		}
		mei.Press(form, "main form", "name", "Kestrel again", "slug", "kestrel-logistics", "domain", "kestrel.example", "directory_id", clientID).
			Want(http.StatusUnprocessableEntity).Says(".errors", "is in use")

		ana := w.Browser(w.Operator)
		if list := ana.Get("/w/lattice/tenants"); list.Page.Find("a[href='"+path+"']").Length() != 0 {
			t.Error("an operator is led to add a tenant")
		}
		ana.Get(path).Want(http.StatusForbidden)
	})
}

// TestSettings: a tenant is archived and brought back, and starts on it say so.
func TestSettings(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		const path = kestrel + "/settings"
		w.Ready("kestrel", nil)
		mei, ana := w.Browser(w.Owner), w.Browser(w.Operator)
		ana.Get(path).Want(http.StatusOK).Says("main", "Needs “Manage tenants”")
		ana.Send(http.MethodPost, path+"/archive", nil).Want(http.StatusForbidden)

		mei.Press(mei.Get(path), "form[action='"+path+"/archive']").Leads(path + "?done=archive")
		blocked := ana.Get(ana.Press(ana.Get(kestrel), "#start-"+dashed(op.InventorySync)).Leads(kestrel))
		if got := blocked.Result("#answer-" + dashed(op.InventorySync)); got.Tag != "Blocked" {
			t.Errorf("shows %+v", got)
		}
		mei.Press(mei.Get(path), "form[action='"+path+"/restore']").Leads(path + "?done=restore")
		ana.Press(ana.Get(kestrel), "#start-"+dashed(op.InventorySync)).Leads(kestrel)
		busy := mei.Press(mei.Get(path), "form[action='"+path+"/archive']").Want(http.StatusConflict)
		busy.Says(".errors", "is on its way")
	})
}
