package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const (
	kestrels    = kestrel + "/connections"
	primary     = kestrels + "/kestrel"
	clientID    = "5b567255-7703-4780-807c-7be8301ae99b"
	directoryID = "0f0e0d0c-1111-4000-8000-00000000000b"
)

// TestConnectionLife walks through every change of a connection by its forms, as
// a browser without script sends them.
func TestConnectionLife(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Tenant(w.Workspace, "kestrel", "Kestrel Logistics")
		mei := w.browser(w.Owner)

		mei.get(kestrels).want(http.StatusOK).says("main", "No connection yet")
		form := mei.get(kestrels + "/new").want(http.StatusOK)
		made := mei.press(form, "main form", "name", "Kestrel primary", "client_id", clientID).leads(kestrels + "/kestrel-primary?done=new")
		one := kestrels + "/kestrel-primary"
		page := mei.get(made).want(http.StatusOK)
		page.says(".note", "The connection was added.")
		page.says("main", "Microsoft 365 · Kestrel Logistics")
		page.says("#connection-state", "Default") // the first of a tenant

		edit := mei.get(one + "/edit").want(http.StatusOK)
		if got := edit.page.Find("#client_id").AttrOr("value", ""); got != clientID {
			t.Errorf("the form shows application %q", got)
		}
		mei.press(edit, "main form", "name", "Kestrel Graph").leads(one + "?done=edit")
		mei.get(one).says("h1", "Kestrel Graph")

		mei.press(mei.get(one+"/credential").want(http.StatusOK), "main form:has([name=secret])", "secret", "s3cret", "expires_at", "2031-03-31").leads(one + "?done=credential")
		mei.get(one).says("main", "Expires on 31 Mar 2031")

		disable := "form[action='" + one + "/disable']"
		mei.press(mei.get(one), disable).leads(one + "?done=disable")
		page = mei.get(one)
		page.says("#connection-state", "Disabled")
		mei.press(page, "form[action='"+one+"/enable']").leads(one + "?done=enable")

		second := mei.press(form, "main form", "name", "Kestrel test", "client_id", clientID, "directory_id", directoryID).leads(kestrels + "/kestrel-test")
		two, _, _ := strings.Cut(second, "?")
		mei.press(mei.get(two), "form[action='"+two+"/default']").leads(two + "?done=default")
		if mei.get(one).text("#connection-state") == mei.get(two).text("#connection-state") {
			t.Error("two connections are the default")
		}

		mei.press(mei.get(two), "form[action='"+two+"/delete']").leads(kestrels + "?done=delete")
		mei.get(two).want(http.StatusNotFound)
		list := mei.get(kestrels)
		list.says("#connections", "Kestrel Graph")
		if strings.Contains(list.text("#connections"), "Kestrel test") {
			t.Error("a deleted connection is on the list")
		}
	})
}

