//go:build browser

package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// mark marks the loaded page; [tab.same] fails when it was loaded again since.
func (b *tab) mark() { b.t.Helper(); eval[bool](b, `window.here = true`) }

func (b *tab) same() {
	b.t.Helper()
	if !eval[bool](b, `window.here === true`) {
		b.t.Errorf("the page was loaded anew: %s", b.path())
	}
}

// live waits until the page's stream has sent something.
func (b *tab) live() {
	b.t.Helper()
	b.has(`[data-live="on"]`)
	b.mark()
}

// TestBrowserLive (M1, M2, A4): open pages follow a run from start to end without a reload.
// Only its initiator is notified of the end.
func TestBrowserLive(t *testing.T) { onBothAtLength(t, live) }

func live(t *testing.T, s *show) {
	p := s.ready(t)
	release := p.fault(graphsim.Fault{Path: "/*/deviceManagement/*", Skip: 6, Action: graphsim.Action{Kind: graphsim.ActHold}})
	list := s.visit(t).as("operator")
	tenant, tenants := list.beside(), list.beside()
	watcher := s.visit(t).as("viewer")
	list.open(op.OperationsPath(workspace))
	tenant.open(p.path())
	tenants.open(op.TenantsPath(workspace) + "?q=" + p.Slug)
	starters := []*tab{list, tenant, tenants}
	for _, b := range starters {
		b.live()
	}

	run := p.start(op.InventorySync)
	path := op.RunPath(workspace, run.Code)
	list.says("table", run.Code)
	tenant.says("#recent", run.Code)
	tenant.says("#about-inventory-sync", run.Code)
	tenants.says("table", "Running")
	watcher.open(path)
	watcher.live()
	watcher.says("#run-state", "Running")
	watcher.has("#run-top progress")
	before := eval[int64](watcher, `document.querySelector("#run-top progress").value`)
	if said := watcher.text("#announce"); said != "" {
		t.Errorf("the page announces %q before anything has changed", said)
	}
	watcher.click("#timeline summary")
	watcher.until(`document.querySelector("#timeline details").open`)
	unread := list.unread()

	release()
	r := p.ended(run.ID)
	watcher.says("#run-state", r.Words.Pill)
	watcher.says("#outcome .result__title", r.Words.Title)
	watcher.says("#item-rows", "Done")
	watcher.says("#timeline", r.Words.Pill)
	if !eval[bool](watcher, `document.querySelector("#timeline details").open`) {
		t.Error("what its reader had opened is closed when the run goes on")
	}
	watcher.until(`document.getElementById("announce").textContent === ` + quoted(r.Words.Title))
	if r.Counts.Done <= before {
		t.Errorf("of %d items %d were done before the end", r.Counts.Done, before)
	}
	list.says("table", r.Words.Pill)
	tenant.says("#recent", r.Words.Pill)
	tenants.says("table", r.Words.Pill)
	notice := fmt.Sprintf(`#notices .result a[href="%s"]`, path)
	for _, b := range starters {
		b.has(notice)
		b.says("#notices .result__title", r.Words.Title)
		if now := b.unread(); now != unread+1 {
			t.Errorf("the bell counts %d, and %d before the run ended", now, unread)
		}
		b.same()
	}
	if watcher.text("#notices") != "" {
		t.Error("someone who did not start the run has a notice of its end")
	}
	watcher.same()
	list.click("#notices .result__close")
	list.until(`document.querySelector("#notices .result") === null`)

	// The run's own page shows the result already.
	release = p.hold()
	run = p.start(op.ConnectionVerify)
	list.open(op.RunPath(workspace, run.Code))
	list.live()
	release()
	r = p.ended(run.ID)
	list.says("#outcome .result__title", r.Words.Title)
	time.Sleep(time.Second) // in which a notice would come
	if list.text("#notices") != "" {
		t.Error("the page of the run has a notice of its end besides")
	}
	list.same()
}

