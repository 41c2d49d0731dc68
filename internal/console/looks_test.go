package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// counted is a page that counts how often it is built. Its one part shows the number.
type counted struct {
	built  atomic.Int64
	rested int64  // built, when it last rested
	before func() // called before it is built
}

func newCounted(w *consoletest.World, path string, object web.Object) *counted {
	p := &counted{before: func() {}}
	w.Site.Page(web.Route{Path: path, Object: object, Needs: tenancy.View}, func(v *web.Visit) (web.Page, error) {
		p.before()
		frame, err := v.Frame("Counted", ui.Tenants)
		n := p.built.Add(1)
		part := ui.Part{ID: "built", Content: templ.Raw(fmt.Sprintf(`<span id="built">%d by %s</span>`, n, v.Actor.Name()))}
		return web.Page{Frame: frame, Body: templ.NopComponent, Parts: []ui.Part{part}, About: op.Change{Tenant: v.Tenant.Tenant.ID}}, err
	})
	return p
}

// rests waits until the page has not been built for a while. It returns how often it was
// built since the last call.
func (p *counted) rests(t *testing.T) int64 {
	t.Helper()
	for last := int64(-1); ; {
		now := p.built.Load()
		if now == last {
			n := now - p.rested
			p.rested = now
			return n
		}
		last = now
		time.Sleep(300 * time.Millisecond)
	}
}

// TestLooksAreShared: a page is built once for all readers with the same rights, and
// separately for others.
func TestLooksAreShared(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		p := newCounted(w, "/w/{workspace}/counted", web.Workspace)
		const readers = 20
		streams := make([]*consoletest.Stream, readers)
		for i := range streams { // ten operators and ten viewers
			who := []access.Actor{w.Operator, w.Viewer}[i%2]
			if i == 2 {
				who = w.Second
			}
			streams[i] = w.Browser(who).Stream("/w/lattice/counted?live=1")
			streams[i].Next()
		}
		p.rests(t)
		w.Feed.Changed(op.Change{Workspace: w.Workspace})
		for _, s := range streams {
			s.Until("#built", " by ")
		}
		if n := p.rests(t); n != 2 {
			t.Errorf("%d streams of two roles took %d looks, want 2", readers, n)
		}
	})
}

// TestPagesSleep: a page is not built while nothing changes in what it shows.
func TestPagesSleep(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		kestrel, _ := w.Ready("kestrel", nil)
		marlow, _ := w.Ready("marlow", nil)
		p := newCounted(w, "/w/{workspace}/counted/{tenant}", web.Tenant)
		s := w.Browser(w.Viewer).Stream("/w/lattice/counted/kestrel?live=1")
		s.Next()
		p.rests(t)

		time.Sleep(500 * time.Millisecond) // ten looks at the rights
		w.Feed.Changed(op.Change{Workspace: w.Other})
		w.Feed.Changed(op.Change{Workspace: w.Workspace, Tenant: marlow, Run: "r"})
		if n := p.rests(t); n != 0 {
			t.Errorf("a page about one tenant was built %d times for changes elsewhere", n)
		}
		run, _ := w.Start(w.Operator, "marlow", op.InventorySync)
		s.Until("#count-active", "1") // the frame around every page is updated, too
		if n := p.rests(t); n != 0 {
			t.Errorf("the page was built %d times for a run of another tenant", n)
		}
		for _, c := range []op.Change{{Workspace: w.Workspace, Tenant: kestrel, Run: run}, {Workspace: w.Workspace, Tenant: kestrel}, {Workspace: w.Workspace}} {
			w.Feed.Changed(c)
			s.Until("#built", " by ")
			if n := p.rests(t); n != 1 {
				t.Errorf("%v: the page was built %d times, want once", c, n)
			}
		}
	})
}

// TestChangesWake: every kind of change wakes the pages that show it at once.
func TestChangesWake(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		w.Ready("kestrel", nil)
		mei, jonas := w.Browser(w.Owner), w.Browser(w.Viewer)
		tenants, connections := jonas.Stream("/w/lattice/tenants?live=1"), jonas.Stream("/w/lattice/connections?live=1")
		tenants.Next()
		connections.Next()
		mei.Press(mei.Get(primary), `form[action$="/disable"]`).Want(http.StatusSeeOther)
		tenants.Until("", "Blocked")
		connections.Until("", "Disabled")

		attempts := jonas.Stream("/w/lattice/operations/attempts?live=1")
		attempts.Next()
		tom := w.Browser(w.Second)
		tom.Press(tom.Get(kestrel), `form[action$="/start/inventory.sync"]`) // refused: an attempt all the same
		attempts.Until("#attempt-list", "Blocked")
	})
}

