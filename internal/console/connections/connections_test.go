package connections_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const (
	kestrel     = "/w/lattice/tenants/kestrel"
	kestrels    = kestrel + "/connections"
	primary     = kestrels + "/kestrel"
	clientID    = "5b567255-7703-4780-807c-7be8301ae99b"
	directoryID = "0f0e0d0c-1111-4000-8000-00000000000b"
)

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }

// TestConnectionLife walks through every change of a connection by its forms, as
// a browser without script sends them.
func TestConnectionLife(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Tenant(w.Workspace, "kestrel", "Kestrel Logistics")
		mei := w.Browser(w.Owner)

		mei.Get(kestrels).Want(http.StatusOK).Says("main", "No connections yet")
		form := mei.Get(kestrels + "/new").Want(http.StatusOK)
		made := mei.Press(form, "main form", "name", "Kestrel primary", "client_id", clientID).Leads(kestrels + "/kestrel-primary?done=new")
		one := kestrels + "/kestrel-primary"
		page := mei.Get(made).Want(http.StatusOK)
		page.Says(".note", "Connection added.")
		page.Says("main", "Microsoft 365 · Kestrel Logistics")
		page.Says("#connection-state", "Default") // the first of a tenant

		edit := mei.Get(one + "/edit").Want(http.StatusOK)
		if got := edit.Page.Find("#client_id").AttrOr("value", ""); got != clientID {
			t.Errorf("the form shows application %q", got)
		}
		mei.Press(edit, "main form", "name", "Kestrel Graph").Leads(one + "?done=edit")
		mei.Get(one).Says("h1", "Kestrel Graph")

		mei.Press(mei.Get(one+"/credential").Want(http.StatusOK), "main form:has([name=secret])", "secret", "s3cret", "expires_at", "2031-03-31").Leads(one + "?done=credential")
		mei.Get(one).Says("main", "Expires on 31 Mar 2031")

		disable := "form[action='" + one + "/disable']"
		mei.Press(mei.Get(one), disable).Leads(one + "?done=disable")
		page = mei.Get(one)
		page.Says("#connection-state", "Disabled")
		mei.Press(page, "form[action='"+one+"/enable']").Leads(one + "?done=enable")

		second := mei.Press(form, "main form", "name", "Kestrel test", "client_id", clientID, "directory_id", directoryID).Leads(kestrels + "/kestrel-test")
		two, _, _ := strings.Cut(second, "?")
		mei.Press(mei.Get(two), "form[action='"+two+"/default']").Leads(two + "?done=default")
		if mei.Get(one).Text("#connection-state") == mei.Get(two).Text("#connection-state") {
			t.Error("two connections are the default")
		}

		mei.Press(mei.Get(two), "form[action='"+two+"/delete']").Leads(kestrels + "?done=delete")
		mei.Get(two).Want(http.StatusNotFound)
		list := mei.Get(kestrels)
		list.Says("#connections", "Kestrel Graph")
		if strings.Contains(list.Text("#connections"), "Kestrel test") {
			t.Error("a deleted connection is on the list")
		}
	})
}

// TestConnectionForms: errors are shown at their fields, and the input is kept.
func TestConnectionForms(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
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
				_, form := mei.Get(tt.path).Want(http.StatusOK).Form("main form:has(#" + tt.field + ")")
				for name, values := range tt.typed {
					form[name] = values
				}
				page := mei.Send(http.MethodPost, tt.path, form).Want(http.StatusUnprocessableEntity)
				page.Says("#"+tt.field+"-error", tt.says)
				input := page.Page.Find("#" + tt.field)
				if input.AttrOr("aria-invalid", "") != "true" || !strings.Contains(input.AttrOr("aria-describedby", ""), tt.field+"-error") {
					t.Error("the field does not say that it is wrong")
				}
				if href := page.Page.Find(".errors a").AttrOr("href", ""); href != "#"+tt.field {
					t.Errorf("the summary leads to %q", href)
				}
				if strings.Contains(string(page.Body), "canary") {
					t.Error("a secret is shown again")
				}
				for name, values := range tt.typed {
					if name == "secret" || name == "certificate" || name == "kind" || name == "cloud" {
						continue
					}
					if got := page.Page.Find("#"+name).AttrOr("value", ""); got != values[0] {
						t.Errorf("%s was %q, the form shows %q", name, values[0], got)
					}
				}
			})
		}
	})
}