// unread returns the number on the bell.
func (b *tab) unread() (n int) {
	b.t.Helper()
	label := eval[string](b, `document.getElementById("bell").getAttribute("aria-label")`)
	if _, err := fmt.Sscanf(label, "Notifications, %d unread", &n); err != nil {
		b.t.Fatalf("the bell says %q", label)
	}
	return n
}

// TestBrowserComesBack: after its stream has reconnected, a page shows what happened
// meanwhile.
func TestBrowserComesBack(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	release := p.hold()
	run := p.start(op.InventorySync)
	w := wireTo(t, s.URL)
	b := s.visit(t)
	b.url = w.url
	b.as("operator")
	b.open(op.RunPath(workspace, run.Code))
	b.live()
	b.says("#run-state", "Running")
	b.expect(`ERR_`)
	w.cut(true)
	b.within(3*time.Second, `[...document.querySelectorAll('[data-live="lost"]')].some(e => e.checkVisibility())`)
	b.says(`[data-live="lost"]`, "Reconnecting")
	release()
	r := p.ended(run.ID)
	w.cut(false)
	b.says("#run-state", r.Words.Pill)
	b.says("#outcome .result__title", r.Words.Title)
	b.same()
	b.has(`[data-live="on"]`)
	if eval[bool](b, `[...document.querySelectorAll('[data-live="lost"], [data-live="off"]')].some(e => e.checkVisibility())`) {
		t.Error("a page that is live again also says that it is not")
	}
}

// TestBrowserAway: a button pressed while the server is unreachable says so in place, and
// works once the server is back.
func TestBrowserAway(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	w := wireTo(t, s.URL)
	b := s.visit(t)
	b.url = w.url
	b.as("operator")
	b.open(p.path())
	b.live()
	b.expect(`ERR_`, `Failed to fetch`, `htmx:error`)
	const note = `[data-unreachable]`
	away := func(press, place string) {
		t.Helper()
		b.click(press)
		b.says(place+" "+note, "The server can't be reached")
		b.until(`document.querySelectorAll(` + quoted(note) + `).length === 1`)
		b.same()
	}
	w.cut(true)
	b.has(`[data-live="lost"]`)
	away(`form[action$="/start/inventory.sync"] button`, `form[action$="/start/inventory.sync"]`) // in place
	away(`.crumbs a`, `#main`)
	b.click(".menu--end summary")
	away(`form[action="/sign-out"] button`, `form[action="/sign-out"]`) // a page of its own
	w.cut(false)
	b.has(`[data-live="on"]`)
	b.follow(`form[action="/sign-out"] button`)
	b.at("/sign-in")
}

// TestBrowserManyTabs (F9): hidden tabs hold no stream and visible windows share one, so
// another page still loads over HTTP/1.1.
func TestBrowserManyTabs(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	w := wireTo(t, s.URL)
	b := s.visit(t)
	b.url = w.url
	b.as("operator")
	b.open(op.OperationsPath(workspace))
	b.live()
	for range 6 { // opened behind it
		next := newTab(t, s, inBackground(b))
		next.url = w.url
		call(next, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: shownAs("hidden")})
		next.open(p.path())
	}
	eval[any](b, shownAs("hidden"))
	for deadline := time.Now().Add(patience); w.streams() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("pages that nobody sees hold %d streams", w.streams())
		}
	}
	seventh := newTab(t, s, inBackground(b))
	seventh.url = w.url
	seventh.open(op.OperationsPath(workspace))
	seventh.live()
	if n := w.streams(); n != 1 {
		t.Errorf("%d streams are open", n)
	}
	window := b.beside()
	window.open(op.TenantsPath(workspace))
	window.live()
	run := p.start(op.ConnectionVerify)
	seventh.says("table", run.Code)
	if n := w.streams(); n != 1 {
		t.Errorf("two windows hold %d streams", n)
	}

	// The first tab has rested, and catches up when it is shown again.
	if strings.Contains(b.text("table"), run.Code) {
		t.Error("a hidden page is kept up to date")
	}
	eval[any](b, shownAs("visible"))
	b.says("table", run.Code)
	b.same()
}

