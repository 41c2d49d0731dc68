package console

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
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// counted is a page that counts how often it is built. Its one part tells that
// number.
type counted struct {
	built  atomic.Int64
	rested int64  // built, when it last rested
	before func() // called before it is built
}

func (w *world) counted(path string, object web.Object) *counted {
	p := &counted{before: func() {}}
	w.console.site.Page(web.Route{Path: path, Object: object, Needs: tenancy.View}, func(v *web.Visit) (web.Page, error) {
		p.before()
		frame, err := v.Frame("Counted", ui.Tenants)
		n := p.built.Add(1)
		part := ui.Part{ID: "built", Content: templ.Raw(fmt.Sprintf(`<span id="built">%d by %s</span>`, n, v.Actor.Name()))}
		return web.Page{Frame: frame, Body: templ.NopComponent, Parts: []ui.Part{part}, About: op.Change{Tenant: v.Tenant.Tenant.ID}}, err
	})
	return p
}

// idle makes streams look again by themselves only after an hour.
func idle(w *world) *world {
	quick(w)
	w.console.site.Intervals.Freshest, w.console.site.Intervals.Refresh = time.Hour, time.Hour
	return w
}

// rests waits until nothing has been built for a while, and returns how often it
// was since the last call.
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

// TestLooksAreShared: what holders of the same rights see is built once for all of
// their streams, and what others see apart from it.
func TestLooksAreShared(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		p := w.counted("/w/{workspace}/counted", web.Workspace)
		const readers = 20
		streams := make([]*streamed, readers)
		for i := range streams { // ten operators and ten viewers
			who := []access.Actor{w.Operator, w.Viewer}[i%2]
			if i == 2 {
				who = w.Second
			}
			streams[i] = w.browser(who).stream("/w/lattice/counted?live=1")
			streams[i].next()
		}
		p.rests(t)
		w.feed.Changed(op.Change{Workspace: w.Workspace})
		for _, s := range streams {
			s.until("#built", " by ")
		}
		if n := p.rests(t); n != 2 {
			t.Errorf("%d streams of two roles took %d looks, want 2", readers, n)
		}
	})
}

// TestPagesSleep: nothing is built while nothing changes in what a page shows,
// however often the rights of its reader are looked at.
func TestPagesSleep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		kestrel, _ := w.ready("kestrel", nil)
		marlow, _ := w.ready("marlow", nil)
		p := w.counted("/w/{workspace}/counted/{tenant}", web.Tenant)
		s := w.browser(w.Viewer).stream("/w/lattice/counted/kestrel?live=1")
		s.next()
		p.rests(t)

		time.Sleep(500 * time.Millisecond) // ten looks at the rights
		w.feed.Changed(op.Change{Workspace: w.Other})
		w.feed.Changed(op.Change{Workspace: w.Workspace, Tenant: marlow, Run: "r"})
		if n := p.rests(t); n != 0 {
			t.Errorf("a page about one tenant was built %d times for changes elsewhere", n)
		}
		run, _ := w.start(w.Operator, "marlow", op.InventorySync)
		s.until("#count-active", "1") // what stands around every page lives all the same
		if n := p.rests(t); n != 0 {
			t.Errorf("the page was built %d times for a run of another tenant", n)
		}
		for _, c := range []op.Change{{Workspace: w.Workspace, Tenant: kestrel, Run: run}, {Workspace: w.Workspace, Tenant: kestrel}, {Workspace: w.Workspace}} {
			w.feed.Changed(c)
			s.until("#built", " by ")
			if n := p.rests(t); n != 1 {
				t.Errorf("%v: the page was built %d times, want once", c, n)
			}
		}
	})
}