// TestPastedIsTidied: a pasted value is saved tidied up, and the page says so.
func TestPastedIsTidied(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		path := primary + "/credential"
		_, form := mei.Get(path).Want(http.StatusOK).Form("main form:has(#secret)")
		form.Set("secret", " \"canary-secret\"\n")
		to := mei.Send(http.MethodPost, path, form).Leads("")
		page := mei.Get(to).Want(http.StatusOK)
		page.Says("main", op.TidiedSpace.Words())
		page.Says("main", op.TidiedQuotes.Words())
		if strings.Contains(string(page.Body)+to, "canary") {
			t.Error("the secret is shown")
		}

		path = primary + "/edit"
		_, form = mei.Get(path).Want(http.StatusOK).Form("main form:has(#client_id)")
		const other = "0f0e0d0c-0000-4000-8000-00000000000a"
		form.Set("client_id", "\t{"+strings.ToUpper(other)+"} ")
		page = mei.Get(mei.Send(http.MethodPost, path, form).Leads("")).Want(http.StatusOK)
		page.Says("main", op.TidiedSpace.Words())
		if got := mei.Get(path).Page.Find("#client_id").AttrOr("value", ""); got != other {
			t.Errorf("the saved id is %q", got)
		}
	})
}

// TestConnectionInUse: a change that a run prevents is refused on the page.
func TestConnectionInUse(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		start := "#start-" + dashed(op.InventorySync) + "-" + w.ConnectionAt(primary)
		to := mei.Press(mei.Get(primary), start).Leads(primary + "?attempt=")
		page := mei.Get(to)
		if got := page.Result("#answer-" + dashed(op.InventorySync) + "-" + w.ConnectionAt(primary)); got.Tag != "Accepted" {
			t.Fatalf("shows %+v", got)
		}
		page.Says("#in-use", "Inventory sync, run ")

		refused := mei.Press(page, "form[action='"+primary+"/delete']").Want(http.StatusConflict)
		refused.Says(".errors", "holds the connection")
		if back := refused.Page.Find(start+" [name=back]").AttrOr("value", ""); back != primary {
			t.Errorf("a start from here comes back to %q", back)
		}
		_, form := mei.Get(primary + "/edit").Form("main form")
		form.Set("client_id", clientID)
		kept := mei.Send(http.MethodPost, primary+"/edit", form).Want(http.StatusConflict)
		kept.Says(".errors", "holds the connection")
		if got := kept.Page.Find("#client_id").AttrOr("value", ""); got != clientID {
			t.Errorf("the form shows %q", got)
		}
	})
}

// TestDirectoryHasOneConnection: a second enabled connection to one directory is refused.
func TestDirectoryHasOneConnection(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		page := mei.Press(mei.Get(kestrels+"/new"), "main form", "name", "Second", "client_id", clientID).Want(http.StatusConflict)
		page.Says(".errors", "Another connection to directory")
		if got := page.Page.Find("#name").AttrOr("value", ""); got != "Second" {
			t.Errorf("the form shows %q", got)
		}
	})
}