// TestConnectionForms: what can't be used is told at its field, and what was typed
// is kept.
func TestConnectionForms(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		mei := w.browser(w.Owner)
		for _, tt := range []struct {
			name, path, field string
			typed             url.Values
			says              string
		}{
			{"no name", kestrels + "/new", "name", url.Values{"client_id": {clientID}}, "Must not be empty."},
			{"a name of the page", kestrels + "/new", "slug", url.Values{"name": {"New"}, "client_id": {clientID}, "directory_id": {directoryID}}, "Must not be new"},
			{"an application that is none", kestrels + "/new", "client_id", url.Values{"name": {"Second"}, "client_id": {"app"}}, "Must be a GUID"},
			{"a cloud that is none", primary + "/edit", "cloud", url.Values{"name": {"Second"}, "cloud": {"moon"}}, "Must be one of global"},
			{"a name that is too long", primary + "/edit", "name", url.Values{"name": {strings.Repeat("x", 81)}}, "Has 81 characters, at most 80 are allowed."},
			{"no secret", primary + "/credential", "secret", url.Values{"expires_at": {"2031-03-31"}}, "Must not be empty."},
			{"a date that is none", primary + "/credential", "expires_at", url.Values{"secret": {"canary"}, "expires_at": {"soon"}}, "Must be a date"},
			{"a certificate without its key", primary + "/credential", "certificate", url.Values{"kind": {"certificate"}, "certificate": {"canary"}}, "Is neither PEM nor a PFX file"},
			{"the ID of a secret", primary + "/credential", "secret", url.Values{"secret": {clientID}}, "Looks like the secret's ID, not its value"},
			{"the ID of the directory", kestrels + "/new", "client_id", url.Values{"name": {"Second"}, "client_id": {clientID}, "directory_id": {clientID}}, "Is the ID of the directory"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				_, form := mei.get(tt.path).want(http.StatusOK).form("main form:has(#" + tt.field + ")")
				for name, values := range tt.typed {
					form[name] = values
				}
				page := mei.send(http.MethodPost, tt.path, form).want(http.StatusUnprocessableEntity)
				page.says("#"+tt.field+"-error", tt.says)
				input := page.page.Find("#" + tt.field)
				if input.AttrOr("aria-invalid", "") != "true" || !strings.Contains(input.AttrOr("aria-describedby", ""), tt.field+"-error") {
					t.Error("the field does not say that it is wrong")
				}
				if href := page.page.Find(".errors a").AttrOr("href", ""); href != "#"+tt.field {
					t.Errorf("the summary leads to %q", href)
				}
				if strings.Contains(string(page.body), "canary") {
					t.Error("a secret is shown again")
				}
				for name, values := range tt.typed {
					if name == "secret" || name == "certificate" || name == "kind" || name == "cloud" {
						continue
					}
					if got := page.page.Find("#"+name).AttrOr("value", ""); got != values[0] {
						t.Errorf("%s was %q, the form shows %q", name, values[0], got)
					}
				}
			})
		}
	})
}

// TestPastedIsTidied: what was taken off a pasted value is told on the page, and the
// value that is saved is the bare one.
func TestPastedIsTidied(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		mei := w.browser(w.Owner)
		path := primary + "/credential"
		_, form := mei.get(path).want(http.StatusOK).form("main form:has(#secret)")
		form.Set("secret", " \"canary-secret\"\n")
		to := mei.send(http.MethodPost, path, form).leads("")
		page := mei.get(to).want(http.StatusOK)
		page.says("main", op.TidiedSpace.Words())
		page.says("main", op.TidiedQuotes.Words())
		if strings.Contains(string(page.body)+to, "canary") {
			t.Error("the secret is shown")
		}

		path = primary + "/edit"
		_, form = mei.get(path).want(http.StatusOK).form("main form:has(#client_id)")
		const other = "0f0e0d0c-0000-4000-8000-00000000000a"
		form.Set("client_id", "\t{"+strings.ToUpper(other)+"} ")
		page = mei.get(mei.send(http.MethodPost, path, form).leads("")).want(http.StatusOK)
		page.says("main", op.TidiedSpace.Words())
		if got := mei.get(path).page.Find("#client_id").AttrOr("value", ""); got != other {
			t.Errorf("the saved id is %q", got)
		}
	})
}

// TestConnectionInUse: what a run is in the way of is told in words on the page,
// and nothing is changed.
func TestConnectionInUse(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		mei := w.browser(w.Owner)
		start := "#start-" + dashed(op.InventorySync) + "-" + w.id(primary)
		to := mei.press(mei.get(primary), start).leads(primary + "?attempt=")
		page := mei.get(to)
		if got := page.result("#answer-" + dashed(op.InventorySync) + "-" + w.id(primary)); got.tag != "Accepted" {
			t.Fatalf("shows %+v", got)
		}
		page.says("#in-use", "Inventory sync, run ")

		refused := mei.press(page, "form[action='"+primary+"/delete']").want(http.StatusConflict)
		refused.says(".errors", "holds the connection")
		if back := refused.page.Find(start+" [name=back]").AttrOr("value", ""); back != primary {
			t.Errorf("a start from here comes back to %q", back)
		}
		_, form := mei.get(primary + "/edit").form("main form")
		form.Set("client_id", clientID)
		kept := mei.send(http.MethodPost, primary+"/edit", form).want(http.StatusConflict)
		kept.says(".errors", "holds the connection")
		if got := kept.page.Find("#client_id").AttrOr("value", ""); got != clientID {
			t.Errorf("the form shows %q", got)
		}
	})
}

