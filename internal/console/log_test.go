package console_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
)

// buffer is a log that several requests write to.
type buffer struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// TestErrorsOfCallersAreNoFaults: what a caller did wrong is no error in the log, so that a
// stranger can't fill it.
func TestErrorsOfCallersAreNoFaults(t *testing.T) {
	log := new(buffer)
	w := consoletest.OnOne(t, console.Deps{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))})
	w.Ready("kestrel", nil)
	const start = "/w/lattice/tenants/kestrel/start/inventory.sync"
	jonas := w.Browser(w.Operator)
	for _, request := range []struct {
		what   string
		answer consoletest.Answer
		status int
	}{
		{"a form of another site", w.Stranger().Send(http.MethodPost, "/sign-in", url.Values{"email": {"x"}}, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"a start without a session", w.Stranger().Send(http.MethodPost, start, url.Values{}), http.StatusUnauthorized},
		{"a form without a key", jonas.Send(http.MethodPost, start, url.Values{}), http.StatusUnprocessableEntity},
		{"a cursor of nowhere", jonas.Get("/w/lattice/operations?cursor=zzz"), http.StatusBadRequest},
		{"a page that is not there", jonas.Get("/w/lattice/tenants/nobody"), http.StatusNotFound},
	} {
		if request.answer.Status != request.status {
			t.Errorf("%s: %d, want %d", request.what, request.answer.Status, request.status)
		}
	}
	if said := log.String(); said != "" {
		t.Errorf("the log has errors:\n%s", said)
	}
	w.Exec(`ALTER TABLE start_attempts RENAME TO gone`)
	if a := jonas.Get("/w/lattice/operations/attempts"); a.Status != http.StatusInternalServerError || log.String() == "" {
		t.Errorf("a fault of ours: %d, and the log says %q", a.Status, log.String())
	}
}
