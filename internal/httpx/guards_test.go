package httpx

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// TestSecurityHeaders: every response has the security headers, whatever the handler does.
func TestSecurityHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	Front{}.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/anywhere", nil))
	for name, want := range map[string]string{
		"Cache-Control":                "no-store",
		"Content-Security-Policy":      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestRetryAfter: Retry-After is in whole seconds, rounded up, and at least 1.
func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		w := httptest.NewRecorder()
		NewProblem(op.ProblemTooManyRequests, op.Args{"retry_after": wait.String()}).RetryAfter(wait).Write(w)
		if got := w.Header().Get("Retry-After"); got != want || w.Code != http.StatusTooManyRequests {
			t.Errorf("%v: %d with Retry-After %q, want 429 with %q", wait, w.Code, got, want)
		}
	}
}

// TestStreamsOfAPerson: the limit is per person, and a stream that ends makes room.
func TestStreamsOfAPerson(t *testing.T) {
	s := NewStreams(2)
	first, err := s.Open("ana")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("ana"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("ana"); err == nil {
		t.Error("a third stream was opened, the limit is 2")
	}
	if _, err := s.Open("tom"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	first()
	first() // counts once
	if _, err := s.Open("ana"); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	if _, err := s.Open("ana"); err == nil {
		t.Error("a stream that ended twice made room for two")
	}
}
