//go:build browser

package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/interlock-dev/interlock/internal/op"
)

// focused describes the element with the focus.
type focused struct {
	Is   bool   // it fits the selector
	Ring bool   // it looks different with the focus
	Name string // as a person reads it
}

// tabTo presses Tab until an element has the focus. Each stop must show the focus.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 80 {
		b.press(kb.Tab)
		f := eval[focused](b, `(() => {
			const e = document.activeElement;
			const style = getComputedStyle(e);
			const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
			return { Is: e.matches(`+quoted(selector)+`), Ring: ring, Name: e.tagName + " " + (e.getAttribute("aria-label") ?? e.innerText ?? "") };
		})()`)
		if !f.Ring && f.Name != "BODY " {
			b.t.Errorf("nobody sees that %s has the focus", f.Name)
		}
		if f.Is {
			return
		}
	}
	b.t.Fatalf("Tab does not come to %s\n%s", selector, b.seen())
}

// TestBrowserKeyboard: sign-in, start and run page by keyboard alone, with and without
// script.
func TestBrowserKeyboard(t *testing.T) {
	s := onStage(t)
	for name, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(name, func(t *testing.T) {
			p := s.ready(t)
			p.hold()
			u := s.user(t, "operator")
			b := s.visit(t)
			b.script(script)
			b.open("/sign-in")
			b.tabTo("#email")
			b.press(u.Email)
			b.tabTo("#password")
			b.press(u.Password, kb.Enter)
			b.at(op.TenantsPath(workspace))

			b.tabTo(".skip")
			b.press(kb.Enter)
			b.until(`location.hash === "#main"`)
			b.tabTo("#f-q")
			b.press(p.Slug, kb.Enter)
			b.at(op.TenantsPath(workspace) + "?q=" + p.Slug)
			b.tabTo(`table a[href="` + p.path() + `"]`)
			b.press(kb.Enter)
			b.at(p.path())

			b.tabTo("#start-inventory-sync button")
			b.press(kb.Enter)
			b.has("#answer-inventory-sync.result")
			b.until(`document.activeElement.id === "answer-inventory-sync"`)
			run := p.runs()[0]
			b.tabTo(`a[href="` + op.RunPath(workspace, run.Code) + `"]`)
			b.press(kb.Enter)
			b.at(op.RunPath(workspace, run.Code))

			b.says("#run-state", "Running")
			b.tabTo("#run-actions button")
			b.press(" ")
			b.until(`/Stopping|Cancelled/.test(document.getElementById("run-state").innerText)`)
			b.tabTo(".menu--end summary")
			b.press(kb.Enter)
			b.tabTo(`form[action="/sign-out"] button`)
			b.press(kb.Enter)
			b.at("/sign-in")
		})
	}
}
