package graph_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

const things = "/beta/deviceManagement/configurationPolicies"

// post is a change whose repeat is doubtful.
var post = provider.Change{Method: http.MethodPost, Path: things, Body: []byte("{\"name\" : \"A\\u00e9\",\n \"n\":1.50}")}

// script answers changes, one step after the other and the last one again and again,
// and counts them.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	got   []string // method, path and body
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	step := s.steps[min(len(s.got), len(s.steps)-1)]
	s.got = append(s.got, r.Method+" "+r.RequestURI+" "+string(body))
	s.mu.Unlock()
	step(w, r)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// answer is a step that answers with a status and a body.
func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cutInside breaks off in the middle of an answer.
func cutInside(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"id":`)
		panic(http.ErrAbortHandler)
	}
}

func never(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// What an answer leaves open is doubtful and not sent again; what it refuses is not
// doubtful, and tried again only where trying again may help.
func TestWriteIsSentOnceWhenInDoubt(t *testing.T) {
	t.Parallel()
	const no = `{"error":{"code":"BadRequest","message":"no"}}`
	for _, c := range []struct {
		name     string
		steps    []http.HandlerFunc
		calls    int
		doubtful bool
		reason   op.Reason // empty: it was made
	}{
		{"made", []http.HandlerFunc{answer(201, `{"id":"1"}`)}, 1, false, ""},
		{"made, without a body", []http.HandlerFunc{answer(204, "")}, 1, false, ""},
		{"taken on", []http.HandlerFunc{answer(202, "")}, 1, false, ""},
		{"400", []http.HandlerFunc{answer(400, no)}, 1, false, op.ProviderRejected},
		{"403", []http.HandlerFunc{answer(403, no)}, 1, false, op.PermissionMissing},
		{"404", []http.HandlerFunc{answer(404, no)}, 1, false, op.ProviderRejected},
		{"409", []http.HandlerFunc{answer(409, no)}, 1, false, op.ProviderRejected},
		{"429, then made", []http.HandlerFunc{answer(429, no, "Retry-After", "0.01"), answer(201, `{}`)}, 2, false, ""},
		{"429, without an end", []http.HandlerFunc{answer(429, no)}, 4, false, op.ProviderThrottled},
		{"429, then in doubt", []http.HandlerFunc{answer(429, no), answer(500, no), answer(201, `{}`)}, 2, true, op.ProviderFault},
		{"401, then made with a new token", []http.HandlerFunc{answer(401, no), answer(201, `{}`)}, 2, false, ""},
		{"408", []http.HandlerFunc{answer(408, no)}, 1, true, op.ProviderFault},
		{"500", []http.HandlerFunc{answer(500, no)}, 1, true, op.ProviderFault},
		{"502 with a page", []http.HandlerFunc{answer(502, "<html>Bad Gateway</html>")}, 1, true, op.ProviderFault},
		{"503 that asks to wait", []http.HandlerFunc{answer(503, no, "Retry-After", "0.01")}, 1, true, op.ProviderThrottled},
		{"504", []http.HandlerFunc{answer(504, "")}, 1, true, op.ProviderFault},
		{"an error in a 200", []http.HandlerFunc{answer(200, no)}, 1, true, op.ProviderRejected},
		{"a page in a 200", []http.HandlerFunc{answer(200, "<html>")}, 1, true, op.ProviderFault},
		{"a redirect", []http.HandlerFunc{answer(307, "", "Location", "https://elsewhere.example/")}, 1, true, op.ProviderRejected},
		{"the connection is lost", []http.HandlerFunc{cut}, 1, true, op.ProviderUnreachable},
		{"the connection is lost inside a success", []http.HandlerFunc{cutInside(201)}, 1, true, op.ProviderUnreachable},
		{"no answer in time", []http.HandlerFunc{never}, 1, true, op.ProviderUnreachable},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(c.name+", "+proto, func(t *testing.T) {
				t.Parallel()
				s := &script{steps: c.steps}
				cfg := serverOf(t, proto == "HTTP/2", app, s.ServeHTTP)
				if c.name == "no answer in time" {
					cfg.CallTimeout = 2 * time.Second
				}
				w := client(t, cfg)
				if _, err := w.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				a, err := w.Write(t.Context(), post)
				if got := provider.Doubtful(err); got != c.doubtful || s.count() != c.calls {
					t.Errorf("sent %d times, doubtful %v; want %d, %v: %v", s.count(), got, c.calls, c.doubtful, err)
				}
				if c.reason == "" {
					if err != nil || a.Status < 200 || a.ClientID == "" {
						t.Errorf("%+v, %v", a, err)
					}
				} else if pe := refusal(t, err); pe.Reason != c.reason {
					t.Errorf("told as %+v, want %s", pe, c.reason)
				}
				if want := "POST " + things + " " + string(post.Body); s.got[0] != want {
					t.Errorf("sent as %q, want %q", s.got[0], want)
				}
			})
		}
	}
}

// A change whose repeat is safe is tried again as a read is. When no try of it was
// answered well, or a later one is refused, it stays in doubt.
func TestSafeWriteIsTriedAgain(t *testing.T) {
	t.Parallel()
	put := provider.Change{Method: http.MethodPut, Path: things + "/1", Body: []byte(`{}`), Repeat: provider.RepeatSafe}
	for _, c := range []struct {
		name     string
		steps    []http.HandlerFunc
		calls    int
		doubtful bool
		ok       bool
	}{
		{"made at the second try", []http.HandlerFunc{cut, answer(204, "")}, 2, false, true},
		{"never answered", []http.HandlerFunc{answer(503, "")}, 4, true, false},
		{"refused after a doubt", []http.HandlerFunc{answer(500, ""), answer(404, `{"error":{"code":"NotFound","message":"gone"}}`)}, 2, true, false},
		{"refused", []http.HandlerFunc{answer(404, `{"error":{"code":"NotFound","message":"gone"}}`)}, 1, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &script{steps: c.steps}
			_, err := client(t, server(t, s.ServeHTTP)).Write(t.Context(), put)
			if (err == nil) != c.ok || provider.Doubtful(err) != c.doubtful || s.count() != c.calls {
				t.Errorf("sent %d times, want %d; doubtful %v, want %v: %v", s.count(), c.calls, provider.Doubtful(err), c.doubtful, err)
			}
		})
	}
}

// What never left is not in doubt: nobody listens, the run may not call any more, or
// the provider has closed the lane for longer than a call waits.
func TestWriteThatWasNotSent(t *testing.T) {
	t.Parallel()
	s := &script{steps: []http.HandlerFunc{answer(429, "", "Retry-After", "900"), answer(201, "{}")}}
	cfg := server(t, s.ServeHTTP)
	w := client(t, cfg)
	for range 2 { // the answer, then the closed lane
		_, err := w.Write(t.Context(), post)
		if pe := refusal(t, err); pe.Doubtful || !pe.Temporary || pe.Reason != op.ProviderThrottled || pe.RetryAfter < 890*time.Second {
			t.Errorf("a long wait is told as %+v", pe)
		}
	}
	if s.count() != 1 {
		t.Errorf("%d changes were sent, want 1", s.count())
	}
	if _, err := w.Get(t.Context(), things); err != nil { // reads have a lane of their own
		t.Errorf("a read after it: %v", err)
	}

	gone := errors.New("the run is no longer ours")
	cfg.Before = func(context.Context) (time.Time, error) { return time.Time{}, gone }
	if _, err := client(t, cfg).Write(t.Context(), post); !errors.Is(err, gone) || provider.Doubtful(err) {
		t.Errorf("without a lease: %v", err)
	}

	calls := s.count()
	srv := httptest.NewTLSServer(nil)
	nobody := srv.URL
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}) // of every server here
	srv.Close()
	cfg = server(t, s.ServeHTTP)
	cfg.Endpoints.Graph = nobody
	cfg.HTTP = transport(t, cfg.Endpoints, ca, limitsAsTheyAre)
	_, err := client(t, cfg).Write(t.Context(), post)
	if pe := refusal(t, err); pe.Doubtful || pe.Reason != op.ProviderUnreachable || s.count() != calls {
		t.Errorf("nobody listens: told as %+v", pe)
	}
}

// A change whose sign-in failed was not sent, whatever the sign-in service did with the
// request for a token.
func TestWriteWithoutSignIn(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]graphsim.Action{
		"a fault":          {Kind: graphsim.ActError, Status: http.StatusInternalServerError},
		"a cut connection": {Kind: graphsim.ActReset},
	} {
		sim, control := simulator(t, asIs)
		if _, err := control.AddFault(t.Context(), graphsim.Fault{Path: "/*/oauth2/v2.0/token", Action: action}); err != nil {
			t.Fatal(err)
		}
		_, err := client(t, config(t, sim)).Write(t.Context(), post)
		if pe := refusal(t, err); pe.Doubtful || !pe.Temporary {
			t.Errorf("%s: %+v", name, pe)
		}
	}
}

// A run that is stopped while a change is under way learns that it is in doubt, and
// still why it was stopped.
func TestWriteThatIsCutOff(t *testing.T) {
	t.Parallel()
	lost := errors.New("the run is no longer ours")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &script{steps: []http.HandlerFunc{func(_ http.ResponseWriter, r *http.Request) { cancel(lost); <-r.Context().Done() }}}
	_, err := client(t, server(t, s.ServeHTTP)).Write(ctx, post)
	if !provider.Doubtful(err) || !errors.Is(err, lost) || s.count() != 1 {
		t.Errorf("sent %d times: %v", s.count(), err)
	}
}

// A change that can't be one is refused before anything is called.
func TestWriteRefusesWhatIsNoChange(t *testing.T) {
	t.Parallel()
	s := &script{steps: []http.HandlerFunc{answer(201, "{}")}}
	cfg := server(t, s.ServeHTTP)
	w := client(t, cfg)
	for name, change := range map[string]provider.Change{
		"method":   {Method: http.MethodGet, Path: things},
		"header":   {Method: http.MethodPost, Path: things, Header: map[string]string{"authorization": "Bearer x"}},
		"path":     {Method: http.MethodPost, Path: cfg.Endpoints.Graph + things},
		"provider": {Method: http.MethodPost, Path: "/v2.0/groups"},
	} {
		if _, err := w.Write(t.Context(), change); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.count() != 0 {
		t.Errorf("%d calls", s.count())
	}
	change := post
	change.Header = map[string]string{"Prefer": "return=minimal"}
	var prefer string
	s.steps = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { prefer = r.Header.Get("Prefer"); fmt.Fprint(w, "{}") }}
	if _, err := w.Write(t.Context(), change); err != nil || prefer != "return=minimal" {
		t.Errorf("header %q, %v", prefer, err)
	}
}

// Against the simulator: what is sent arrives byte for byte, and what is in doubt is
// made once, whether the provider had made it or not.
func TestWriteToTheSimulator(t *testing.T) {
	t.Parallel()
	const filters = "/beta/deviceManagement/assignmentFilters"
	sim, control := simulator(t, func(spec *graphsim.TenantSpec) {
		spec.Apps[0].Requested = append(spec.Apps[0].Requested, "DeviceManagementConfiguration.ReadWrite.All")
	})
	w := client(t, config(t, sim))
	named := func(name string) (ids []string) {
		t.Helper()
		for page, err := range provider.Walk(t.Context(), w, filters) {
			if err != nil {
				t.Fatal(err)
			}
			for _, raw := range page.Items {
				var f struct{ ID, DisplayName string }
				if err := json.Unmarshal(raw, &f); err != nil {
					t.Fatal(err)
				}
				if f.DisplayName == name {
					ids = append(ids, f.ID)
				}
			}
		}
		return ids
	}
	create := func(name string) provider.Change {
		return provider.Change{Method: http.MethodPost, Path: filters, Body: []byte(`{"displayName":"` + name + `","platform":"windows10AndLater","rule":"(device.model -eq \"A\u00e9 1.50\")"}`)}
	}
	a, err := w.Write(t.Context(), create("plain"))
	if err != nil || a.Status != 201 || !strings.Contains(string(a.Body), `"rule":"(device.model -eq \"A\u00e9 1.50\")"`) || a.RequestID == "" {
		t.Fatalf("%+v %s, %v", a, a.Body, err)
	}
	for _, f := range []struct {
		fault graphsim.ActionKind
		made  int
	}{{graphsim.ActDrop, 1}, {graphsim.ActReset, 0}, {graphsim.ActError, 0}, {graphsim.ActTruncate, 1}} {
		if _, err := control.AddFault(t.Context(), graphsim.Fault{Method: http.MethodPost, Path: filters, Times: 1, Action: graphsim.Action{Kind: f.fault}}); err != nil {
			t.Fatal(err)
		}
		name := string(f.fault)
		_, err := w.Write(t.Context(), create(name))
		if ids := named(name); !provider.Doubtful(err) || len(ids) != f.made {
			t.Errorf("%s: %d were made, want %d, and doubt: %v", f.fault, len(ids), f.made, err)
		}
	}
	if _, err := control.AddFault(t.Context(), graphsim.Fault{Method: http.MethodPost, Path: filters, Times: 1, Action: graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "900"}}); err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(t.Context(), create("throttled"))
	if pe := refusal(t, err); pe.Doubtful || pe.RetryAfter != 15*time.Minute || len(named("throttled")) != 0 {
		t.Errorf("throttled: told as %+v", pe)
	}

	w = client(t, config(t, sim)) // with lanes that nobody has closed
	path := filters + "/" + named("plain")[0]
	if a, err := w.Write(t.Context(), provider.Change{Method: http.MethodPatch, Path: path, Body: []byte(`{"displayName":"other"}`), Repeat: provider.RepeatSafe}); err != nil || a.Status != 200 || len(named("other")) != 1 {
		t.Errorf("a change: %+v, %v", a, err)
	}
	if a, err := w.Write(t.Context(), provider.Change{Method: http.MethodDelete, Path: path}); err != nil || a.Status != 204 || len(named("other")) != 0 {
		t.Errorf("a removal: %+v, %v", a, err)
	}
	_, err = w.Write(t.Context(), provider.Change{Method: http.MethodDelete, Path: path})
	if pe := refusal(t, err); pe.Doubtful || pe.Status != 404 {
		t.Errorf("a removal of nothing: told as %+v", pe)
	}
}