// TestDirectoryHasOneConnection: two enabled connections to one directory are
// refused in words.
func TestDirectoryHasOneConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		mei := w.browser(w.Owner)
		page := mei.press(mei.get(kestrels+"/new"), "main form", "name", "Second", "client_id", clientID).want(http.StatusConflict)
		page.says(".errors", "another connection to directory")
		if got := page.page.Find("#name").AttrOr("value", ""); got != "Second" {
			t.Errorf("the form shows %q", got)
		}
	})
}

// TestStartFromList (P1, P2): the list starts on exactly the connection of its
// row; without script the answer stands above the list.
func TestStartFromList(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, _ := w.ready("kestrel", nil)
		w.Connection(w.Workspace, tenant, "sandbox", func(c *tenancy.Connection) { c.Default = false })
		ana := w.browser(w.Operator)
		id := w.id(kestrels + "/sandbox")
		form := "#start-" + dashed(op.ConnectionVerify) + "-" + id
		notice := ana.withScript().press(ana.get(kestrels), form).want(http.StatusAccepted)
		notice.says(".result--compact", "sandbox primary")
		back := ana.get(ana.press(ana.get(kestrels), "#start-"+dashed(op.InventorySync)+"-"+id).leads(kestrels + "?attempt="))
		if got := back.result("main .result"); got.tag != "Connection busy" || !strings.Contains(got.facts, "Microsoft 365 · sandbox primary") {
			t.Errorf("shows %+v", got)
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs WHERE connection_id = $1`, id); n != 1 {
			t.Errorf("%d runs on the connection", n)
		}
	})
}

// TestConnectionNeedsCapability (P3, A2): who may not manage connections sees no
// button for it, is told what it needs, and gets 403 when they send a form anyway.
// TestTenantAdded: who has nothing yet comes to a tenant and its connection by the
// console alone; bad input is told at its field, with what was typed kept.
func TestTenantAdded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		mei := w.browser(w.Owner)
		list := mei.get("/w/lattice/tenants").want(http.StatusOK)
		list.says("#tenant-list", "No tenants yet")
		path := list.page.Find("#tenant-list a").AttrOr("href", "")
		form := mei.get(path).want(http.StatusOK)
		for _, bad := range []struct{ field, value, says string }{
			{"name", "", "Name must not be empty."},
			{"directory_id", "kestrel", "Directory (tenant) ID must be a GUID"},
			{"slug", "new", "Short name for addresses must not be new"},
			{"slug", "Not A Slug", "Short name for addresses must"},
			{"domain", strings.Repeat("x", 254), "Domain has 254 characters, at most 253 are allowed."},
		} {
			values := []string{"name", "Kestrel Logistics", "domain", "kestrel.example", "directory_id", clientID, bad.field, bad.value}
			refused := mei.press(form, "main form", values...).want(http.StatusUnprocessableEntity)
			refused.says(".errors", bad.says)
			if got := refused.page.Find("#"+bad.field).AttrOr("value", ""); got != bad.value {
				t.Errorf("%s: the form shows %q again", bad.field, got)
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM tenants`); n != 0 {
			t.Fatalf("%d tenants from forms that were refused", n)
		}
		next := mei.press(form, "main form", "name", "Kestrel Logistics", "domain", "kestrel.example", "directory_id", clientID).leads("/w/lattice/tenants/kestrel-logistics/connections/new")
		if got := mei.get(next).want(http.StatusOK).page.Find("#directory_id").AttrOr("value", ""); got != clientID {
			t.Errorf("its connection would sign in to directory %q", got)
		}
		mei.press(form, "main form", "name", "Kestrel again", "slug", "kestrel-logistics", "domain", "kestrel.example", "directory_id", clientID).
			want(http.StatusUnprocessableEntity).says(".errors", "is in use")

		ana := w.browser(w.Operator)
		if list := ana.get("/w/lattice/tenants"); list.page.Find("a[href='"+path+"']").Length() != 0 {
			t.Error("an operator is led to add a tenant")
		}
		ana.get(path).want(http.StatusForbidden)
	})
}

