package graph

import (
	"net/http"
	"net/url"
	"testing"
)

// FuzzLink: whatever a link looks like, it is refused, or it is asked for at the
// provider's host, over TLS, and in one of its two versions.
func FuzzLink(f *testing.F) {
	c, err := New(Config{
		Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"},
		Directory: "d", ClientID: "c", HTTP: &http.Client{},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, link := range []string{
		"/v1.0/groups", "https://graph.example/beta/x?$skiptoken=%255B", "https://graph.example@evil.example/v1.0/x",
		"//evil.example/v1.0/x", "https:graph.example/v1.0", "\\\\evil.example\\v1.0", "https://graph.example:443/v1.0/x",
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, link string) {
		address, err := c.address(link)
		if err != nil {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatalf("%q became %q, which can't be asked for: %v", link, address, err)
		}
		if r.URL.Scheme != "https" || r.URL.Host != "graph.example" || r.Host != "graph.example" || !c.reads(r.URL) {
			t.Errorf("%q is asked for at %s", link, r.URL)
		}
		if u, err := url.Parse(r.URL.String()); err != nil || u.Host != "graph.example" {
			t.Errorf("%q is written as %s", link, r.URL)
		}
	})
}
