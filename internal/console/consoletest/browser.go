package consoletest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
)

// Browser is a browser with or without a session.
type Browser struct {
	Secret  string
	Pending string // of a sign-in that waits
	Script  bool   // forms are sent by htmx

	w *World
}

// With returns a browser that sends secret as its session cookie.
func (w *World) With(secret string) *Browser { return &Browser{w: w, Secret: secret} }

// Browser returns a browser in which a is signed in.
func (w *World) Browser(a access.Actor) *Browser {
	w.t.Helper()
	return &Browser{w: w, Secret: w.Session(a)}
}

// Stranger returns a browser without a session.
func (w *World) Stranger() *Browser { return &Browser{w: w} }

// WithScript returns the same browser with script.
func (b Browser) WithScript() *Browser { return &Browser{w: b.w, Secret: b.Secret, Script: true} }

// Send sends a request as a browser on a page of the console would. It follows no
// redirect. header is a list of names and values; an empty value removes the header.
func (b *Browser) Send(method, path string, form url.Values, header ...string) Answer {
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
	if b.Script {
		r.Header.Set("HX-Request", "true")
	}
	if b.Secret != "" {
		r.Header.Add("Cookie", "__Host-interlock="+b.Secret)
	}
	if b.Pending != "" {
		r.Header.Add("Cookie", "__Host-interlock-sign-in="+b.Pending)
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
	a := Answer{t: b.w.t, Status: resp.StatusCode, Header: resp.Header, Body: text, Page: page}
	a.Cookies = make(map[string]*http.Cookie)
	for _, c := range resp.Cookies() {
		a.Cookie, a.Cookies[c.Name] = c, c
	}
	return a
}

// Get requests a page.
func (b *Browser) Get(path string) Answer {
	b.w.t.Helper()
	return b.Send(http.MethodGet, path, nil)
}

// Press sends the form at selector as the page has it. more is a list of names and values
// that replace fields.
func (b *Browser) Press(page Answer, selector string, more ...string) Answer {
	b.w.t.Helper()
	path, form := page.Form(selector)
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.Send(http.MethodPost, path, form)
}

// Answer is a response, parsed as a page.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Page    *goquery.Document
	Cookie  *http.Cookie // that was set; nil: none
	Cookies map[string]*http.Cookie

	t *testing.T
}

// Form returns the address and the values of the form at selector, as a browser would
// send them.
func (a Answer) Form(selector string) (action string, values url.Values) {
	a.t.Helper()
	form := a.Page.Find(selector)
	if form.Length() != 1 {
		a.t.Fatalf("%d forms are %q on the page:\n%s", form.Length(), selector, a.Body)
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

// Want fails the test unless the response has this status.
func (a Answer) Want(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status is %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// Leads fails the test unless the response redirects to an address that begins with path.
// It returns that address.
func (a Answer) Leads(path string) string {
	a.t.Helper()
	a.Want(http.StatusSeeOther)
	to := a.Header.Get("Location")
	if !strings.HasPrefix(to, path) {
		a.t.Fatalf("leads to %s, want %s", to, path)
	}
	return to
}

// Text returns the visible text at selector, on one line.
func (a Answer) Text(selector string) string {
	return strings.Join(strings.Fields(a.Page.Find(selector).Text()), " ")
}

// Says fails the test unless the text at selector contains text.
func (a Answer) Says(selector, text string) {
	a.t.Helper()
	if got := a.Text(selector); !strings.Contains(got, text) {
		a.t.Errorf("%s says %q, which lacks %q", selector, got, text)
	}
}

// Result is a result component as a reader sees it.
type Result struct{ Tag, Title, Why, Next, Facts string }

// Result returns the result at selector. There must be exactly one.
func (a Answer) Result(selector string) Result {
	a.t.Helper()
	if n := a.Page.Find(selector).Length(); n != 1 {
		a.t.Fatalf("%d results are %q:\n%s", n, selector, a.Body)
	}
	slot := func(s string) string { return a.Text(selector + " " + s) }
	return Result{
		Tag: slot(".result__kick > :first-child"), Title: slot(".result__title"),
		Why: slot(".result__slots dd:nth-of-type(1)"), Next: slot(".result__slots dd:nth-of-type(2)"), Facts: slot(".result__facts"),
	}
}

// Column returns the visible text of each element at selector.
func (a Answer) Column(selector string) (texts []string) {
	a.Page.Find(selector).Each(func(_ int, s *goquery.Selection) { texts = append(texts, strings.Join(strings.Fields(s.Text()), " ")) })
	return texts
}

// Link returns the one-time link that the page shows, without its origin.
func (a Answer) Link(t *testing.T, path string) string {
	t.Helper()
	href := a.Page.Find("#link").AttrOr("value", "")
	u, err := url.Parse(href)
	if err != nil || u.Host == "" || u.Path != path || u.Query().Get("link") == "" {
		t.Fatalf("the page shows the link %q: %s", href, a.Body)
	}
	return u.RequestURI()
}