// TestStartFromList (P1, P2): a button of the list starts on its row's connection. Without
// script the answer is above the list.
func TestStartFromList(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		tenant, _ := w.Ready("kestrel", nil)
		w.Connection(w.Workspace, tenant, "sandbox", func(c *tenancy.Connection) { c.Default = false })
		ana := w.Browser(w.Operator)
		id := w.ConnectionAt(kestrels + "/sandbox")
		form := "#start-" + dashed(op.ConnectionVerify) + "-" + id
		notice := ana.WithScript().Press(ana.Get(kestrels), form).Want(http.StatusAccepted)
		notice.Says(".result--compact", "sandbox primary")
		back := ana.Get(ana.Press(ana.Get(kestrels), "#start-"+dashed(op.InventorySync)+"-"+id).Leads(kestrels + "?attempt="))
		if got := back.Result("main .result"); got.Tag != "Connection busy" || !strings.Contains(got.Facts, "Microsoft 365 · sandbox primary") {
			t.Errorf("shows %+v", got)
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs WHERE connection_id = $1`, id); n != 1 {
			t.Errorf("%d runs on the connection", n)
		}
	})
}

// named returns the names of the operations whose permissions, as given by of, have a purpose.
func named(purpose string, of func(*catalogue.Definition) []catalogue.Permission) string {
	var names []string
	for _, d := range catalogue.All() {
		if slices.ContainsFunc(of(d), func(p catalogue.Permission) bool { return p.For == purpose }) {
			names = append(names, d.Kind.Name())
		}
	}
	return strings.Join(names, ", ")
}

// TestPermissions: every missing permission is shown with what it prevents. Those that only
// make a run partial are told apart.
func TestPermissions(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		has := func(names ...string) func(*tenancy.Connection) {
			return func(c *tenancy.Connection) { c.Permissions = names }
		}
		w.Ready("kestrel", has("Policy.Read.All"))
		w.Ready("marlow", has("Group.Read.All", "DeviceManagementConfiguration.ReadWrite.All", "Policy.Read.All"))
		w.Ready("fenwick", nil)
		mei := w.Browser(w.Owner)

		page := mei.Get(kestrel).Want(http.StatusOK)
		page.Says("#verification", "2 permissions are missing. Ask an administrator of Kestrel to grant them")
		page = mei.Get(kestrels + "/kestrel").Want(http.StatusOK)
		needing := named("read policies", func(d *catalogue.Definition) []catalogue.Permission { return d.Permissions })
		partly := named("read policies", func(d *catalogue.Definition) []catalogue.Permission { return d.Optional })
		page.Says("#permissions li:first-child", "DeviceManagementConfiguration.Read.AllMissing. Needed by "+needing+", to read policies. "+partly+" can't read policies without it.")
		if n := page.Page.Find("#permissions li a:contains(Grant)").Length(); n != 19 {
			t.Errorf("%d of the 19 missing permissions can be granted", n)
		}

		page = mei.Get("/w/lattice/tenants/marlow").Want(http.StatusOK)
		page.Says("#verification", "3 permissions granted. Inventory sync leaves out what needs DeviceManagementApps.Read.All,")
		page = mei.Get("/w/lattice/tenants/marlow/connections/marlow").Want(http.StatusOK)
		page.Says("#permissions .card__head", "5 of 20")
		page.Says("#permissions li:first-child", "DeviceManagementApps.Read.AllMissing. Inventory sync, Policy backup, Restore preview can't read apps and app policies without it.")
		page.Says("#permissions", "DeviceManagementConfiguration.ReadWrite.AllGranted. Used by "+needing+", "+partly+", to read policies.")
		mei.Get("/w/lattice/tenants/fenwick").Says("#verification", "Every operation has what it needs.")
		if w.Browser(w.Operator).Get(kestrels+"/kestrel").Want(http.StatusOK).Page.Find("#permissions li a").Length() != 0 {
			t.Error("an operator is led to grant permissions")
		}
	})
}

// TestConnectionNeedsCapability (P3, A2): a member who can't manage connections sees no
// button for it, is told what it needs, and gets 403 for a form.
func TestConnectionNeedsCapability(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		page := ana.Get(primary).Want(http.StatusOK)
		page.Says("#manage", "Needs “Manage connections”")
		if n := page.Page.Find("#manage form, #manage a").Length(); n != 0 {
			t.Errorf("%d things to press", n)
		}
		for _, change := range []string{"new", "kestrel/edit", "kestrel/credential", "kestrel/consent"} {
			ana.Get(kestrels + "/" + change).Want(http.StatusForbidden)
		}
		before := w.Int(`SELECT rev + version FROM connections`)
		for _, change := range []string{"new", "kestrel/edit", "kestrel/credential", "kestrel/consent", "kestrel/consent-withdrawn", "kestrel/enable", "kestrel/disable", "kestrel/default", "kestrel/delete"} {
			ana.Send(http.MethodPost, kestrels+"/"+change, url.Values{"sure": {"yes"}}).Want(http.StatusForbidden)
		}
		if after := w.Int(`SELECT rev + version FROM connections`); after != before {
			t.Error("the connection was changed")
		}
	})
}

// TestSure: a destructive change needs its confirmation.
func TestSure(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Ready("kestrel", nil)
	mei := w.Browser(w.Owner)
	for _, change := range []string{"disable", "delete", "consent-withdrawn"} {
		mei.Send(http.MethodPost, primary+"/"+change, url.Values{}).Want(http.StatusUnprocessableEntity)
	}
	if n := w.Int(`SELECT COUNT(*) FROM connections WHERE enabled AND deleted_at IS NULL AND consent = 'granted'`); n != 1 {
		t.Error("the connection was changed")
	}
}

// TestConsent: the link is shown once. The provider's redirect needs no sign-in, and an
// invented address reveals nothing.
func TestConsent(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })
		mei := w.Browser(w.Owner)
		ask := func() url.Values {
			page := mei.Press(mei.Get(primary+"/consent").Want(http.StatusOK), "form[action='"+primary+"/consent']").Want(http.StatusOK)
			link := page.Page.Find("#link").AttrOr("value", "")
			u, err := url.Parse(link)
			if err != nil || u.Query().Get("state") == "" {
				t.Fatalf("the link is %q: %v", link, err)
			}
			if href := page.Page.Find("main a.btn--go").AttrOr("href", ""); href != link {
				t.Errorf("the button leads to %q", href)
			}
			return url.Values{"state": {u.Query().Get("state")}}
		}
		administrator := w.Stranger()

		// Each cause is told apart; what the provider said stands behind a fold.
		for _, c := range []struct{ problem, said, title, code string }{
			{"access_denied", "", "Consent was declined", "access_denied"},
			{"consent_required", "AADSTS65004: The resource owner denied the request.\r\nTrace ID: 1", "Consent was declined", "AADSTS65004"},
			{"invalid_grant", "AADSTS50020: User account does not exist in tenant.\r\nTrace ID: 1", "Wrong account", "AADSTS50020"},
			{"access_denied", "AADSTS90094: An administrator has set a policy.\r\nTrace ID: 1", "Administrator approval required", "AADSTS90094"},
			{"unauthorized_client", "AADSTS700016: Application was not found.", "Application not found", "AADSTS700016"},
			{"invalid_client", "AADSTS650056: Misconfigured application.", "Requested permissions not found", "AADSTS650056"},
			{"invalid_grant", "AADSTS53003: Access has been blocked.", "Sign-in was blocked", "AADSTS53003"},
			{"server_error", "", "Consent page failed", "server_error"},
			{"invalid_request", "AADSTS7654321: <script>alert(1)</script>", "Consent was not given", "AADSTS7654321"},
		} {
			refused := ask()
			refused.Set("error", c.problem)
			refused.Set("error_description", c.said)
			page := administrator.Get("/consent?" + refused.Encode()).Want(http.StatusOK)
			page.Says("h1", c.title)
			page.Says("main", "No consent was recorded.")
			page.Says("details#evidence", c.code)
			if _, said, ok := strings.Cut(strings.Split(c.said, "\r\n")[0], ": "); ok {
				page.Says("details#evidence", said)
			}
			if page.Page.Find("details[open], main script").Length() != 0 || strings.Contains(page.Text("main"), "Trace ID") {
				t.Errorf("%s: %q", c.title, page.Text("main"))
			}
			if got := w.Text(`SELECT data FROM audit_log WHERE action = 'connection.consent_declined' ORDER BY seq DESC LIMIT 1`); !strings.Contains(got, c.code) {
				t.Errorf("%s: the audit trail has %s", c.title, got)
			}
		}

		elsewhere := ask()
		elsewhere.Set("tenant", clientID)
		administrator.Get("/consent?"+elsewhere.Encode()).Want(http.StatusOK).Says("h1", "Consent came from another directory")

		granted := ask()
		granted.Set("tenant", w.Text(`SELECT directory_id FROM connections`))
		granted.Set("admin_consent", "True")
		page := administrator.Get("/consent?" + granted.Encode()).Want(http.StatusOK)
		page.Says("h1", "Consent received")
		if href := page.Page.Find("main a.btn--go").AttrOr("href", ""); href != primary {
			t.Errorf("it leads on to %q", href)
		}
		again := administrator.Get("/consent?" + granted.Encode()).Want(http.StatusNotFound)
		if made := administrator.Get("/consent?state=made-up").Want(http.StatusNotFound); string(made.Body) != string(again.Body) {
			t.Error("a used link and one that never was can be told apart")
		}
		if there := mei.Get("/consent?state=made-up").Want(http.StatusNotFound); string(there.Body) != string(mei.Get("/nowhere").Body) {
			t.Error("the page of what is not there is another one here")
		}
	})
}

// TestHostileConnection (S8): markup in a connection's name is shown as text.
func TestHostileConnection(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	const hostile = `<script>alert(1)</script>"'><img src=x>`
	w.Ready("kestrel", func(c *tenancy.Connection) {
		soon := time.Now().Add(time.Hour)
		c.Name, c.DisabledBy, c.DisabledAt, c.Enabled = hostile, hostile, &soon, false
	})
	mei := w.Browser(w.Owner)
	for _, path := range []string{kestrels, primary, primary + "/edit", primary + "/credential", primary + "/consent"} {
		page := mei.Get(path).Want(http.StatusOK)
		if n := page.Page.Find("script:not([src]), img").Length(); n != 0 {
			t.Errorf("%s: %d elements came from a name", path, n)
		}
		page.Says("main", hostile)
	}
}

// TestWorkloadIdentity: the page shows the federated credential that the app registration
// needs, and saves no secret.
func TestWorkloadIdentity(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		path := primary + "/credential"
		page := mei.Get(path).Want(http.StatusOK)
		for _, value := range []string{"https://issuer.example", "system:serviceaccount:ops:interlock", "api://AzureADTokenExchange"} {
			page.Says("form[aria-labelledby=cw]", value)
		}
		page = mei.Get(mei.Press(page, "form[aria-labelledby=cw]").Leads(""))
		page.Says("main", "Workload identity")
		page.Says("main", "Nothing secret is saved")
		page.Says("main", "system:serviceaccount:ops:interlock")
		if strings.Contains(string(page.Body), "canary") {
			t.Error("the token is shown")
		}

		if err := os.Remove(w.TokenFile); err != nil {
			t.Fatal(err)
		}
		page = mei.Get(path).Want(http.StatusOK)
		page.Says("form[aria-labelledby=cw]", "the server's token can’t be read from its file")
		if n := page.Page.Find("form[aria-labelledby=cw] button").Length(); n != 0 {
			t.Error("it offers an identity that can't be used")
		}
		_, form := page.Form("form:has(#secret)")
		form.Set("kind", "workload identity")
		mei.Send(http.MethodPost, path, form).Want(http.StatusUnprocessableEntity).Says("form[aria-labelledby=cw]", "can’t be read from its file")
	})
}

// TestCertificateIsShown: a certificate shows its thumbprint and when it expires.
func TestCertificateIsShown(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		text, thumbprint, expires := selfSigned(t)
		path := primary + "/credential"
		_, form := mei.Get(path).Form("form:has(#certificate)")
		form.Set("certificate", text)
		page := mei.Get(mei.Send(http.MethodPost, path, form).Leads(""))
		page.Says("main", thumbprint)
		page.Says("main", "Expires on "+op.Day(expires))
	})
}

// selfSigned returns a certificate with its key in PEM, its thumbprint and its end.
func selfSigned(t *testing.T) (text, thumbprint string, expires time.Time) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	expires = time.Now().Add(90 * 24 * time.Hour)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: expires}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		strings.ToUpper(hex.EncodeToString(sum[:])), expires
}
