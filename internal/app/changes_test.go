package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// presses sends every changing request of the API, as the owner, and checks what its
// statements read. A route that it does not send fails t.
func (h *old) presses(t *testing.T) {
	c := &changes{old: h, t: t, secret: h.Session(h.Owner), sent: map[string]bool{}}
	member, leaver := h.Second.ID(), h.Member("Lea Vega", "lea.vega@lattice.example", tenancy.Viewer).ID()

	// Runs, tenants and connections.
	tenant := func(slug string) []string { return []string{"tenant", slug, "connection", slug} }
	c.send("start", `{"operation":"inventory.sync"}`, tenant("tenant-7")...)
	c.send("start", `{"operation":"inventory.sync"}`, tenant("tenant-7")...)
	c.send("start", `{"operation":"directory.groups.sync"}`, tenant("tenant-7")...)
	c.send("cancel-run", ``, "run", h.Queued)
	c.send("release-run", `{"note":"stuck since noon"}`, "run", h.Queued)
	c.send("archive-tenant", ``, tenant("tenant-8")...)
	c.send("restore-tenant", ``, tenant("tenant-8")...)
	c.send("create-tenant", `{"name":"Newcomer","slug":"newcomer","domain":"newcomer.example","directory_id":"8c4e0000-0000-4000-8000-0000000091d2"}`)
	var connection struct{ ID string }
	c.read(&connection, "create-connection", `{"name":"Second","client_id":"8c4e0000-0000-4000-8000-0000000091d3","directory_id":"8c4e0000-0000-4000-8000-0000000091d4"}`, "tenant", "tenant-9")
	another := []string{"tenant", "tenant-9", "connection", connection.ID}
	c.send("rotate-credential", `{"secret":"aB3~q.sample-secret-0001"}`, another...)
	c.send("edit-connection", `{"name":"Another"}`, another...)
	c.send("begin-consent", ``, another...)
	c.send("revoke-consent", ``, tenant("tenant-9")...)
	c.send("set-default-connection", ``, another...)
	c.send("disable-connection", ``, tenant("tenant-9")...)
	c.send("start", `{"operation":"inventory.sync"}`, "tenant", "tenant-9")
	c.send("enable-connection", ``, tenant("tenant-9")...)
	c.send("delete-connection", ``, tenant("tenant-9")...)
	c.send("read-notification", ``, "notification", h.Text(`SELECT MAX(id) FROM notifications WHERE user_id = $1`, h.Owner.ID()))

	// Backups and restores.
	rare := []string{"tenant", h.Rare, "backup", h.backup, "plan", h.plan}
	c.send("pin-backup", ``, rare...)
	c.send("unpin-backup", ``, rare...)
	c.send("set-keep-rules", `{"newest":20,"daily":7,"monthly":1}`)
	c.send("upload-backup", policyArchive(t), rare...)
	c.send("approve-plan", ``, rare...)
	c.send("set-restore-policy", `{"approval":true}`)
	var mapping struct{ ID string }
	c.read(&mapping, "set-mapping", `{"kind":"groups","source":"a","target":"b"}`, rare...)
	c.send("remove-mapping", ``, "tenant", h.Rare, "mapping", mapping.ID)

	// People.
	var invited struct {
		Invitation struct{ ID string }
		Link       struct{ Href string }
	}
	link := func() string {
		u, err := url.Parse(invited.Link.Href)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("link")
	}
	invite := `{"email":"new@lattice.example","role":"viewer"}`
	c.read(&invited, "invite", invite)
	c.send("revoke-invitation", ``, "invitation", invited.Invitation.ID)
	c.read(&invited, "invite", invite)
	c.send("open-invitation", `{"link":"`+link()+`"}`)
	c.send("accept-invitation", `{"link":"`+link()+`","name":"New","password":"correct horse battery"}`)
	c.read(&invited, "invite", strings.Replace(invite, "new@lattice.example", "nora.field@northgate.example", 1))
	as := c.secret
	c.secret = h.Session(h.Outsider)
	c.send("join-workspace", `{"link":"`+link()+`"}`)
	c.secret = as
	c.send("change-member", `{"role":"viewer"}`, "member", member)
	var reset struct{ Href string }
	c.read(&reset, "create-reset-link", ``, "member", member)
	u, err := url.Parse(reset.Href)
	if err != nil {
		t.Fatal(err)
	}
	c.send("reset-password", `{"link":"`+u.Query().Get("link")+`","password":"another long password"}`)
	c.send("reset-member-factors", ``, "member", member)
	c.send("disable-member", ``, "member", member)
	c.send("enable-member", ``, "member", member)
	c.send("remove-member", ``, "member", leaver)

	// The owner's own account.
	c.send("rename-me", `{"name":"Mei Tan"}`)
	var token struct{ Token struct{ ID string } }
	c.read(&token, "create-token", `{"name":"a program"}`)
	c.send("revoke-token", ``, "token", token.Token.ID)
	var session struct{ Token string }
	c.read(&session, "confirm-session", `{"password":"`+gatetest.Password+`"}`)
	c.secret = session.Token
	c.send("change-password", `{"current_password":"`+gatetest.Password+`","password":"another long password"}`)
	var app struct{ Secret string }
	c.read(&app, "begin-authenticator", ``)
	code, err := totp.GenerateCode(app.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.send("confirm-authenticator", `{"name":"Phone","code":"`+code+`"}`)
	c.send("create-recovery-codes", ``)
	factor := h.Text(`SELECT id FROM factors WHERE name = 'Phone'`)
	c.send("rename-factor", `{"name":"Old phone"}`, "factor", factor)
	c.send("set-policy", `{"second_factor":true}`)
	c.send("set-policy", `{"second_factor":false}`)
	c.send("remove-factor", ``, "factor", factor)
	c.send("end-other-sessions", ``)
	c.send("sign-in", `{"email":"`+h.Owner.Email()+`","password":"another long password"}`)
	c.send("sign-out", ``)

	for _, r := range api.New(api.Deps{}).Routes() {
		if r.Method != http.MethodGet && !c.sent[r.ID] {
			t.Errorf("%s %s is not asked: what it reads is not known", r.Method, r.Path)
		}
	}
}

// policyArchive is a zip file with one policy.
func policyArchive(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	w := archive.NewWriter(&out, archive.Meta{})
	err := w.Add(archive.Item{Name: "Kiosks", Item: policy.Item{Type: "assignmentFilters", ID: "f1", Body: json.RawMessage(`{"id":"f1","displayName":"Kiosks"}`)}})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// changes sends requests that change something.
type changes struct {
	*old
	t      *testing.T
	secret string
	sent   map[string]bool
}

// send sends a request to the route with that id. args are the placeholders of its
// path, each with its value. The request has to succeed; only a start, and the release
// of a cancelled run, may be refused.
func (c *changes) send(id, body string, args ...string) []byte {
	c.t.Helper()
	c.sent[id] = true
	var route api.Route
	for _, r := range api.New(api.Deps{}).Routes() {
		if r.ID == id {
			route = r
		}
	}
	path := api.Base + route.Path
	for i := 0; i+1 < len(args); i += 2 {
		path = strings.ReplaceAll(path, "{"+args[i]+"}", url.PathEscape(args[i+1]))
	}
	w := c.request(c.t, c.secret, route.Method, path, []byte(body))
	refused := id == "start" && w.Code < 500 || id == "release-run" && w.Code == http.StatusConflict
	if w.Code >= 300 && !refused {
		c.t.Errorf("%s: %s %s: %d %s", id, route.Method, path, w.Code, w.Body)
	}
	c.judge(c.t, route.Method, path)
	return w.Body.Bytes()
}

// read is send, and decodes the answer.
func (c *changes) read(into any, id, body string, args ...string) {
	c.t.Helper()
	if err := json.Unmarshal(c.send(id, body, args...), into); err != nil {
		c.t.Fatalf("%s: %v", id, err)
	}
}
