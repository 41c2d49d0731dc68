package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// serve returns a client of a server that answers with h. It does not wait
// between tries, but notes how long it would have.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, "ilk_test", Options{Surface: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	c.wait = func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}
	return c, &waits
}

func answer(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"https://interlock.example":         true,
		"https://interlock.example/":        true,
		"https://interlock.example/lock":    true,
		"http://127.0.0.1:8080":             true,
		"http://[::1]:8080":                 true,
		"http://localhost:8080":             true,
		"http://interlock.example":          false,
		"http://127.0.0.1.example":          false,
		"http://10.0.0.1":                   false,
		"interlock.example":                 false,
		"":                                  false,
		"ftp://interlock.example":           false,
		"https://user:pw@interlock.example": false,
		"https://interlock.example/?x=1":    false,
	} {
		if _, err := New(address, "", Options{}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestCertificateAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "application/json", Me{Name: "Ana"})
	}))
	defer s.Close()
	s.Config.ErrorLog = nil
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(s.URL, "ilk_test", Options{CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if me, err := c.Me(t.Context()); err != nil || me.Name != "Ana" {
		t.Errorf("me is %+v, %v", me, err)
	}
	c, err = New(s.URL, "ilk_test", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Me(t.Context()); err == nil {
		t.Error("a certificate of nobody known is accepted")
	}
	for _, bad := range []string{filepath.Join(t.TempDir(), "none"), "client_test.go"} {
		if _, err := New(s.URL, "", Options{CAFile: bad}); err == nil {
			t.Errorf("%s passes for an authority", bad)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.SignIn(t.Context(), "ana@lattice.example", "secret", "")
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusTemporaryRedirect || reached {
		t.Errorf("a redirect is %v; the password went along: %v", err, reached)
	}
}

func TestProblems(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/runs/gone":
			answer(w, http.StatusNotFound, "application/problem+json", Problem{Title: "Not here", Code: "not_found"})
		case "/api/v1/runs/proxy":
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>nginx</html>")
		default:
			_, _ = io.WriteString(w, "<html>some page</html>")
		}
	})
	var p *Problem
	if _, err := c.Run(t.Context(), "gone"); !errors.As(err, &p) || p.Code != "not_found" || p.Status != http.StatusNotFound {
		t.Errorf("a problem is %v", err)
	}
	if _, err := c.Run(t.Context(), "proxy"); !errors.As(err, &p) || p.Code != "http" || !strings.Contains(p.Title, "502") {
		t.Errorf("a proxy's page is %v", err)
	}
	if _, err := c.Run(t.Context(), "page"); err == nil || !strings.Contains(err.Error(), "is it an Interlock server?") {
		t.Errorf("some page is %v", err)
	}
	down, err := New("http://127.0.0.1:1", "ilk_secret", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.Run(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "no answer from 127.0.0.1:1") || strings.Contains(err.Error(), "ilk_secret") {
		t.Errorf("no server is %v", err)
	}
}

func TestPathsAreEscaped(t *testing.T) {
	var got string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.RequestURI
		answer(w, http.StatusOK, "application/json", map[string]any{})
	})
	if _, err := c.Tenant(t.Context(), "../me?x#y"); err != nil {
		t.Fatal(err)
	}
	if got != "/api/v1/tenants/..%2Fme%3Fx%23y" {
		t.Errorf("asked for %s", got)
	}
	if _, err := c.Runs(t.Context(), RunFilter{Tenant: "a&b", Active: true, Since: time.Unix(0, 0), Paging: Paging{Limit: 5}}); err != nil {
		t.Fatal(err)
	}
	if got != "/api/v1/runs?active=true&limit=5&since=1970-01-01T00%3A00%3A00Z&tenant=a%26b" {
		t.Errorf("asked for %s", got)
	}
	if _, err := c.Groups(t.Context(), "kestrel", DataFilter{Query: "a", Type: "dynamic"}); err != nil {
		t.Fatal(err)
	}
	if got != "/api/v1/tenants/kestrel/groups?q=a&type=dynamic" {
		t.Errorf("asked for %s", got)
	}
}