// shownAs returns a script that makes a page visible or hidden. A headless browser never
// hides a tab itself.
func shownAs(state string) string {
	return `Object.defineProperty(document, "visibilityState", { configurable: true, get: () => ` + quoted(state) + ` });
		document.dispatchEvent(new Event("visibilitychange"));`
}

// inBackground opens another tab in the same window.
func inBackground(b *tab) context.Context {
	ctx, end := chromedp.NewContext(b.ctx)
	b.t.Cleanup(end)
	return ctx
}

// wire is a proxy between a browser and the server that can hold or cut connections.
type wire struct {
	url   string
	mu    sync.Mutex
	isCut bool
	held  chan struct{} // nil: what a browser sends goes through at once
	mute  chan struct{} // nil: what the server sends does
	ends  map[net.Conn]bool
	lives map[io.Writer]bool // connections that carry a stream
	asked int                // for streams, so far
}

// streams is how many streams are open on the wire.
func (w *wire) streams() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lives)
}

// asks is how many streams were asked for so far.
func (w *wire) asks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func wireTo(t *testing.T, server string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lasts as long as the test
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + ln.Addr().String(), ends: map[net.Conn]bool{}, lives: map[io.Writer]bool{}}
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut(true)
	})
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			go w.carry(from, strings.TrimPrefix(server, "http://"))
		}
	}()
	return w
}

func (w *wire) carry(from net.Conn, server string) {
	to, err := net.Dial("tcp", server) //nolint:noctx // it is cut by the test
	if err != nil {
		_ = from.Close()
		return
	}
	w.mu.Lock()
	w.ends[from], w.ends[to] = true, true
	if w.isCut {
		w.close()
	}
	w.mu.Unlock()
	go func() {
		_, _ = io.Copy(gate{w, to}, from)
		_ = to.Close()
		w.mu.Lock()
		delete(w.lives, to)
		w.mu.Unlock()
	}()
	_, _ = io.Copy(voice{w, from}, to)
	_ = from.Close()
}

// gate is the server's end of a wire; it passes nothing on while the wire is held.
type gate struct {
	*wire
	io.Writer
}

func (g gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	held := g.held
	if bytes.HasPrefix(p, []byte("GET "+op.LiveRoute+"?")) {
		g.lives[g.Writer] = true
		g.asked++
	}
	g.mu.Unlock()
	if held != nil {
		<-held
	}
	return g.Writer.Write(p)
}

// voice is a browser's end of a wire; it passes nothing on while the server is silenced.
type voice struct {
	*wire
	io.Writer
}

func (v voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	mute := v.mute
	v.mu.Unlock()
	if mute != nil {
		<-mute
	}
	return v.Writer.Write(p)
}

// silence holds back what the server sends until it is released.
func (w *wire) silence() (release func()) {
	mute := make(chan struct{})
	set := func(to chan struct{}) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mute = to
	}
	set(mute)
	return sync.OnceFunc(func() {
		set(nil)
		close(mute)
	})
}

// hold holds back what browsers send until it is released.
func (w *wire) hold() (release func()) {
	held := make(chan struct{})
	set := func(to chan struct{}) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held = to
	}
	set(held)
	return func() {
		set(nil)
		close(held)
	}
}

// cut closes all connections and refuses new ones until it is mended.
func (w *wire) cut(is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = is
	if is {
		w.close()
	}
}

func (w *wire) close() {
	for c := range w.ends {
		_ = c.Close()
	}
	clear(w.ends)
}

