package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	_ "github.com/interlock-dev/interlock/internal/catalogue" // the operations bring their words
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{op.ErrNotFound, 404, "not_found", ""},
		{fmt.Errorf("run: %w", op.ErrNotFound), 404, "not_found", ""},
		{op.ErrForbidden, 403, "forbidden", ""},
		{&Forbidden{Kind: op.InventorySync, Where: "Kestrel", Role: "viewer", Capability: "Sync inventory"}, 403, "forbidden", ""},
		{access.ErrUnauthenticated, 401, "signed_out", ""},
		{SignInError(fmt.Errorf("sign in: %w", access.ErrUnauthenticated)), 401, "sign_in_refused", ""},
		{&access.LimitError{RetryAfter: 90*time.Second + 1}, 429, "too_many_tries", "91"},
		{&op.FieldError{Field: "name", Detail: "must not be empty"}, 422, "field", ""},
		{&http.MaxBytesError{Limit: 1 << 20}, 413, "too_large", ""},
		{fmt.Errorf("start: %w", db.ErrOutcomeUnknown), 503, "outcome_unknown", "5"},
		{context.DeadlineExceeded, 503, "unavailable", "5"},
		{fmt.Errorf("delete connection: %w", op.Conflict("run K7QM2X holds it")), 409, "conflict", ""},
		{fmt.Errorf("cancel: %w", op.ConflictBecause(errors.New("UPDATE of SELECT x: 0 rows"), "the run changed")), 409, "conflict", ""},
		{fmt.Errorf("SELECT x: %w", op.ErrConflict), 409, "conflict", ""},
		{fmt.Errorf("begin consent: %w", op.ErrNoAddress), 409, "address_missing", ""},
		{MethodNotAllowed("GET", "HEAD"), 405, "method_not_allowed", ""},
		{errors.New("SELECT secret FROM x: no such column"), 500, "fault", ""},
	} {
		p := Explain(c.err, "req-12345678")
		if p.Status != c.status || p.Code != c.code || p.header.Get("Retry-After") != c.retry {
			t.Errorf("%v is %d %s, Retry-After %q", c.err, p.Status, p.Code, p.header.Get("Retry-After"))
		}
		if p.Type != "https://interlock.dev/problems/"+strings.ReplaceAll(c.code, "_", "-") || p.Title == "" || p.Detail == "" || p.Next == "" {
			t.Errorf("%v lacks words: %+v", c.err, p)
		}
		if strings.Contains(p.Title+p.Detail+p.Next, "SELECT") {
			t.Errorf("%v shows its cause: %+v", c.err, p)
		}
		if refers := p.RequestID != ""; refers != (c.status >= 500) {
			t.Errorf("%v refers to %q", c.err, p.RequestID)
		}
	}
	if d := Explain(fmt.Errorf("delete connection: %w", op.Conflict("run K7QM2X holds it")), "").Detail; !strings.Contains(d, "Run K7QM2X holds it.") {
		t.Errorf("a conflict says %q", d)
	}
	start := Explain(&Forbidden{Kind: op.InventorySync, Where: "Kestrel", Role: "viewer", Capability: "Sync inventory"}, "")
	if start.Title != "You can't start inventory sync here" || start.Detail != "Your role in Kestrel (viewer) doesn't include “Sync inventory”. Nothing was queued." {
		t.Errorf("a start is refused with %q, %q", start.Title, start.Detail)
	}
	change := Explain(&Forbidden{Where: "Kestrel. Ltd", Role: "viewer", Capability: "Manage connections"}, "")
	if change.Title != "You don't have permission to do this" || change.Detail != "Your role in Kestrel. Ltd (viewer) doesn't include “Manage connections”. Nothing was changed." {
		t.Errorf("a change is refused with %q, %q", change.Title, change.Detail)
	}
}

func ask(t *testing.T, f Front, h http.Handler, edit func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x?token=in-the-query", nil)
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	f.Wrap(h).ServeHTTP(w, r)
	return w
}

