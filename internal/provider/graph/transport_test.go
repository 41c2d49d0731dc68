package graph

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

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

// late reads the body of a change some time after it was asked to send it, as in a process
// that stood still, and notes what it read.
type late struct {
	scripted
	after time.Duration
	read  []byte
	err   error
}

func (l *late) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "graph.example" {
		time.Sleep(l.after)
		if l.read, l.err = io.ReadAll(req.Body); l.err != nil {
			return nil, l.err
		}
	}
	return l.scripted.RoundTrip(req)
}

// A change is not sent once the deadline has passed that Config.Before gave.
func TestLateChangeIsNotSent(t *testing.T) {
	t.Parallel()
	for after, sent := range map[time.Duration]string{0: `{"a":1}`, 11 * time.Second: ""} {
		synctest.Test(t, func(t *testing.T) {
			transport := &late{scripted: scripted{answers: []timed{{status: 201, body: `{}`}}}, after: after}
			c, err := New(Config{
				Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"}, Directory: "d", ClientID: "c",
				Credential: tenancy.ClientSecret, Secret: vault.NewSecret("secret"), HTTP: &http.Client{Transport: transport}, Lanes: UnlimitedLanes(),
				Before: func(context.Context) (time.Time, error) { return time.Now().Add(10 * time.Second), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Write(t.Context(), provider.Change{Method: http.MethodPost, Path: "/beta/things", Body: []byte(`{"a":1}`)})
			if (err == nil) != (sent != "") || string(transport.read) != sent || sent == "" && !errors.Is(transport.err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v; the transport read %q, %v", after, err, transport.read, transport.err)
			}
		})
	}
}
