package graph

import (
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// rewindable notes whether the transport could send the body of a request once more.
type rewindable struct {
	scripted
	seen map[string]bool // by method
}

func (r *rewindable) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "graph.example" {
		r.seen[req.Method] = req.GetBody != nil
	}
	return r.scripted.RoundTrip(req)
}

// net/http sends a request once more when an HTTP/2 peer answers with a protocol error
// and the body can be read again (source: shouldRetryRequest). A change must not be.
func TestTransportCantRepeatAChange(t *testing.T) {
	t.Parallel()
	transport := &rewindable{scripted: scripted{answers: []timed{{status: 201, body: `{}`}}}, seen: map[string]bool{}}
	c, err := New(Config{
		Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"}, Directory: "d", ClientID: "c",
		Credential: tenancy.ClientSecret, Secret: vault.NewSecret("secret"), HTTP: &http.Client{Transport: transport}, Lanes: UnlimitedLanes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		if _, err := c.Write(t.Context(), provider.Change{Method: method, Path: "/beta/things/1", Body: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		if again, sent := transport.seen[method]; again || !sent {
			t.Errorf("%s: sent %v, and the transport could send it again: %v", method, sent, again)
		}
	}
}