// TestLooksStayApart: readers of one address with different rights never get each other's
// page, however their looks interleave.
func TestLooksStayApart(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Quick(w)
		m := consoletest.NewMatrix(w)
		const path = "/w/lattice/operations?live=1"
		lim, ana := w.Browser(m.Limited).Stream(path), w.Browser(w.Operator).Stream(path)
		stop := make(chan struct{})
		var leaked atomic.Bool
		seen := make(chan struct{})
		go func() {
			defer close(seen)
			for event := range lim.Events {
				if strings.Contains(event, "Marlow") || strings.Contains(event, m.Foreign["run"]) {
					leaked.Store(true)
				}
			}
		}()
		go func() {
			defer close(stop)
			for i := range 100 {
				w.Feed.Changed(op.Change{Workspace: w.Workspace})
				time.Sleep(time.Duration(i%7) * time.Millisecond)
			}
		}()
		ana.Until("#run-list", "Marlow")
		<-stop
		lim.Cancel()
		<-seen
		if leaked.Load() {
			t.Error("who sees one tenant was sent another one's run")
		}
	})
}

// TestRightsThatMove: a look is discarded when its builder's rights changed meanwhile.
func TestRightsThatMove(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		m := consoletest.NewMatrix(w)
		marlow := w.Text(`SELECT id FROM tenants WHERE slug = 'marlow'`)
		twin := w.Member("Tw In", "twin@lattice.example", tenancy.Operator)
		w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, twin.ID())
		w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) SELECT workspace_id, $1, tenant_id FROM member_tenants WHERE user_id = $2`,
			twin.ID(), m.Limited.ID())

		var give atomic.Bool
		w.Site.Page(web.Route{Path: "/w/{workspace}/moving", Object: web.Workspace, Needs: tenancy.View}, func(v *web.Visit) (web.Page, error) {
			if give.CompareAndSwap(true, false) { // the builder, whichever of the two it is, is given another tenant
				w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, v.Actor.ID(), marlow)
			}
			names, err := v.Store.TenantNames(v.R.Context(), v.Scope)
			part := ui.Part{ID: "names", Content: templ.Raw(fmt.Sprintf(`<span id="names">%v</span>`, names))}
			return web.Page{Parts: []ui.Part{part}}, err
		})
		one, two := w.Browser(m.Limited).Stream("/w/lattice/moving?live=1"), w.Browser(twin).Stream("/w/lattice/moving?live=1")
		one.Next()
		two.Next()
		give.Store(true)
		w.Feed.Changed(op.Change{Workspace: w.Workspace})

		sees := func(s *consoletest.Stream) bool {
			for limit := time.After(2 * time.Second); ; {
				select {
				case event, ok := <-s.Events:
					if !ok {
						t.Fatal("the stream ended")
					}
					if strings.Contains(event, "marlow") {
						return true
					}
				case <-limit:
					return false
				}
			}
		}
		if a, b := sees(one), sees(two); a == b {
			t.Errorf("the tenant that one of them was given is seen by the one: %v, by the other: %v", a, b)
		}
	})
}

// TestSharedPagesAreNobodys: a page shared by rights shows nothing about its reader. Pages
// that do are marked as the reader's own.
func TestSharedPagesAreNobodys(t *testing.T) {
	w := consoletest.Quick(consoletest.OnOne(t, console.Deps{}))
	m := consoletest.NewMatrix(w)
	w.Ready("fenwick", nil)
	run, code := w.Start(w.Operator, "fenwick", op.InventorySync)
	w.Working(run, 1, 4)
	for _, who := range []access.Actor{w.Operator, w.Second} { // each joins the run, which is one's own, and meets it in the way
		for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync} {
			if _, err := m.Gate.Start(t.Context(), who, op.Request{Tenant: "fenwick", Kind: kind, Surface: op.SurfaceWeb}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.Own = m.Own.But("run", code).But("tenant", "fenwick").But("connection", "fenwick")
	shared := 0
	for _, r := range w.Site.Routes() {
		if r.Method != http.MethodGet || r.Object == web.Public || r.Object == web.Self || r.Own {
			continue
		}
		path := m.Own.Path(r)
		page := w.Browser(w.Operator).Get(path)
		if _, lives := page.Page.Find("#stream").Attr("data-page"); !lives {
			continue
		}
		shared++
		looks := func() (pages [2]string) {
			for i, who := range []access.Actor{w.Operator, w.Second} {
				s := w.Browser(who).Stream(consoletest.WithLive(t, path))
				s.Next().Find("hx-partial").Each(func(_ int, part *goquery.Selection) {
					if target := part.AttrOr("hx-target", ""); target != "#live" && target != "#bell" {
						html, _ := part.Html()
						pages[i] += target + " " + html + "\n"
					}
				})
				s.Cancel()
				w.Alone() // so that the next is built by the other
			}
			return pages
		}
		first := looks()
		// "1 second ago" may turn into "2 seconds ago" between two looks. A page that
		// tells of its reader differs each time.
		for tries := 0; tries < 4 && first[0] != first[1]; tries++ {
			first = looks()
		}
		if first[0] != first[1] || first[0] == "" {
			t.Errorf("%s differs between two operators:\n%s\n%s", path, first[0], first[1])
		}
	}
	if shared < 6 {
		t.Errorf("only %d pages were compared", shared)
	}
}

// TestOneLooksOnForAnother: a look continues when the reader who builds it leaves.
func TestOneLooksOnForAnother(t *testing.T) {
	w := consoletest.Idle(consoletest.OnOne(t, console.Deps{}))
	p := newCounted(w, "/w/{workspace}/counted", web.Workspace)
	one, two := w.Browser(w.Viewer).Stream("/w/lattice/counted?live=1"), w.Browser(w.Viewer).Stream("/w/lattice/counted?live=1")
	one.Next()
	two.Next()
	p.rests(t)
	p.before = func() {
		one.Cancel()
		time.Sleep(100 * time.Millisecond)
		p.before = func() {}
	}
	w.Feed.Changed(op.Change{Workspace: w.Workspace})
	two.Until("#built", " by ")
}

// TestOwnIsNotShared: of two operators on one page, only the initiator of a run is notified
// of its end.
func TestOwnIsNotShared(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		w.Ready("kestrel", nil)
		run, _ := w.Start(w.Operator, "kestrel", op.InventorySync)
		ana, tom := w.Browser(w.Operator).Stream("/w/lattice/operations?live=1"), w.Browser(w.Second).Stream("/w/lattice/operations?live=1")
		ana.Next()
		tom.Next()
		w.End(run, op.RunSucceeded, "")
		page := ana.Until("#bell", "1")
		if page.Find(`[hx-target="#notices"]`).Length() != 1 {
			t.Error("who started the run is not told of its end")
		}
		page = tom.Until("#count-active", "0")
		if page.Find(`[hx-target="#notices"], [hx-target="#bell"]`).Length() != 0 {
			t.Error("someone else is told of the end of a run")
		}
	})
}

// TestInboxesStayApart: two operators who look at their notifications see their own.
func TestInboxesStayApart(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Idle(w)
		w.Ready("kestrel", nil)
		const path = "/w/lattice/notifications?live=1"
		ana, tom := w.Browser(w.Operator).Stream(path), w.Browser(w.Second).Stream(path)
		ana.Next()
		tom.Next()
		run, code := w.Start(w.Operator, "kestrel", op.InventorySync)
		w.End(run, op.RunSucceeded, "")
		ana.Until("#inbox", code)
		for limit := time.After(time.Second); ; {
			select {
			case event := <-tom.Events:
				if strings.Contains(event, code) {
					t.Fatal("someone else's notification is shown")
				}
				continue
			case <-limit:
			}
			break
		}
	})
}

// TestLooksAreForgotten: nothing is kept of pages that nobody has open any more.
func TestLooksAreForgotten(t *testing.T) {
	w := consoletest.Idle(consoletest.OnOne(t, console.Deps{}))
	s := w.Browser(w.Viewer).Stream("/w/lattice/tenants?live=1")
	s.Next()
	s.Cancel()
	w.Alone()
}
