//go:build browser

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/interlock-dev/interlock/internal/op"
)

// shown is the result component as a person reads it.
type shown struct{ Tag, Title, Why, Next, Also, Ask, Code string }

// result reads the answer at a selector.
func (b *tab) result(selector string) shown {
	b.t.Helper()
	b.has(selector)
	return eval[shown](b, `(() => {
		const result = document.querySelector(`+quoted(selector)+`);
		// Ages are those of the moment at which one asked.
		const text = (e) => e ? e.textContent.replace(/\s+/g, " ").replace(/\d+ seconds? ago|for \d+ seconds?|for a moment/g, "a while ago").trim() : "";
		const slots = {};
		result.querySelectorAll("dt").forEach((e) => { slots[e.textContent.trim()] = text(e.nextElementSibling); });
		return {
			Tag: text(result.querySelector(".result__kick > :first-child")), Title: text(result.querySelector(".result__title")),
			Why: slots.Why ?? "", Next: slots.Next ?? "", Also: slots.Also ?? "", Code: slots.Code ?? "",
			Ask: text(result.querySelector(".result__ask")),
		};
	})()`)
}

// said is the same as the API has it.
func said(a op.Answer) shown {
	first := a.Reasons[0]
	s := shown{Tag: a.Tag, Title: a.Title, Why: whenever.ReplaceAllString(first.Title+". "+first.Detail, "a while ago"), Next: strings.Join(a.Next, " "), Also: a.Also, Code: a.Code}
	if first.Fix.Behind(s.Next) != s.Next { // else the next step says it already
		s.Ask = first.Fix.Ask()
	}
	return s
}

var whenever = regexp.MustCompile(`\d+ seconds? ago|for \d+ seconds?|for a moment`)

func dashed(kind op.Kind) string { return strings.ReplaceAll(string(kind), ".", "-") }

// surface is a page with start actions.
type surface struct {
	name  string
	path  func(place) string
	after func(place) string // of the ids of its forms and answers
}

var surfaces = []surface{
	{"tenant page", place.path, func(place) string { return "" }},
	{"connection page", place.connection, func(p place) string { return "-" + p.Default.ID }},
}

// TestBrowserFourAnswers (T1, P1, P2, V1): on both pages with start actions, with
// script and without, each of the four answers stands below its button in the
// words of the API, has the focus and its true status, and is still there when the
// page is loaded again.
func TestBrowserFourAnswers(t *testing.T) { onBoth(t, fourAnswers) }

func fourAnswers(t *testing.T, s *show) {
	for _, page := range surfaces {
		for _, script := range []bool{true, false} {
			name := page.name + " with script"
			if !script {
				name = page.name + " without script"
			}
			t.Run(name, func(t *testing.T) {
				ready := s.ready(t)
				ready.hold()
				b := s.visit(t).as("operator")
				b.script(script)
				for _, tt := range []struct {
					at     place
					kind   op.Kind
					code   string
					status int
				}{
					{s.place(t, "juniper"), op.InventorySync, "blocked/consent_missing", http.StatusUnprocessableEntity},
					{ready, op.InventorySync, "accepted", http.StatusAccepted},
					{ready, op.InventorySync, "deduped", http.StatusOK},
					{ready, op.DirectoryGroupsSync, "scope_busy/other_operation_active", http.StatusConflict},
				} {
					path := page.path(tt.at)
					b.open(path)
					id := dashed(tt.kind) + page.after(tt.at)
					b.click("#start-" + id + " button")
					answer := "#answer-" + id
					b.has(answer + ".result")
					got := b.result(answer)
					if got.Code != tt.code {
						t.Fatalf("%s of %s: answered %s, want %s", tt.kind, tt.at.Slug, got.Code, tt.code)
					}
					b.until(`document.activeElement.id === ` + quoted(answer[1:]))
					recorded := tt.at.attempts()[0]
					if want := said(s.seenBy(t, "operator", recorded.ID)); got != want {
						t.Errorf("%s: the page says\n%+v\nand the API\n%+v", tt.code, got, want)
					}
					if script {
						if r := b.last(http.MethodPost, "/start/"); r.status != tt.status {
							t.Errorf("%s: status %d, want %d", tt.code, r.status, tt.status)
						}
					} else if r := b.last(http.MethodPost, "/start/"); r.status != http.StatusSeeOther {
						t.Errorf("%s: status %d, want that the browser is led on", tt.code, r.status)
					}
					// The address of the answer, typed in later.
					b.open(path + "?attempt=" + recorded.ID)
					if again := b.result(answer); again != got {
						t.Errorf("%s: loaded again the page says\n%+v, before\n%+v", tt.code, again, got)
					}
					b.until(`document.activeElement.id === ` + quoted(answer[1:]))
					if tt.code == "accepted" {
						run := tt.at.runs()[0]
						if run.Target.ConnectionID != tt.at.Default.ID || run.Surface != op.SurfaceWeb {
							t.Errorf("the run has connection %s from %s", run.Target.ConnectionID, run.Surface)
						}
						b.follow(answer + ` a[href="` + op.RunPath(workspace, run.Code) + `"]`)
						b.says("#run-facts", run.Target.Name)
					}
				}
				if runs := ready.runs(); len(runs) != 1 {
					t.Errorf("%d runs, want the one that was accepted", len(runs))
				}
			})
		}
	}
}

