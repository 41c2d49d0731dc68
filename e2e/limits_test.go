//go:build linux

package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestLimits: a client over the limit is told when to retry, on every surface. People
// behind a trusted proxy have one budget each, and nobody gets another by claiming to
// be behind a proxy.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start("--trust-proxy", "127.0.0.1", "--requests-per-minute", "40")
	from := func(path, forwarded string) (status int, text, retry string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", forwarded)
		r.Header.Set("Accept", "text/html")
		resp, err := (&http.Client{}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body), resp.Header.Get("Retry-After")
	}
	for i := range 40 {
		path := []string{"/sign-in", "/api/v1/openapi.json"}[i%2] // one budget for both
		if status, _, _ := from(path, "192.0.2.1"); status != http.StatusOK {
			t.Fatalf("request %d: %d", i+1, status)
		}
	}
	// The budget grows by one request every 1.5 seconds, which may pass meanwhile.
	refused := func(forwarded string) (text, retry string) {
		for range 200 {
			status, text, retry := from("/sign-in", forwarded)
			if status != http.StatusOK {
				if status != http.StatusTooManyRequests {
					t.Errorf("refused with %d", status)
				}
				return text, retry
			}
		}
		t.Errorf("%s: 200 requests in a row are answered", forwarded)
		return "", ""
	}
	if text, retry := refused("192.0.2.1"); retry == "" || !strings.Contains(text, "<h1>Too many requests") {
		t.Errorf("the refusal: Retry-After %q: %s", retry, text)
	}
	if status, _, _ := from("/sign-in", "192.0.2.2"); status != http.StatusOK {
		t.Errorf("someone else behind the same proxy: %d", status)
	}
	// The last hop is the one that the trusted proxy added: each request from elsewhere
	// would have a budget of its own.
	for i := range 40 {
		if status, _, _ := from("/sign-in", fmt.Sprintf("198.51.100.%d, 192.0.2.1", i)); status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("who claims to come from elsewhere each time is never refused")
}

// TestStartLimit: the limit on starts is per person.
func TestStartLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start("--starts-per-minute", "1")
	n.readyTenants("kestrel") // by a verification, the one start that is allowed
	p, err := rawStart(t.Context(), n.url, w.owner.token, "kestrel", key(), map[string]any{"operation": op.InventorySync})
	if err != nil {
		t.Fatal(err)
	}
	if p.status != http.StatusTooManyRequests || p.problem.Code != "too_many_starts" {
		t.Errorf("the second start of a minute: %d %+v %+v", p.status, p.problem, p.answer)
	}
}
