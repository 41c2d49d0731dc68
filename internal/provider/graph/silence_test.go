package graph

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// scripted answers what is asked of Graph, one answer after the other and the last
// one again and again; signing in always goes well.
type scripted struct {
	answers []timed
	calls   int
}

// timed is an answer that takes its time, or with an error none.
type timed struct {
	took   time.Duration
	status int
	body   string
	err    error
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	a := timed{status: http.StatusOK}
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		a.body = `{"authorization_endpoint":"https://login.example/d/authorize","token_endpoint":"https://login.example/d/token","issuer":"https://login.example/d/v2.0"}`
	case r.URL.Host == "login.example":
		a.body = `{"token_type":"Bearer","expires_in":86400,"access_token":"x.e30.x"}`
	default:
		a = s.answers[min(s.calls, len(s.answers)-1)]
		s.calls++
	}
	select {
	case <-time.After(a.took):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// TestSilence: a provider that gives no answer is told to have given none for as
// long as it was asked in vain, and not since the run began.
func TestSilence(t *testing.T) {
	t.Parallel()
	const second = time.Second
	reset := timed{took: 10 * second, err: errors.New("connection reset by peer")}
	good := timed{took: 30 * second, status: 200, body: `{}`}
	for _, c := range []struct {
		name    string
		answers []timed // a call has two attempts
		want    time.Duration
	}{
		{"never an answer", []timed{reset, reset}, 20 * second},
		{"none in time", []timed{good, {took: time.Hour}}, 2 * time.Minute},
		{"after an answer", []timed{good, reset}, 20 * second},
		{"after a refusal", []timed{reset, {status: 404, body: `{}`}, reset}, 20 * second},
		{"after it asked to slow down", []timed{{status: 429, body: `{}`}, reset}, 10 * second},
		{"after a fault", []timed{good, {took: 7 * second, status: 503, body: `{}`}, reset}, 10 * second},
		{"after no JSON", []timed{good, {took: 7 * second, status: 200, body: `<html>`}, reset}, 10 * second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := &scripted{answers: c.answers}
				client, err := New(Config{
					Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"},
					Directory: "d", ClientID: "c", Credential: tenancy.ClientSecret, Secret: vault.NewSecret("s"),
					HTTP: &http.Client{Transport: script}, Lanes: UnlimitedLanes(), MaxRetries: 1, MaxWait: time.Millisecond,
				})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour) // nobody asks, nobody is silent
				for script.calls < len(c.answers) {
					_, err = client.Get(t.Context(), "/v1.0/organization")
				}
				var pe *provider.Error
				if !errors.As(err, &pe) || pe.Reason != op.ProviderUnreachable || pe.Silence.Round(second) != c.want {
					t.Errorf("%+v, want %s of silence", pe, c.want)
				}
			})
		})
	}
}

// drip is a body of one byte a second that never ends.
type drip struct {
	ctx   context.Context
	began time.Time
	took  *[]time.Duration // of each body that its reader gave up
}

func (d *drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return copy(p[:1], " "), nil
	case <-d.ctx.Done():
		*d.took = append(*d.took, time.Since(d.began))
		return 0, d.ctx.Err()
	}
}

func (*drip) Close() error { return nil }

// TestDrip: an answer that comes byte by byte ends at the call's limit, which is for
// each try: all tries together take as many times as long. What is told is the
// silence, since not one answer was whole.
func TestDrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, tries = 15 * time.Second, 3
		var took []time.Duration
		script := &scripted{answers: []timed{{status: http.StatusOK}}}
		client, err := New(Config{
			Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"},
			Directory: "d", ClientID: "c", Credential: tenancy.ClientSecret, Secret: vault.NewSecret("s"),
			HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				resp, err := script.RoundTrip(r)
				if err == nil && r.URL.Host == "graph.example" {
					resp.Body = &drip{r.Context(), time.Now(), &took}
				}
				return resp, err
			})},
			Lanes: UnlimitedLanes(), MaxRetries: tries - 1, MaxWait: time.Millisecond,
			Before: func(context.Context) (time.Time, error) { return time.Now().Add(limit), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Get(t.Context(), "/v1.0/organization")
		var pe *provider.Error
		if !errors.As(err, &pe) || pe.Reason != op.ProviderUnreachable || pe.Note != "no answer in time" || pe.Silence.Round(time.Second) != tries*limit {
			t.Errorf("%+v, want that nothing came for %s", pe, tries*limit)
		}
		if len(took) != tries {
			t.Errorf("%d tries, want %d", len(took), tries)
		}
		for i, d := range took {
			if d != limit {
				t.Errorf("try %d took %s, want %s", i+1, d, limit)
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