func TestRequestIDs(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, Of(r.Context()).ID) })
	for given, kept := range map[string]bool{
		"":                      false,
		"short":                 false,
		"4bf92f3577b34da6":      true,
		"01J-a_b.c-9":           true,
		"has spaces in it":      false,
		"new\nline12345":        false,
		strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false,
		"<script>alert</script": false,
	} {
		resp := ask(t, Front{Logger: slog.New(slog.DiscardHandler)}, echo, func(r *http.Request) { r.Header["X-Request-Id"] = []string{given} })
		if id := resp.Header().Get("X-Request-Id"); (id == given) != kept || id != resp.Body.String() || len(id) < 8 {
			t.Errorf("%q becomes %q, the handler sees %q", given, id, resp.Body)
		}
	}
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		trusted []netip.Prefix
		remote  string
		forward []string
		want    string
	}{
		{nil, "203.0.113.9:1234", nil, "203.0.113.9"},
		{nil, "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"}, // trust is off by default
		{proxies, "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		{proxies, "10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{proxies, "10.0.0.1:1234", []string{"192.0.2.7, 198.51.100.1"}, "198.51.100.1"}, // a client could have written everything before it
		{proxies, "10.0.0.1:1234", []string{"192.0.2.7", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{proxies, "[::1]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{proxies, "10.0.0.1:1234", []string{"nonsense"}, "10.0.0.1"},
		{proxies, "10.0.0.1:1234", nil, "10.0.0.1"},
		{nil, "[::ffff:203.0.113.9]:1234", nil, "203.0.113.9"},
		{proxies, "[::ffff:10.0.0.1]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forward
		if got := (Front{Proxies: c.trusted}).remote(r); got != c.want {
			t.Errorf("%s with %v is %s, want %s", c.remote, c.forward, got, c.want)
		}
	}
}

// TestRequestsCountIPv6ByNetwork: addresses of one /64 share a budget.
func TestRequestsCountIPv6ByNetwork(t *testing.T) {
	h := Front{Logger: slog.New(slog.DiscardHandler), Requests: NewBudget(1)}.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		remote string
		want   int
	}{
		{"[2001:db8::1]:1234", http.StatusOK},
		{"[2001:db8::2]:1234", http.StatusTooManyRequests},
		{"[2001:db8:0:1::1]:1234", http.StatusOK},
		{"192.0.2.1:1234", http.StatusOK},
		{"[::ffff:192.0.2.1]:1234", http.StatusTooManyRequests},
		{"192.0.2.2:1234", http.StatusOK},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s is answered %d, want %d", c.remote, w.Code, c.want)
		}
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	var log strings.Builder
	f := Front{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	resp := ask(t, f, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), nil)
	var p Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if resp.Code != http.StatusInternalServerError || p.Code != "fault" || p.RequestID != resp.Header().Get("X-Request-Id") || strings.Contains(p.Detail, "boom") {
		t.Errorf("answered %d %+v", resp.Code, p)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), p.RequestID) || !strings.Contains(log.String(), "TestPanicsAreAnswered") {
		t.Errorf("the log says %s", log.String())
	}

	// A client must not take a part of a response for the whole.
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("the connection goes on after half an answer: %v", err)
		}
	}()
	ask(t, f, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("boom")
	}), nil)
}