// TestChangesWake: what a person changes wakes the pages that show it, at once and
// whatever it is.
func TestChangesWake(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		w.ready("kestrel", nil)
		mei, jonas := w.browser(w.Owner), w.browser(w.Viewer)
		tenants, connections := jonas.stream("/w/lattice/tenants?live=1"), jonas.stream("/w/lattice/connections?live=1")
		tenants.next()
		connections.next()
		mei.press(mei.get(primary), `form[action$="/disable"]`).want(http.StatusSeeOther)
		tenants.until("", "Blocked")
		connections.until("", "Disabled")

		attempts := jonas.stream("/w/lattice/operations/attempts?live=1")
		attempts.next()
		tom := w.browser(w.Second)
		tom.press(tom.get(kestrel), `form[action$="/start/inventory.sync"]`) // refused: an attempt all the same
		attempts.until("#attempt-list", "Blocked")
	})
}

// TestLooksStayApart: two readers of one address whose rights differ never see
// each other's page, however their looks interleave.
func TestLooksStayApart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		quick(w)
		m := newMatrix(w)
		const path = "/w/lattice/operations?live=1"
		lim, ana := w.browser(m.limited).stream(path), w.browser(w.Operator).stream(path)
		stop := make(chan struct{})
		var leaked atomic.Bool
		seen := make(chan struct{})
		go func() {
			defer close(seen)
			for event := range lim.events {
				if strings.Contains(event, "Marlow") || strings.Contains(event, m.foreign["run"]) {
					leaked.Store(true)
				}
			}
		}()
		go func() {
			defer close(stop)
			for i := range 100 {
				w.feed.Changed(op.Change{Workspace: w.Workspace})
				time.Sleep(time.Duration(i%7) * time.Millisecond)
			}
		}()
		ana.until("#run-list", "Marlow")
		<-stop
		lim.cancel()
		<-seen
		if leaked.Load() {
			t.Error("who sees one tenant was sent another one's run")
		}
	})
}

