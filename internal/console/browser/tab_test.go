//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what a test waits for.
const patience = 20 * time.Second

// tab is a tab of a browser in which nobody has been before. At the end of its
// test it must not have told of anything in its console: no error, no refusal of
// the content security policy, no script that ran where text should be.
type tab struct {
	t    *testing.T
	ctx  context.Context
	show *show
	url  string // at which it reaches the show

	mu        sync.Mutex
	responses []response
	complaint []string
	expected  []*regexp.Regexp
}

// response is an answer that the browser got.
type response struct {
	id     network.RequestID
	url    string
	method string
	status int
	kind   network.ResourceType
	header map[string]string // by name in lower case
}

// visit opens a tab on the show.
func (s *show) visit(t *testing.T) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	return newTab(t, s, ctx)
}

// beside opens another window of the same browser. Were it a tab, the one in the
// background would pause its stream.
func (b *tab) beside() *tab {
	b.t.Helper()
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewWindow(true))
	b.t.Cleanup(end)
	other := newTab(b.t, b.show, ctx)
	other.url = b.url
	return other
}

func newTab(t *testing.T, s *show, ctx context.Context) *tab {
	t.Helper()
	b := &tab{t: t, ctx: ctx, show: s, url: s.URL}
	methods := map[network.RequestID]string{}
	if err := chromedp.Listen(ctx, func(ev any) { b.hear(ev, methods) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.calm)
	b.size(1280)
	return b
}

// hear keeps what the browser tells. It must not block.
func (b *tab) hear(ev any, methods map[network.RequestID]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		if from := e.RedirectResponse; from != nil {
			b.responses = append(b.responses, answered(e.RequestID, methods[e.RequestID], e.Type, from))
		}
		methods[e.RequestID] = e.Request.Method
	case *network.EventResponseReceived:
		b.responses = append(b.responses, answered(e.RequestID, methods[e.RequestID], e.Type, e.Response))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complaint = append(b.complaint, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, a := range e.Args {
			said = append(said, a.Description+string(a.Value))
		}
		b.complaint = append(b.complaint, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(said, " ")))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.complaint = append(b.complaint, "exception: "+text)
	case *page.EventJavascriptDialogOpening:
		b.complaint = append(b.complaint, "dialog: "+e.Message)
	}
}

func answered(id network.RequestID, method string, kind network.ResourceType, r *network.Response) response {
	header := map[string]string{}
	for name, value := range r.Headers {
		header[strings.ToLower(name)] = fmt.Sprint(value)
	}
	return response{id: id, url: r.URL, method: method, status: int(r.Status), kind: kind, header: header}
}

// expect names what the console may tell of in this test besides the browser's
// own line for the answers blocked and busy.
func (b *tab) expect(complaints ...string) {
	for _, c := range complaints {
		b.expected = append(b.expected, regexp.MustCompile(c))
	}
}

var ownLine = regexp.MustCompile(`^network: Failed to load resource: the server responded with a status of (409|422) `)

// refused is the browser's own line for an answer with a status.
func refused(status int) string {
	return fmt.Sprintf(`^network: Failed to load resource: the server responded with a status of %d `, status)
}

// complaints are what the console told of and was not expected to.
func (b *tab) complaints() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaint {
		if !ownLine.MatchString(c) && !slices.ContainsFunc(b.expected, func(r *regexp.Regexp) bool { return r.MatchString(c) }) {
			all = append(all, c)
		}
	}
	return all
}

func (b *tab) calm() {
	for _, c := range b.complaints() {
		b.t.Errorf("the console says: %s", c)
	}
}

// do takes steps, each within its time.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.seen())
	}
}

// seen is where the tab is and what a person reads there, for messages.
func (b *tab) seen() string {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return "the tab does not answer: " + err.Error()
	}
	return text
}

// call runs a command of the browser's protocol.
func call[P, R any](b *tab, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, cmd, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// eval asks the page.
func eval[T any](b *tab, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for the page to be as wanted, over as many loads as it takes.
func (b *tab) until(js string) {
	b.t.Helper()
	b.within(patience, js)
}

func (b *tab) within(d time.Duration, js string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, d)
	defer cancel()
	for {
		// While a page gives way to another there is nobody to ask.
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+js+`)`)); err == nil && is {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("after %s still not %s\n%s", d, js, b.seen())
		case <-time.After(40 * time.Millisecond):
		}
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s) // a string has one
	return string(text)
}

// open goes to a path of the console.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// at waits until the tab has a page whose path begins so.
func (b *tab) at(path string) {
	b.t.Helper()
	b.until(`document.readyState === "complete" && (location.pathname + location.search + location.hash).startsWith(` + quoted(path) + `)`)
}

func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, `location.pathname + location.search + location.hash`)
}

// has waits for an element that can be seen.
func (b *tab) has(selector string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll(` + quoted(selector) + `)].some(e => e.checkVisibility())`)
}

// says waits until an element says a text.
func (b *tab) says(selector, text string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll(` + quoted(selector) + `)].some(e => e.innerText.replace(/\s+/g, " ").includes(` + quoted(text) + `))`)
}

// text is what a person reads at the first element, on one line.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(`+quoted(selector)+`)?.innerText.replace(/\s+/g, " ").trim() ?? ""`)
}

// click clicks the first element, wherever it is on the page.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.has(selector)
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// follow clicks and waits for the page that comes.
func (b *tab) follow(selector string) {
	b.t.Helper()
	b.has(selector)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector)))(ctx, t)
		return err
	}))
}

// back and forward press the browser's buttons. What comes may be kept from
// before, so that there is no load to wait for.
func (b *tab) back()    { b.t.Helper(); eval[any](b, `history.back()`) }
func (b *tab) forward() { b.t.Helper(); eval[any](b, `history.forward()`) }

// press types keys, wherever the focus is.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// script switches the page's scripts on or off, from the next page on.
func (b *tab) script(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// size gives the tab a width, in CSS pixels.
func (b *tab) size(width int64) {
	b.t.Helper()
	height := int64(900)
	if width < 600 {
		height = 844
	}
	b.do(chromedp.EmulateViewport(width, height))
}

// theme is what the person's system asks for: light or dark.
func (b *tab) theme(scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

// signIn signs in by the form, as someone would who types.
func (b *tab) signIn(email, password string) {
	b.t.Helper()
	b.open("/sign-in")
	b.fillIn(email, password)
	b.at("/w/")
}

func (b *tab) fillIn(email, password string) {
	b.t.Helper()
	b.do(
		chromedp.SetValue(chromedp.CSS("#email"), email),
		chromedp.SetValue(chromedp.CSS("#password"), password),
		chromedp.Click(chromedp.CSS("form.card button[type=submit]")),
	)
}

// as signs the person with a role in.
func (b *tab) as(role string) *tab {
	b.t.Helper()
	u := b.show.user(b.t, role)
	b.signIn(u.Email, u.Password)
	return b
}

// cookie is the session's; nil when the browser has none.
func (b *tab) cookie() *network.Cookie {
	b.t.Helper()
	all := call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.url}})
	for _, c := range all.Cookies {
		if c.Name == "__Host-interlock" {
			return c
		}
	}
	return nil
}

// last is the newest answer to a method whose address contains a text.
func (b *tab) last(method, part string) response {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range slices.Backward(b.responses) {
		if r.method == method && strings.Contains(r.url, part) {
			return r
		}
	}
	b.t.Fatalf("no answer to %s %s", method, part)
	return response{}
}