// TestStartsAreAskedAgain: whatever happens on the way, every try has the same
// key, so that there is one run at most.
func TestStartsAreAskedAgain(t *testing.T) {
	accepted := op.Answer{Outcome: op.Accepted, Title: "Inventory sync is queued"}
	unavailable := func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "3")
		answer(w, http.StatusServiceUnavailable, "application/problem+json", Problem{Code: "unavailable"})
	}
	cut := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for name, c := range map[string]struct {
		tries []func(http.ResponseWriter)
		want  op.Outcome
		code  string
		waits []time.Duration
	}{
		"at once":             {nil, op.Accepted, "", nil},
		"after a pause":       {[]func(http.ResponseWriter){unavailable}, op.Accepted, "", []time.Duration{3 * time.Second}},
		"after a broken line": {[]func(http.ResponseWriter){cut, cut}, op.Accepted, "", []time.Duration{200 * time.Millisecond, 500 * time.Millisecond}},
		"busy": {[]func(http.ResponseWriter){func(w http.ResponseWriter) {
			answer(w, http.StatusConflict, "application/json", op.Answer{Outcome: op.ScopeBusy})
		}}, op.ScopeBusy, "", nil},
		"blocked": {[]func(http.ResponseWriter){func(w http.ResponseWriter) {
			answer(w, http.StatusUnprocessableEntity, "application/json", op.Answer{Outcome: op.Blocked})
		}}, op.Blocked, "", nil},
		"key reused": {[]func(http.ResponseWriter){func(w http.ResponseWriter) {
			answer(w, http.StatusUnprocessableEntity, "application/problem+json", Problem{Code: "idempotency_key_reused"})
		}}, "", "idempotency_key_reused", nil},
		"never": {slices.Repeat([]func(http.ResponseWriter){unavailable}, 6), "", "unavailable", []time.Duration{3e9, 3e9, 3e9, 3e9, 4e9}},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			cl, waits := serve(t, func(w http.ResponseWriter, r *http.Request) {
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				if r.Header.Get("Interlock-Surface") != "cli" || r.Header.Get("Authorization") != "Bearer ilk_test" {
					t.Errorf("headers are %v", r.Header)
				}
				if n := len(keys); n <= len(c.tries) {
					c.tries[n-1](w)
					return
				}
				answer(w, http.StatusAccepted, "application/json", accepted)
			})
			got, err := cl.Start(t.Context(), "kestrel", StartRequest{Operation: op.InventorySync})
			var p *Problem
			if errors.As(err, &p); (err != nil) != (c.code != "") || p != nil && p.Code != c.code || got.Outcome != c.want {
				t.Errorf("answered %+v, %v", got, err)
			}
			if len(keys[0]) < 16 || len(slices.Compact(keys)) != 1 {
				t.Errorf("keys are %v", keys)
			}
			if !slices.Equal(*waits, c.waits) {
				t.Errorf("waited %v, want %v", *waits, c.waits)
			}
		})
	}
}

func TestVerbatim(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "gone") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "{\"code\" : \"K7QM2X\",\n \"new\":1}")
	})
	var body string
	ctx := Verbatim(t.Context(), func(b []byte) { body = string(b) })
	for _, run := range []string{"K7QM2X", "gone"} {
		body = ""
		_, _ = c.Run(ctx, run)
		if body != "{\"code\" : \"K7QM2X\",\n \"new\":1}" {
			t.Errorf("%s came as %q", run, body)
		}
	}
}

func TestFollow(t *testing.T) {
	send := func(w http.ResponseWriter, id, name string, data any) {
		b, err := json.Marshal(data)
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n:\n\n", id, name, b)
	}
	var lasts []string
	c, waits := serve(t, func(w http.ResponseWriter, r *http.Request) {
		lasts = append(lasts, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		switch len(lasts) {
		case 1:
			send(w, "0.0", "state", op.Run{ID: "r", State: op.Queued})
			send(w, "1.0", "timeline", Line{Text: "Reading apps"})
			send(w, "1.0", "something new", 5)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			send(w, "1.0", "state", op.Run{ID: "r", State: op.Running})
			send(w, "1.9", "item", op.Item{Key: "mobileApps"})
			send(w, "1.9", "end", op.Run{ID: "r", State: op.Finished, Outcome: op.RunPartial})
		}
	})
	var told []string
	run, err := c.Follow(t.Context(), "r", func(e Event) error {
		switch {
		case e.Run != nil:
			told = append(told, string(e.Run.State))
		case e.Item != nil:
			told = append(told, e.Item.Key)
		case e.Line != nil:
			told = append(told, e.Line.Text)
		}
		return nil
	})
	if err != nil || run.Outcome != op.RunPartial {
		t.Errorf("ended as %+v, %v", run, err)
	}
	if want := []string{"queued", "Reading apps", "running", "mobileApps", "finished"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if want := []string{"", "1.0", "1.0"}; !slices.Equal(lasts, want) {
		t.Errorf("came back behind %v, want %v", lasts, want)
	}
	if len(*waits) != 2 {
		t.Errorf("waited %v", *waits)
	}
}

func TestFollowGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		status, tries int
	}{"out of sight": {http.StatusNotFound, 1}, "signed out": {http.StatusUnauthorized, 1}, "away": {http.StatusBadGateway, comeBack + 1}} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			cl, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				tries++
				answer(w, c.status, "application/problem+json", Problem{Code: "x"})
			})
			_, err := cl.Follow(t.Context(), "r", func(Event) error { return nil })
			var p *Problem
			if !errors.As(err, &p) || p.Status != c.status || tries != c.tries {
				t.Errorf("%v after %d tries", err, tries)
			}
		})
	}
	stop := errors.New("enough")
	cl, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "id: 1\nevent: state\ndata: {}\n\n")
	})
	if _, err := cl.Follow(t.Context(), "r", func(Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v", err)
	}
	var once sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := cl.Follow(ctx, "r", func(Event) error { once.Do(cancel); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled it ends with %v", err)
	}
}
