//go:build linux

package e2e_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestConsentLeadsBack requests consent from servers with different settings. The link
// returns to the address that browsers use; a server that does not know this address
// names the missing setting.
func TestConsentLeadsBack(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		w.start().tenant("kestrel")
		w.nodes[0].stop()
		for _, c := range []struct {
			name, addr string
			args       []string
			refused    bool
			back       string // empty: the address it listens on
		}{
			{"on this machine", "127.0.0.1:0", nil, false, ""},
			{"on every address", "0.0.0.0:0", []string{"--behind-proxy", "--trust-proxy", "10.0.0.5"}, true, ""},
			{"behind a proxy on this machine", "127.0.0.1:0", []string{"--behind-proxy", "--trust-proxy", "127.0.0.1"}, true, ""},
			{"behind a proxy with a name", "0.0.0.0:0", []string{"--behind-proxy", "--trust-proxy", "10.0.0.5", "--public-url", "https://interlock.example/"}, false, "https://interlock.example/"},
		} {
			n := w.launchAt(c.addr, c.args...)
			var line struct{ Addr string }
			if err := json.Unmarshal([]byte(n.await(n.log, `"msg":"Interlock is ready"`)), &line); err != nil {
				t.Fatal(err)
			}
			at := "http://" + line.Addr
			r, err := ask(t.Context(), at, w.owner.token, http.MethodPost, "/tenants/kestrel/connections/primary/consent", nil)
			if err != nil {
				t.Fatal(err)
			}
			var answer struct{ URL, Code, Next string }
			if err := json.Unmarshal(r.body, &answer); err != nil {
				t.Fatalf("%v in %s", err, r.body)
			}
			link, err := url.Parse(answer.URL)
			if err != nil {
				t.Fatal(err)
			}
			back := link.Query().Get("redirect_uri")
			switch {
			case c.refused:
				if r.status != http.StatusConflict || answer.Code != "address_missing" || !strings.Contains(answer.Next, "--public-url") {
					t.Errorf("%s: %d %s, want a refusal that names the setting", c.name, r.status, r.body)
				}
			case r.status != http.StatusOK || back != strings.TrimSuffix(cmp.Or(c.back, at), "/")+op.ConsentRoute:
				t.Errorf("%s: %d, leads back to %q, want %s", c.name, r.status, back, c.back)
			}
			n.stop()
		}
	})
}
