package cli

import (
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/op"
)

// A printed link leads where the page's link leads: it keeps fragment and query, and is
// not escaped twice.
func TestPrintedLinks(t *testing.T) {
	for _, href := range []string{
		"/w/lattice/operations/K7QM2X#items",
		"/w/lattice/tenants/kestrel/connections/primary#start",
		"/w/lattice/operations?state=queued&tenant=kestrel#top",
		op.ConnectionPath("büro", "köln & söhne", "a/b?c#d"),
		op.RunPath("lattice", "100%"),
	} {
		for _, base := range []string{"https://interlock.example", "https://it.example/interlock", "http://[::1]:8080"} {
			var out strings.Builder
			page{w: &out, width: width, base: base}.fix(&op.Fix{Label: "Open", Href: href})
			_, printed, _ := strings.Cut(strings.TrimSpace(out.String()), ": ")
			if printed != base+href {
				t.Errorf("%s below %s is printed as %s", href, base, printed)
			}
			got, err := url.Parse(printed)
			want, wanted := url.Parse(href)
			if err != nil || wanted != nil {
				t.Fatal(err, wanted)
			}
			if got.Fragment != want.Fragment || got.RawQuery != want.RawQuery || !strings.HasSuffix(got.Path, want.Path) {
				t.Errorf("%s leads to path %q, query %q, fragment %q", printed, got.Path, got.RawQuery, got.Fragment)
			}
		}
	}
}

func TestSeveral(t *testing.T) {
	for n, want := range map[int]string{0: "0 policies are", 1: "1 policy is", 2: "2 policies are"} {
		if got := several(n, "policy is", "policies are"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