// TestRefusalsAtTheFront: a refusal before any surface is a page for a browser, a part of a page
// for a page's script, and a problem document for a program.
func TestRefusalsAtTheFront(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct {
		name, accept string
		script       bool
		contentType  string
		begins       string
	}{
		{"a browser", browser, false, "text/html; charset=utf-8", "<!doctype html>"},
		{"script of a page", "text/html", true, "text/html; charset=utf-8", "<h1>"},
		{"a stream", "text/event-stream", true, "application/problem+json", "{"},
		{"a program", "application/json", false, "application/problem+json", "{"},
		{"a program that takes anything", "*/*", false, "application/problem+json", "{"},
		{"a program that says nothing", "", false, "application/problem+json", "{"},
		{"a program that would take a page", "application/json, text/html;q=0.1", false, "application/problem+json", "{"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := Front{Logger: slog.New(slog.DiscardHandler), Requests: NewBudget(2)}.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/panic" {
						panic("<boom>")
					}
				}))
				ask := func(path string) *httptest.ResponseRecorder {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
					r.Header.Set("Accept", c.accept)
					if c.script {
						r.Header.Set("HX-Request", "true")
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w
				}
				fault := ask("/panic")
				ask("/x")
				limited := ask("/x")
				for _, a := range []struct {
					*httptest.ResponseRecorder
					status int
					says   []string
				}{
					{limited, http.StatusTooManyRequests, []string{"Too many requests", "reached the limit of requests per minute", "Try again in 30 seconds."}},
					{fault, http.StatusInternalServerError, []string{"an internal error", "the reference " + fault.Header().Get("X-Request-Id")}},
				} {
					body := a.Body.String()
					if a.Code != a.status || a.Header().Get("Content-Type") != c.contentType || !strings.HasPrefix(body, c.begins) {
						t.Errorf("answered %d %s: %s", a.Code, a.Header().Get("Content-Type"), body)
					}
					for _, words := range a.says {
						if !strings.Contains(body, words) {
							t.Errorf("%q is not said: %s", words, body)
						}
					}
					if strings.Contains(body, "boom") || strings.Contains(body, "<script") || strings.Contains(body, "style") {
						t.Errorf("it shows or loads what it must not: %s", body)
					}
					for name, want := range map[string]string{
						"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff",
						"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
					} {
						if got := a.Header().Get(name); got != want {
							t.Errorf("%s is %q, want %q", name, got, want)
						}
					}
				}
				if got := limited.Header().Get("Retry-After"); got != "30" {
					t.Errorf("Retry-After is %q", got)
				}
			})
		})
	}
}

func TestRequestLog(t *testing.T) {
	var log strings.Builder
	ask(t, Front{Logger: slog.New(slog.NewTextHandler(&log, nil))}, Handler(func(w http.ResponseWriter, r *http.Request) error {
		x := Of(r.Context())
		x.Route, x.Actor = "GET /x", "u-1"
		return op.ErrNotFound
	}), func(r *http.Request) { r.Header.Set("Authorization", "Bearer canary") })
	line := log.String()
	for _, want := range []string{"status=404", `route="GET /x"`, "actor=u-1", "method=GET", "path=/x", "remote=192.0.2.1"} {
		if !strings.Contains(line, want) {
			t.Errorf("the log lacks %s: %s", want, line)
		}
	}
	for _, secret := range []string{"canary", "in-the-query"} {
		if strings.Contains(line, secret) {
			t.Errorf("the log shows %s: %s", secret, line)
		}
	}
	if strings.Contains(line, "level=ERROR") {
		t.Errorf("what a caller did wrong is logged as ours: %s", line)
	}
}

func TestStrictTransport(t *testing.T) {
	s := httptest.NewTLSServer(Front{Logger: slog.New(slog.DiscardHandler)}.Wrap(http.NotFoundHandler()))
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("TLS is not made strict")
	}
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(3)
		for i := range 3 {
			if wait := b.Spend("ana"); wait != 0 {
				t.Errorf("the %d. of three waits %s", i+1, wait)
			}
		}
		if wait := b.Spend("ana"); wait != 20*time.Second {
			t.Errorf("the fourth waits %s", wait)
		}
		if wait := b.Spend("tom"); wait != 0 {
			t.Errorf("someone else waits %s", wait)
		}
		time.Sleep(20 * time.Second)
		if wait := b.Spend("ana"); wait != 0 { // the refused one took nothing
			t.Errorf("a third of a minute later it waits %s", wait)
		}
		for i := range maxKeys + 10 {
			b.Spend(fmt.Sprint(i))
		}
		if len(b.keys) > maxKeys {
			t.Errorf("%d keys are kept", len(b.keys))
		}
	})
}

func TestStream(t *testing.T) {
	w := httptest.NewRecorder()
	s, err := OpenStream(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Event("3.17", "state", map[string]string{"name": "two\nlines"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Beat(); err != nil {
		t.Fatal(err)
	}
	if want := "id: 3.17\nevent: state\ndata: {\"name\":\"two\\nlines\"}\n\n:\n\n"; w.Body.String() != want || !w.Flushed {
		t.Errorf("wrote %q, want %q", w.Body, want)
	}
}
