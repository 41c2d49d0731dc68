//go:build browser

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// hostile are names that would call evil if they were read as markup, an attribute, an
// address, a script or a template.
var hostile = []string{
	`<script>evil(1)</script>`,
	`<img src=x onerror=evil(2)>`,
	`"><svg onload=evil(3)>`,
	`' autofocus onfocus='evil(4)`,
	`</title></textarea></style><script>evil(5)</script>`,
	`javascript:evil(6)`,
	`{{evil(7)}}${evil(7)}`,
	`<hx-partial hx-target="body">x</hx-partial>`,
	`<b hx-on:load="evil(8)" hx-get="/" hx-trigger="load">`,
	"&lt;script&gt;evil(9)&lt;/script&gt;",
}

// TestBrowserTextStaysText (S8): hostile names of members and providers are shown as text
// and run nothing: on pages, in fragments and in streams.
func TestBrowserTextStaysText(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	b := s.visit(t).as("owner")
	watch := func(b *tab) {
		t.Helper()
		if eval[bool](b, `document.body.innerHTML.includes("evil(") && (document.querySelector("[onerror],[onload],[onfocus],main script,main [hx-on\\:load]") !== null)`) {
			t.Errorf("markup of a name is in the page %s", b.path())
		}
	}
	shows := func(b *tab, path string, names ...string) {
		t.Helper()
		b.open(path)
		b.has("main")
		text := eval[string](b, `document.body.innerText + [...document.querySelectorAll("input, textarea")].map(e => e.value).join("\n")`)
		for _, name := range names {
			if !strings.Contains(text, name) {
				t.Errorf("%s does not show %q:\n%s", path, name, text)
			}
		}
		watch(b)
	}

	// What people call things: the tenant's connection, the reason of a release.
	name := strings.Join(hostile[1:3], "")
	s.send(t, http.MethodPatch, "/tenants/"+p.Slug+"/connections/"+p.Default.Slug, map[string]string{"name": name})
	for _, path := range []string{p.path(), p.connection(), op.ConnectionsPath(workspace, p.Slug), op.TenantsPath(workspace) + "?q=" + p.Slug} {
		shows(b, path, name)
	}
	// What a form brought along comes back as it was.
	for _, q := range hostile {
		shows(b, op.TenantsPath(workspace)+"?"+query("q", q), q)
	}
	b.open(op.OperationsPath(workspace) + "?" + query("tenant", hostile[2]) + "&" + query("state", hostile[3]) + "&" + query("cursor", hostile[0]))
	b.expect(refused(http.StatusBadRequest))
	watch(b)
	stranger := s.visit(t)
	stranger.expect(refused(http.StatusUnauthorized))
	stranger.open("/sign-in?" + query("next", "/"+hostile[2]))
	eval[bool](stranger, `document.querySelector("form.card").noValidate = true`)
	stranger.fillIn(`"><svg/onload=evil(3)>@x.example`, "wrong")
	stranger.has(".errors")
	watch(stranger)

	// What the provider calls things, and what it says when it refuses.
	var groups []graphsim.GroupChange
	for i, h := range hostile {
		groups = append(groups, graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: h})
		body, err := json.Marshal(map[string]any{"@odata.type": "#microsoft.graph.windows10GeneralConfiguration", "displayName": h, "description": fmt.Sprint(i) + h})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.control.PutItem(t.Context(), p.DirectoryID, "deviceManagement/deviceConfigurations", body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.control.ChangeGroups(t.Context(), p.DirectoryID, groups...); err != nil {
		t.Fatal(err)
	}
	p.fault(graphsim.Fault{Path: "/v1.0/deviceManagement/managedDevices", Action: graphsim.Action{
		Kind: graphsim.ActError, Status: http.StatusBadRequest, Code: "BadRequest", Message: strings.Join(hostile, " "),
	}})
	b.open(p.path())
	b.live()
	b.click("#start-inventory-sync button")
	b.has("#answer-inventory-sync.result")
	run := p.ended(p.runs()[0].ID)
	b.says("#recent", run.Words.Pill)
	watch(b)
	shows(b, op.RunPath(workspace, run.Code), name)
	groupsRun := p.start(op.DirectoryGroupsSync)
	p.ended(groupsRun.ID)
	shows(b, op.DatasetPath(workspace, p.Slug, "groups")+"?"+query("q", "evil"), hostile[0], hostile[2], hostile[9])
	shows(b, op.DatasetPath(workspace, p.Slug, "inventory")+"?"+query("q", "evil"), hostile[0], hostile[2], hostile[9])
	shows(b, op.AttemptsPath(workspace), name)
	shows(b, op.NotificationsPath(workspace))
}

// TestBrowserHears: every test here ends with the check that the browser complained about
// nothing; this one shows that it would.
func TestBrowserHears(t *testing.T) {
	b := onStage(t).visit(t)
	b.open("/sign-in")
	for js, complaint := range map[string]string{
		`document.body.append(Object.assign(document.createElement("script"), { textContent: "evil()" }))`:    "Content Security Policy",
		`document.body.insertAdjacentHTML("beforeend", "<img src=/x onerror=evil()>")`:                        "Content Security Policy",
		`document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>x</p>")`:                         "Content Security Policy",
		`document.body.append(Object.assign(document.createElement("img"), { src: "http://localhost:1/x" }))`: "Content Security Policy",
		`setTimeout(() => evil())`:                  "evil is not defined",
		`console.error("something is wrong")`:       "something is wrong",
		`fetch("/nowhere").then(() => {})`:          "404",
		`console.warn("something is nearly wrong")`: "something is nearly wrong",
	} {
		eval[any](b, `{ `+js+`; null }`)
		for deadline := time.Now().Add(patience); !strings.Contains(strings.Join(b.complaints(), " "), complaint); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s goes unheard: %q", js, b.complaints())
				break
			}
		}
		b.forget()
	}
	time.Sleep(200 * time.Millisecond) // for what some of them say twice
	b.forget()
}

func query(name, value string) string { return url.Values{name: {value}}.Encode() }