// TestPermissions: what an application lacks is told with what can't be done
// without it, all of it, and what only makes a run partial apart from the rest.
func TestPermissions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		has := func(names ...string) func(*tenancy.Connection) {
			return func(c *tenancy.Connection) { c.Permissions = names }
		}
		w.ready("kestrel", has("Policy.Read.All"))
		w.ready("marlow", has("Group.Read.All", "DeviceManagementConfiguration.ReadWrite.All", "Policy.Read.All"))
		w.ready("fenwick", nil)
		mei := w.browser(w.Owner)

		page := mei.get(kestrel).want(http.StatusOK)
		page.says("#verification", "2 permissions are missing. Ask an administrator of Kestrel to grant them")
		page = mei.get(kestrels + "/kestrel").want(http.StatusOK)
		page.says("#permissions li:first-child", "DeviceManagementConfiguration.Read.AllMissing. Needed by Inventory sync, to read policies.")
		if n := page.page.Find("#permissions li a:contains(Grant)").Length(); n != 7 {
			t.Errorf("%d of the 7 missing permissions can be granted", n)
		}

		page = mei.get("/w/lattice/tenants/marlow").want(http.StatusOK)
		page.says("#verification", "3 permissions granted. Inventory sync leaves out what needs DeviceManagementApps.Read.All,")
		page = mei.get("/w/lattice/tenants/marlow/connections/marlow").want(http.StatusOK)
		page.says("#permissions .card__head", "4 of 8")
		page.says("#permissions li:first-child", "DeviceManagementApps.Read.AllMissing. Inventory sync can't read apps and app policies without it.")
		page.says("#permissions", "DeviceManagementConfiguration.ReadWrite.AllGranted. Used by Inventory sync, to read policies.")
		mei.get("/w/lattice/tenants/fenwick").says("#verification", "Every operation has what it needs.")
		if w.browser(w.Operator).get(kestrels+"/kestrel").want(http.StatusOK).page.Find("#permissions li a").Length() != 0 {
			t.Error("an operator is led to grant permissions")
		}
	})
}

func TestConnectionNeedsCapability(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		page := ana.get(primary).want(http.StatusOK)
		page.says("#manage", "Needs “Manage connections”")
		if n := page.page.Find("#manage form, #manage a").Length(); n != 0 {
			t.Errorf("%d things to press", n)
		}
		for _, change := range []string{"new", "kestrel/edit", "kestrel/credential", "kestrel/consent"} {
			ana.get(kestrels + "/" + change).want(http.StatusForbidden)
		}
		before := w.Int(`SELECT rev + version FROM connections`)
		for _, change := range []string{"new", "kestrel/edit", "kestrel/credential", "kestrel/consent", "kestrel/consent-withdrawn", "kestrel/enable", "kestrel/disable", "kestrel/default", "kestrel/delete"} {
			ana.send(http.MethodPost, kestrels+"/"+change, url.Values{"sure": {"yes"}}).want(http.StatusForbidden)
		}
		if after := w.Int(`SELECT rev + version FROM connections`); after != before {
			t.Error("the connection was changed")
		}
	})
}

// TestSure: a change that takes something away needs the form that says so.
func TestSure(t *testing.T) {
	w := onOne(t, Deps{})
	w.ready("kestrel", nil)
	mei := w.browser(w.Owner)
	for _, change := range []string{"disable", "delete", "consent-withdrawn"} {
		mei.send(http.MethodPost, primary+"/"+change, url.Values{}).want(http.StatusUnprocessableEntity)
	}
	if n := w.Int(`SELECT COUNT(*) FROM connections WHERE enabled AND deleted_at IS NULL AND consent = 'granted'`); n != 1 {
		t.Error("the connection was changed")
	}
}