// seenBy is the record of a press as someone reads it.
func (s *show) seenBy(t *testing.T, role, attempt string) op.Answer {
	t.Helper()
	a, err := s.as(t, role).Attempt(t.Context(), attempt)
	if err != nil {
		t.Fatal(err)
	}
	return a.Answer
}

// TestBrowserPressedTwice: a double click, and a form that is sent again, is one
// press with one run.
func TestBrowserPressedTwice(t *testing.T) { onBoth(t, pressedTwice) }

func pressedTwice(t *testing.T, s *show) {
	button := chromedp.CSS("#start-inventory-sync button")
	one := func(t *testing.T, p place) {
		t.Helper()
		if runs, attempts := p.runs(), p.attempts(); len(runs) != 1 || len(attempts) != 1 || attempts[0].Presses != 1 {
			t.Errorf("%d runs and %d attempts, want one of each", len(runs), len(attempts))
		}
	}
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("double click, script %t", script), func(t *testing.T) {
			p := s.ready(t)
			p.hold()
			b := s.visit(t).as("operator")
			b.script(script)
			b.open(p.path())
			b.do(chromedp.DoubleClick(button))
			b.has("#answer-inventory-sync.result")
			if got := b.result("#answer-inventory-sync"); got.Tag != "Accepted" {
				t.Errorf("answered %+v", got)
			}
			one(t, p)
		})
	}
	t.Run("sent again", func(t *testing.T) {
		p := s.ready(t)
		p.hold()
		b := s.visit(t).as("operator")
		b.open(p.path())
		// As a browser does that sends a form again after the answer got lost.
		addresses := eval[[]string](b, `(async () => {
			const form = document.getElementById("start-inventory-sync");
			const send = async () => (await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) })).url;
			return [await send(), await send()];
		})()`)
		if addresses[0] != addresses[1] || !strings.Contains(addresses[0], "?attempt=") {
			t.Errorf("the same form leads to %q", addresses)
		}
		one(t, p)
	})
	t.Run("reloaded and gone back", func(t *testing.T) {
		p := s.ready(t)
		p.hold()
		b := s.visit(t).as("operator")
		b.script(false)
		b.open(p.path())
		b.click("#start-inventory-sync button")
		b.has("#answer-inventory-sync.result")
		b.do(chromedp.Reload())
		b.has("#answer-inventory-sync.result")
		b.back()
		b.until(`location.search === "" && document.readyState === "complete"`)
		b.forward()
		b.has("#answer-inventory-sync.result")
		one(t, p)
	})
}

