package httpx

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCheckOrigin(t *testing.T) {
	for _, tt := range []struct {
		name         string
		method       string
		site, origin string // headers; empty: absent
		ok           bool
	}{
		{"a page of ours", "POST", "same-origin", "https://interlock.example", true},
		{"an older browser on a page of ours", "POST", "", "https://interlock.example", true},
		{"typed into the address bar", "POST", "none", "", true},
		{"another site", "POST", "cross-site", "https://evil.example", false},
		{"a sibling host", "POST", "same-site", "https://evil.interlock.example", false},
		{"an older browser on another site", "POST", "", "https://evil.example", false},
		{"a sandboxed frame", "POST", "cross-site", "null", false},
		{"an older browser in a sandboxed frame", "POST", "", "null", false},
		{"nobody says where from", "POST", "", "", false},
		{"nobody says where from, another verb", "DELETE", "", "", false},
		{"reading from another site", "GET", "cross-site", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "https://interlock.example/w", nil)
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			err := CheckOrigin(r)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrCrossSite) {
				t.Errorf("got %v, want ok=%v", err, tt.ok)
			}
		})
	}
}

func TestSessionCookie(t *testing.T) {
	w := httptest.NewRecorder()
	SetSession(w, "ils_SECRET")
	header := w.Header().Get("Set-Cookie")
	for _, part := range []string{"__Host-interlock=ils_SECRET", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(header, part) {
			t.Errorf("%s lacks %s", header, part)
		}
	}
	if strings.Contains(header, "Domain") || strings.Contains(header, "Max-Age") {
		t.Errorf("%s: a host's own cookie, that ends with the browser", header)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if got := SessionSecret(r); got != "" {
		t.Errorf("a request without a cookie has the secret %q", got)
	}
	r.AddCookie(w.Result().Cookies()[0])
	if got := SessionSecret(r); got != "ils_SECRET" {
		t.Errorf("secret %q", got)
	}
	w = httptest.NewRecorder()
	ForgetSession(w)
	if header := w.Header().Get("Set-Cookie"); !strings.Contains(header, "Max-Age=0") {
		t.Errorf("%s does not take the cookie away", header)
	}
}
