package assets

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc(Pattern, func(w http.ResponseWriter, r *http.Request) {
		if !Serve(w, r) {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	for name, kind := range map[string]string{
		"console.css": "text/css; charset=utf-8", "tokens.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8",
		"htmx.js": "text/javascript; charset=utf-8", "inter-latin.woff2": "font/woff2", "mark.svg": "image/svg+xml",
	} {
		w := get(URL(name))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/assets/0000000000000000/console.css", URL("assets.go"), URL("nothing.css"), URL("..%2fassets.go")} {
		if w := get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

func TestIcon(t *testing.T) {
	if Icon("check") == "" || Icon("check") == Icon("dot") {
		t.Error("no shapes for check")
	}
	if Icon("no such icon") != Icon("dot") {
		t.Error("an unknown icon is no dot")
	}
}
