package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestRunLives: the stream of a run's page sends the whole state first, then changes, then
// the end.
func TestRunLives(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Quick(w)
		w.Ready("kestrel", nil)
		run, code := w.Start(w.Operator, "kestrel", op.InventorySync)
		ana := w.Browser(w.Operator)
		path := "/w/lattice/operations/" + code
		s := ana.Stream(path + "?live=1")

		first := s.Next()
		for _, part := range []string{"#run-state", "#run-actions", "#run-top", "#items", "#timeline", "#run-facts", "#joined", "#bell", "#count-active", "#live"} {
			if first.Find(`hx-partial[hx-target="`+part+`"]`).Length() != 1 {
				t.Errorf("the first event lacks %s", part)
			}
		}
		if first.Find(`hx-partial[hx-target="#announce"]`).Length() != 0 {
			t.Error("a page that was just opened is read aloud")
		}

		w.Working(run, 1, 4)
		w.Feed.Changed(op.Change{Run: run})
		page := s.Until("#run-state", "Running")
		if got := page.Find(`[hx-target="#announce"]`).Text(); got != "Inventory sync is running" {
			t.Errorf("read aloud: %q", got)
		}
		w.Exec(`UPDATE runs SET done = 2 WHERE id = $1`, run) // by another process: nobody says so
		page = s.Until("#run-top", "2 of 4 types")
		if page.Find(`[hx-target="#announce"], [hx-target="#joined"]`).Length() != 0 {
			t.Error("what did not change is sent, or numbers are read aloud")
		}

		w.End(run, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		page = s.Until("#run-top", "Admin consent was withdrawn.")
		if got := page.Find(`[hx-target="#announce"]`).Text(); got != "Inventory sync failed" {
			t.Errorf("read aloud: %q", got)
		}
		if page.Find(`[hx-target="#notices"]`).Length() != 0 {
			t.Error("a notice tells of the end of the run that the page is about")
		}
	})
}

// TestListLives: new runs appear in the list, and the end of the reader's run is shown on
// every page.
func TestListLives(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Quick(w)
		w.Ready("kestrel", nil)
		ana, mei := w.Browser(w.Operator).Stream("/w/lattice/operations?live=1"), w.Browser(w.Owner).Stream("/w/lattice/tenants?live=1")
		ana.Next()
		mei.Next()
		run, code := w.Start(w.Operator, "kestrel", op.InventorySync)
		ana.Until("#run-list", "Run "+code)
		mei.Until("#count-active", "1")
		w.Working(run, 1, 2)
		w.Feed.Changed(op.Change{Run: run})
		if page := ana.Until("#run-"+code, "Running"); page.Find(`[hx-target="#run-list"]`).Length() != 0 {
			t.Error("the whole list is sent for one run of it")
		}
		w.End(run, op.RunSucceeded, "")
		ana.Until("#notices", "Inventory sync succeeded")
		page := mei.Until("#count-active", "0")
		if page.Find(`[hx-target="#notices"]`).Length() != 0 {
			t.Error("someone else is told of the end of a run")
		}
	})
}

// TestStreamEnds: a stream ends when its reader loses access.
func TestStreamEnds(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Quick(w)
		m := consoletest.NewMatrix(w)
		for name, end := range map[string]func(b *consoletest.Browser){
			"signed out": func(b *consoletest.Browser) { b.Press(b.Get("/w/lattice/tenants"), "form[action='/sign-out']") },
			"the tenant was taken away": func(*consoletest.Browser) {
				w.Exec(`DELETE FROM member_tenants WHERE user_id = $1`, m.Limited.ID())
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := w.Browser(m.Limited)
				s := b.Stream("/w/lattice/operations/" + m.Own["run"] + "?live=1")
				s.Next()
				end(b)
				s.Ends()
				if a := b.Get("/w/lattice/operations/" + m.Own["run"] + "?live=1"); a.Status != http.StatusUnauthorized && a.Status != http.StatusNotFound {
					t.Errorf("coming back is answered %d", a.Status)
				}
				w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) SELECT workspace_id, $1, id FROM tenants WHERE slug = 'kestrel'
					ON CONFLICT (workspace_id, user_id, tenant_id) DO NOTHING`, m.Limited.ID())
			})
		}
	})
}

// TestStreamEndsAtOnce: access taken away through this server ends streams at once.
func TestStreamEndsAtOnce(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w).Site.Holders.Every(time.Hour)
		one, other := w.Browser(w.Operator), w.Browser(w.Operator)
		gone, stays := one.Stream("/w/lattice/tenants?live=1"), other.Stream("/w/lattice/tenants?live=1")
		gone.Next()
		stays.Next()
		one.Press(one.Get("/w/lattice/tenants"), "form[action='/sign-out']")
		gone.Ends()
		stays.Next() // a keep-alive: it continues
	})
}

// TestStreamIsNotLedElsewhere: a stream is refused where a page would redirect.
func TestStreamIsNotLedElsewhere(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Stranger().Get("/w/lattice/tenants?live=1").Want(http.StatusUnauthorized)
	w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, w.Operator.ID())
	ana := w.Browser(w.Operator)
	ana.Get("/w/northgate/tenants").Leads("/workspaces?in=northgate")
	ana.Get("/w/northgate/tenants?live=1").Want(http.StatusBadRequest)
}

// TestBeat: a stream without changes sends heartbeats.
func TestBeat(t *testing.T) {
	w := consoletest.Quick(consoletest.OnOne(t, console.Deps{}))
	s := w.Browser(w.Owner).Stream("/w/lattice/tenants?live=1")
	s.Next()
	page := s.Next()
	if page.Find("hx-partial").Length() != 1 {
		t.Errorf("a beat replaces more than the time: %s", page.Text())
	}
	on, off := page.Find("#live [data-live=on]").Text(), page.Find("#live [data-live=off]")
	if !strings.HasPrefix(on, "Live · updated ") || !strings.HasPrefix(off.Text(), "Live updates are paused.") {
		t.Errorf("a beat says %q and %q", on, off.Text())
	}
	if _, hidden := off.Attr("hidden"); !hidden {
		t.Error("both are shown")
	}
}

// TestOpenPageKeepsNoSession: a stream doesn't count as use of the session.
func TestOpenPageKeepsNoSession(t *testing.T) {
	w := consoletest.Quick(consoletest.OnOne(t, console.Deps{}))
	mei := w.Browser(w.Owner)
	const used = `SELECT last_used_at FROM tokens WHERE kind = 'session'`
	w.Exec(`UPDATE tokens SET last_used_at = last_used_at - 600000000 WHERE kind = 'session'`)
	before := w.Int(used)
	s := mei.Stream("/w/lattice/tenants?live=1")
	s.Next()
	s.Next()
	if after := w.Int(used); after != before {
		t.Error("the stream of a page counts as use")
	}
	mei.Get("/w/lattice/tenants").Want(http.StatusOK)
	if after := w.Int(used); after == before {
		t.Error("a page that someone asked for does not count as use")
	}
}