// TestRightsThatMove: a look that was begun with rights that were taken away
// meanwhile, or given, is seen by nobody.
func TestRightsThatMove(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		m := newMatrix(w)
		marlow := w.text(`SELECT id FROM tenants WHERE slug = 'marlow'`)
		twin := w.Member("Tw In", "twin@lattice.example", tenancy.Operator)
		w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, twin.ID())
		w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) SELECT workspace_id, $1, tenant_id FROM member_tenants WHERE user_id = $2`,
			twin.ID(), m.limited.ID())

		var give atomic.Bool
		w.console.site.Page(web.Route{Path: "/w/{workspace}/moving", Object: web.Workspace, Needs: tenancy.View}, func(v *web.Visit) (web.Page, error) {
			if give.CompareAndSwap(true, false) { // the builder, whichever of the two it is, is given another tenant
				w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, v.Actor.ID(), marlow)
			}
			names, err := v.Store.TenantNames(v.R.Context(), v.Scope)
			part := ui.Part{ID: "names", Content: templ.Raw(fmt.Sprintf(`<span id="names">%v</span>`, names))}
			return web.Page{Parts: []ui.Part{part}}, err
		})
		one, two := w.browser(m.limited).stream("/w/lattice/moving?live=1"), w.browser(twin).stream("/w/lattice/moving?live=1")
		one.next()
		two.next()
		give.Store(true)
		w.feed.Changed(op.Change{Workspace: w.Workspace})

		sees := func(s *streamed) bool {
			for limit := time.After(2 * time.Second); ; {
				select {
				case event, ok := <-s.events:
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

// TestSharedPagesAreNobodys: a page that is shared by rights does not tell of its
// reader; those that do are marked as the reader's own.
func TestSharedPagesAreNobodys(t *testing.T) {
	w := quick(onOne(t, Deps{}))
	m := newMatrix(w)
	w.ready("fenwick", nil)
	run, code := w.start(w.Operator, "fenwick", op.InventorySync)
	w.working(run, 1, 4)
	for _, who := range []access.Actor{w.Operator, w.Second} { // each joins the run, which is one's own, and meets it in the way
		for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync} {
			if _, err := m.gate.Start(t.Context(), who, op.Request{Tenant: "fenwick", Kind: kind, Surface: op.SurfaceWeb}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.own = m.own.but("run", code).but("tenant", "fenwick").but("connection", "fenwick")
	shared := 0
	for _, r := range w.console.Routes() {
		if r.Method != http.MethodGet || r.Object == web.Public || r.Object == web.Self || r.Own {
			continue
		}
		path := m.own.path(r)
		page := w.browser(w.Operator).get(path)
		if _, lives := page.page.Find("#stream").Attr("data-page"); !lives {
			continue
		}
		shared++
		looks := func() (pages [2]string) {
			for i, who := range []access.Actor{w.Operator, w.Second} {
				s := w.browser(who).stream(withLive(t, path))
				s.next().Find("hx-partial").Each(func(_ int, part *goquery.Selection) {
					if target := part.AttrOr("hx-target", ""); target != "#live" && target != "#bell" {
						html, _ := part.Html()
						pages[i] += target + " " + html + "\n"
					}
				})
				s.cancel()
				w.alone() // so that the next is built by the other
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

// TestOneLooksOnForAnother: a reader who leaves while they look for others does not
// take the look with them.
func TestOneLooksOnForAnother(t *testing.T) {
	w := idle(onOne(t, Deps{}))
	p := w.counted("/w/{workspace}/counted", web.Workspace)
	one, two := w.browser(w.Viewer).stream("/w/lattice/counted?live=1"), w.browser(w.Viewer).stream("/w/lattice/counted?live=1")
	one.next()
	two.next()
	p.rests(t)
	p.before = func() {
		one.cancel()
		time.Sleep(100 * time.Millisecond)
		p.before = func() {}
	}
	w.feed.Changed(op.Change{Workspace: w.Workspace})
	two.until("#built", " by ")
}

// TestOwnIsNotShared: of two operators who look at one page, only the one whose run
// ended is told of it.
func TestOwnIsNotShared(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		w.ready("kestrel", nil)
		run, _ := w.start(w.Operator, "kestrel", op.InventorySync)
		ana, tom := w.browser(w.Operator).stream("/w/lattice/operations?live=1"), w.browser(w.Second).stream("/w/lattice/operations?live=1")
		ana.next()
		tom.next()
		w.ended(run, op.RunSucceeded, "")
		page := ana.until("#bell", "1")
		if page.Find(`[hx-target="#notices"]`).Length() != 1 {
			t.Error("who started the run is not told of its end")
		}
		page = tom.until("#count-active", "0")
		if page.Find(`[hx-target="#notices"], [hx-target="#bell"]`).Length() != 0 {
			t.Error("someone else is told of the end of a run")
		}
	})
}

// TestInboxesStayApart: two operators who look at their notifications see their own.
func TestInboxesStayApart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w)
		w.ready("kestrel", nil)
		const path = "/w/lattice/notifications?live=1"
		ana, tom := w.browser(w.Operator).stream(path), w.browser(w.Second).stream(path)
		ana.next()
		tom.next()
		run, code := w.start(w.Operator, "kestrel", op.InventorySync)
		w.ended(run, op.RunSucceeded, "")
		ana.until("#inbox", code)
		for limit := time.After(time.Second); ; {
			select {
			case event := <-tom.events:
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

// TestLooksAreForgotten: nothing is kept of pages that nobody has open.
func TestLooksAreForgotten(t *testing.T) {
	w := idle(onOne(t, Deps{}))
	s := w.browser(w.Viewer).stream("/w/lattice/tenants?live=1")
	s.next()
	s.cancel()
	w.alone()
}

// alone waits until no look is kept, as after the end of the last stream.
func (w *world) alone() {
	w.t.Helper()
	for range 200 {
		if w.console.site.Looks() == 0 {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	w.t.Fatal("looks are kept after the last stream has ended")
}