// TestBrowserFallsSilent: a page says when its server is silent, after 45 seconds also since
// when, and when it is live again.
func TestBrowserFallsSilent(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	release := p.hold()
	run := p.start(op.InventorySync)
	w := wireTo(t, s.URL)
	b := s.visit(t)
	b.url = w.url
	b.as("operator")
	// The page's own 45 seconds pass within one here; nothing else goes faster.
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const later = window.setTimeout;
		window.setTimeout = (fn, ms, ...rest) => later(fn, ms === 45000 ? 1000 : ms, ...rest);`})
	b.open(op.RunPath(workspace, run.Code))
	b.live()
	b.expect(`ERR_`)
	heard := eval[string](b, `document.querySelector('[data-live="on"]').innerText`)
	speak := w.silence()
	t.Cleanup(speak)
	b.says(`[data-live="lost"]`, "Reconnecting")
	b.has(`[data-live="off"]`)
	b.says(`[data-live="off"]`, "Live updates are paused")
	b.says(`[data-live="off"] a`, "Reload")
	if at := regexp.MustCompile(`\d\d:\d\d`).FindString(heard); at == "" || !strings.Contains(b.text("#live"), at) {
		t.Errorf("it was %q and now says %q", heard, b.text("#live"))
	}
	if eval[bool](b, `document.querySelector('[data-live="on"]').checkVisibility()`) {
		t.Error("a page that has heard nothing calls itself live")
	}
	speak()
	release()
	p.ended(run.ID)
	b.has(`[data-live="on"]`)
	b.has("#outcome")
	b.same()
}

// TestBrowserRevoked (S9): a stream ends within five seconds after its reader loses access,
// and the page says that it is no longer live.
func TestBrowserRevoked(t *testing.T) { onBothAtLength(t, revoked) }

func revoked(t *testing.T, s *show) {
	p := s.ready(t)
	p.hold()
	run := p.start(op.InventorySync)
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, b *tab, id string)
	}{
		{"account closed", func(t *testing.T, _ *tab, id string) { s.send(t, http.MethodPost, "/members/"+id+"/disable", nil) }},
		{"no longer a member", func(t *testing.T, _ *tab, id string) { s.send(t, http.MethodDelete, "/members/"+id, nil) }},
		{"signed out in another window", func(_ *testing.T, b *tab, _ string) {
			other := b.beside()
			other.open(op.TenantsPath(workspace))
			other.click(".menu--end summary")
			other.follow(`form[action="/sign-out"] button`)
		}},
		{"another tenant's only", func(t *testing.T, _ *tab, id string) {
			s.send(t, http.MethodPatch, "/members/"+id, map[string]any{"tenants": []string{"kestrel"}})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each waits most of its time
			email, password := strings.ReplaceAll(tt.name, " ", "-")+"@lattice.example", "correct horse battery"
			email = strings.ReplaceAll(email, "'", "")
			id := s.join(t, "Kim Vale", email, password)
			w := wireTo(t, s.URL)
			b := s.visit(t)
			b.url = w.url
			b.expect(refused(http.StatusUnauthorized), refused(http.StatusForbidden), refused(http.StatusNotFound))
			b.signIn(email, password)
			b.open(op.RunPath(workspace, run.Code))
			b.live()
			tt.lose(t, b, id)
			b.within(5*time.Second, `document.querySelector('[data-live="on"]')?.checkVisibility() === false`)
			// It asks again, is refused, and stops.
			b.within(20*time.Second, `document.querySelector('[data-live="off"]')?.checkVisibility() === true`)
			b.says(`[data-live="off"]`, "Live updates are paused")
			asked := w.asks()
			time.Sleep(3 * time.Second)
			if again := w.asks() - asked; again > 0 {
				t.Errorf("the page that was refused goes on asking: %d times in 3 s", again)
			}
			b.open(op.RunPath(workspace, run.Code))
			if text := b.text("main"); strings.Contains(text, p.Name) || strings.Contains(text, p.Default.Name) {
				t.Errorf("the page still shows the run: %s", text)
			}
		})
	}
}