// TestBrowserLeftOpen: a tab that was left open over night starts nothing that
// its reader did not see, and nothing silently.
func TestBrowserLeftOpen(t *testing.T) { onBothAtLength(t, leftOpen) }

func leftOpen(t *testing.T, s *show) {
	const slot = "#answer-inventory-sync"
	for _, script := range []bool{true, false} {
		in := func(name string, fn func(t *testing.T, p place, b *tab)) {
			t.Run(fmt.Sprintf("%s, script %t", name, script), func(t *testing.T) {
				p := s.ready(t)
				b := s.visit(t).as("operator")
				b.script(script)
				b.open(p.path())
				fn(t, p, b)
				if n := len(p.runs()); n > 0 {
					t.Errorf("%d runs were started", n)
				}
			})
		}
		in("the connection was edited", func(t *testing.T, p place, b *tab) {
			s.send(t, http.MethodPatch, "/tenants/"+p.Slug+"/connections/"+p.Default.Slug, map[string]string{"name": "Another app"})
			b.click("#start-inventory-sync button")
			b.says(slot, "Connection has changed")
			if got := b.result(slot); got.Code != "blocked/target_changed" {
				t.Errorf("answered %+v", got)
			}
		})
		in("the form is too old", func(t *testing.T, p place, b *tab) {
			b.expect(refused(http.StatusBadRequest))
			eval[string](b, `(() => {
				const key = document.querySelector("#start-inventory-sync [name=key]");
				const [at, chance] = key.value.split("-");
				return key.value = (parseInt(at, 36) - 60 * 24 * 60 * 60).toString(36) + "-" + chance;
			})()`)
			b.click("#start-inventory-sync button")
			b.says("main", "This form has expired")
			if len(p.attempts()) > 0 {
				t.Error("the press is on record")
			}
		})
		in("the session has ended", func(t *testing.T, p place, b *tab) {
			b.expect(refused(http.StatusUnauthorized))
			other := b.beside()
			other.script(script)
			other.open(p.path())
			other.click(".menu--end summary")
			other.follow(`form[action="/sign-out"] button`)
			b.click("#start-inventory-sync button")
			b.says("main", "Your session has ended")
			b.says("main", "Nothing was changed")
			b.follow(`main a[href^="/sign-in"]`)
			u := s.user(t, "operator")
			b.fillIn(u.Email, u.Password)
			b.at(p.path())
			b.has("#start-inventory-sync button")
			if got := b.text(slot); got != "" {
				t.Errorf("after the sign-in the page answers %q", got)
			}
			p.untouched()
		})
	}
}

// send changes something by the API, as the owner.
func (s *show) send(t *testing.T, method, path string, body any) {
	t.Helper()
	s.sendAs(t, "owner", method, path, body, nil)
}

// join makes an operator of somebody by an invitation, and returns their id.
func (s *show) join(t *testing.T, name, email, password string) string {
	t.Helper()
	var invited struct {
		Link struct {
			Href string `json:"href"`
		} `json:"link"`
	}
	s.sendAs(t, "owner", http.MethodPost, "/invitations", map[string]string{"email": email, "role": "operator"}, &invited)
	u, err := url.Parse(invited.Link.Href)
	if err != nil {
		t.Fatal(err)
	}
	s.send(t, http.MethodPost, "/join", map[string]string{"link": u.Query().Get("link"), "name": name, "password": password})
	session, err := s.with(t, "").SignIn(t.Context(), email, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return session.Person.ID
}

func (s *show) sendAs(t *testing.T, role, method, path string, body, answer any) {
	t.Helper()
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/v1"+path, &in)
	if err != nil {
		t.Fatal(err)
	}
	u := s.user(t, role)
	session, err := s.with(t, "").SignIn(t.Context(), u.Email, u.Password, u.Workspace) // a token may not do everything
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+session.Token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatal(err)
		}
	}
}