// TestConsent: the link is shown once, the provider's answer needs no sign-in, and
// says nothing to whoever made its address up.
func TestConsent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		mei := w.browser(w.Owner)
		ask := func() url.Values {
			page := mei.press(mei.get(primary+"/consent").want(http.StatusOK), "form[action='"+primary+"/consent']").want(http.StatusOK)
			link := page.page.Find("#link").AttrOr("value", "")
			u, err := url.Parse(link)
			if err != nil || u.Query().Get("state") == "" {
				t.Fatalf("the link is %q: %v", link, err)
			}
			if href := page.page.Find("main a.btn--go").AttrOr("href", ""); href != link {
				t.Errorf("the button leads to %q", href)
			}
			return url.Values{"state": {u.Query().Get("state")}}
		}
		administrator := w.stranger()

		// Each cause is told apart; what the provider said stands behind a fold.
		for _, c := range []struct{ problem, said, title, code string }{
			{"access_denied", "", "Consent was declined", "access_denied"},
			{"consent_required", "AADSTS65004: The resource owner denied the request.\r\nTrace ID: 1", "Consent was declined", "AADSTS65004"},
			{"invalid_grant", "AADSTS50020: User account does not exist in tenant.\r\nTrace ID: 1", "Wrong account", "AADSTS50020"},
			{"access_denied", "AADSTS90094: An administrator has set a policy.\r\nTrace ID: 1", "An administrator has to approve", "AADSTS90094"},
			{"unauthorized_client", "AADSTS700016: Application was not found.", "Application was not found", "AADSTS700016"},
			{"invalid_client", "AADSTS650056: Misconfigured application.", "Application asks for nothing that exists", "AADSTS650056"},
			{"invalid_grant", "AADSTS53003: Access has been blocked.", "Sign-in was blocked", "AADSTS53003"},
			{"server_error", "", "Consent page failed", "server_error"},
			{"invalid_request", "AADSTS7654321: <script>alert(1)</script>", "Consent was not given", "AADSTS7654321"},
		} {
			refused := ask()
			refused.Set("error", c.problem)
			refused.Set("error_description", c.said)
			page := administrator.get("/consent?" + refused.Encode()).want(http.StatusOK)
			page.says("h1", c.title)
			page.says("main", "No consent was noted.")
			page.says("details#evidence", c.code)
			if _, said, ok := strings.Cut(strings.Split(c.said, "\r\n")[0], ": "); ok {
				page.says("details#evidence", said)
			}
			if page.page.Find("details[open], main script").Length() != 0 || strings.Contains(page.text("main"), "Trace ID") {
				t.Errorf("%s: %q", c.title, page.text("main"))
			}
			if got := w.text(`SELECT data FROM audit_log WHERE action = 'connection.consent_declined' ORDER BY seq DESC LIMIT 1`); !strings.Contains(got, c.code) {
				t.Errorf("%s: the audit trail has %s", c.title, got)
			}
		}

		elsewhere := ask()
		elsewhere.Set("tenant", clientID)
		administrator.get("/consent?"+elsewhere.Encode()).want(http.StatusOK).says("h1", "Consent came from another directory")

		granted := ask()
		granted.Set("tenant", w.text(`SELECT directory_id FROM connections`))
		granted.Set("admin_consent", "True")
		page := administrator.get("/consent?" + granted.Encode()).want(http.StatusOK)
		page.says("h1", "Consent was answered")
		if href := page.page.Find("main a.btn--go").AttrOr("href", ""); href != primary {
			t.Errorf("it leads on to %q", href)
		}
		again := administrator.get("/consent?" + granted.Encode()).want(http.StatusNotFound)
		if made := administrator.get("/consent?state=made-up").want(http.StatusNotFound); string(made.body) != string(again.body) {
			t.Error("a used link and one that never was can be told apart")
		}
		if there := mei.get("/consent?state=made-up").want(http.StatusNotFound); string(there.body) != string(mei.get("/nowhere").body) {
			t.Error("the page of what is not there is another one here")
		}
	})
}

// TestHostileNames (S8): names are text, whatever they hold.
func TestHostileConnection(t *testing.T) {
	w := onOne(t, Deps{})
	const hostile = `<script>alert(1)</script>"'><img src=x>`
	w.ready("kestrel", func(c *tenancy.Connection) {
		soon := time.Now().Add(time.Hour)
		c.Name, c.DisabledBy, c.DisabledAt, c.Enabled = hostile, hostile, &soon, false
	})
	mei := w.browser(w.Owner)
	for _, path := range []string{kestrels, primary, primary + "/edit", primary + "/credential", primary + "/consent"} {
		page := mei.get(path).want(http.StatusOK)
		if n := page.page.Find("script:not([src]), img").Length(); n != 0 {
			t.Errorf("%s: %d elements came from a name", path, n)
		}
		page.says("main", hostile)
	}
}

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }
