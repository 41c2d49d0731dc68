//go:build browser

package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/interlock-dev/interlock/internal/op"
)

// TestBrowserLoading: a slow answer is shown as loading until it arrives or is given up.
func TestBrowserLoading(t *testing.T) {
	s := onStage(t)
	w := wireTo(t, s.URL)
	b := s.visit(t)
	b.url = w.url
	b.as("operator")
	b.open(op.OperationsPath(workspace))
	b.live()

	release := w.hold()
	b.click("#bell")
	b.says("#panel [aria-busy] h2", "Loading notifications")
	release()
	b.has("#panel .panel:not([aria-busy])")
	b.until(`document.activeElement.matches("#panel .panel")`)
	b.press(kb.Escape)

	// A tab that waits for its next page does not answer tests: it keeps a diary.
	eval[any](b, `new MutationObserver(() => {
		sessionStorage.diary = (sessionStorage.diary ?? "") + (document.querySelector('.card[aria-busy="true"]') ? "busy " : "idle ");
	}).observe(document.body, { subtree: true, attributeFilter: ["aria-busy"] })`)
	const idle = `.card:has(.table, .empty):not([aria-busy])`
	release = w.hold()
	eval[any](b, `setTimeout(() => window.stop(), 500)`)
	b.click(".filters button")
	b.until(`sessionStorage.diary === "busy idle "`)
	b.same()
	b.click(".filters button")
	release()
	b.until(`location.search !== "" && document.readyState === "complete"`)
	b.until(`sessionStorage.diary === "busy idle busy "`)
	b.has(idle)
	b.back()
	b.until(`location.search === "" && document.readyState === "complete"`)
	b.has(idle)
}
