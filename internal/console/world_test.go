package console

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// world is the console on a seeded database, without a worker: runs stay in line.
type world struct {
	*gatetest.World
	t       *testing.T
	console *Console
	gate    *gate.Gate
	store   *store.Store
	feed    *httpx.Feed
	http    *httptest.Server
	site    string // where browsers reach it, for passkeys; empty: nobody knows
}

// onBoth runs fn on both engines.
func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, newWorld(t, d, Deps{})) })
}

// onOne runs fn on one engine, where the engine does not matter.
func onOne(t *testing.T, deps Deps) *world {
	t.Helper()
	return newWorld(t, dbtest.New(t, db.SQLite), deps)
}

func newWorld(t *testing.T, d *db.DB, deps Deps) *world {
	t.Helper()
	w := &world{World: gatetest.New(t, d), t: t, feed: &httpx.Feed{}}
	w.store = store.New(d, w.Root, store.Options{
		Judge: func(t tenancy.Tenant, c *tenancy.Connection, count int, now time.Time) []op.Cause {
			return catalogue.JudgeReadiness(t, catalogue.Target{Connection: c, Count: count}, now)
		},
		ConsentURL: func(c tenancy.Connection, state string) (string, error) {
			return "https://login.example/" + c.DirectoryID + "/adminconsent?state=" + state, nil
		},
	})
	var err error
	if w.gate, err = gate.New(d, w.store, gate.Config{Logger: slog.New(slog.DiscardHandler), Changed: w.feed.Changed}); err != nil {
		t.Fatal(err)
	}
	deps.Door, deps.Store, deps.Gate, deps.Feed = httpx.NewDoor(d, access.Limits{}, access.NewFactors(w.Root, w.site)), w.store, w.gate, w.feed
	deps.Mirror, deps.Flow = mirror.New(d, w.store), flow.New(d, w.store, w.gate)
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	w.console = New(deps)
	w.http = httptest.NewServer(w.console)
	t.Cleanup(func() {
		w.http.CloseClientConnections() // streams never end by themselves
		w.http.Close()
	})
	return w
}

// limit bounds the guessing of passwords from here on.
func (w *world) limit(l access.Limits) {
	w.console.site.Door = httpx.NewDoor(w.DB, l, access.NewFactors(w.Root, w.site))
}

// ready adds a tenant with one connection that is ready for every operation, as
// changed by edit.
func (w *world) ready(slug string, edit func(*tenancy.Connection)) (tenant, connection string) {
	w.t.Helper()
	tenant = w.Tenant(w.Workspace, slug, strings.ToUpper(slug[:1])+slug[1:])
	return tenant, w.Connection(w.Workspace, tenant, slug, edit)
}

// browser is someone's browser. The zero secret is nobody's.
type browser struct {
	w       *world
	secret  string
	pending string // of a sign-in that waits
	script  bool   // forms are sent by htmx
}

func (w *world) browser(a access.Actor) *browser {
	w.t.Helper()
	return &browser{w: w, secret: w.Session(a)}
}

func (w *world) stranger() *browser { return &browser{w: w} }

func (b browser) withScript() *browser { return &browser{w: b.w, secret: b.secret, script: true} }

// answer is what came back, read as a page.
type answer struct {
	t       *testing.T
	status  int
	header  http.Header
	body    []byte
	page    *goquery.Document
	cookie  *http.Cookie // that was set; nil: none
	cookies map[string]*http.Cookie
}

// send sends a request as a browser on a page of the console would, and does not
// follow where it is led.
func (b *browser) send(method, path string, form url.Values, header ...string) answer {
	b.w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.http.URL+path, body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if b.script {
		r.Header.Set("HX-Request", "true")
	}
	if b.secret != "" {
		r.Header.Add("Cookie", "__Host-interlock="+b.secret)
	}
	if b.pending != "" {
		r.Header.Add("Cookie", "__Host-interlock-sign-in="+b.pending)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	client := *b.w.http.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	page, err := goquery.NewDocumentFromReader(bytes.NewReader(text))
	if err != nil {
		b.w.t.Fatal(err)
	}
	a := answer{t: b.w.t, status: resp.StatusCode, header: resp.Header, body: text, page: page}
	a.cookies = make(map[string]*http.Cookie)
	for _, c := range resp.Cookies() {
		a.cookie, a.cookies[c.Name] = c, c
	}
	return a
}

func (b *browser) get(path string) answer {
	b.w.t.Helper()
	return b.send(http.MethodGet, path, nil)
}

// press sends the form that selector finds on the page, with its hidden fields
// and what is given beside them.
func (b *browser) press(page answer, selector string, more ...string) answer {
	b.w.t.Helper()
	path, form := page.form(selector)
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.send(http.MethodPost, path, form)
}

// form reads a form of the page as a browser would send it.
func (a answer) form(selector string) (action string, values url.Values) {
	a.t.Helper()
	form := a.page.Find(selector)
	if form.Length() != 1 {
		a.t.Fatalf("%d forms are %q on the page:\n%s", form.Length(), selector, a.body)
	}
	values = url.Values{}
	form.Find("input[name]:not([type=checkbox], [type=radio]), [type=checkbox][checked], [type=radio][checked]").Each(func(_ int, s *goquery.Selection) {
		values.Add(s.AttrOr("name", ""), s.AttrOr("value", ""))
	})
	form.Find("select[name]").Each(func(_ int, s *goquery.Selection) {
		values.Set(s.AttrOr("name", ""), s.Find("option[selected]").AttrOr("value", s.Find("option").First().AttrOr("value", "")))
	})
	return form.AttrOr("action", ""), values
}

// want fails the test unless the status is the wanted one.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status is %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// leads fails the test unless the answer leads to the path, and returns where.
func (a answer) leads(path string) string {
	a.t.Helper()
	a.want(http.StatusSeeOther)
	to := a.header.Get("Location")
	if !strings.HasPrefix(to, path) {
		a.t.Fatalf("leads to %s, want %s", to, path)
	}
	return to
}

// text is what a person reads at the selector, on one line.
func (a answer) text(selector string) string {
	return strings.Join(strings.Fields(a.page.Find(selector).Text()), " ")
}

// says fails the test unless the text is there.
func (a answer) says(selector, text string) {
	a.t.Helper()
	if got := a.text(selector); !strings.Contains(got, text) {
		a.t.Errorf("%s says %q, which lacks %q", selector, got, text)
	}
}

// shown are the slots of a result on a page, as a person reads them.
type shown struct{ tag, title, why, next, facts string }

func (a answer) result(selector string) shown {
	a.t.Helper()
	if n := a.page.Find(selector).Length(); n != 1 {
		a.t.Fatalf("%d results are %q:\n%s", n, selector, a.body)
	}
	slot := func(s string) string { return a.text(selector + " " + s) }
	return shown{
		tag: slot(".result__kick > :first-child"), title: slot(".result__title"),
		why: slot(".result__slots dd:nth-of-type(1)"), next: slot(".result__slots dd:nth-of-type(2)"), facts: slot(".result__facts"),
	}
}
