package api

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/apptest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/httpx"
)

// world is the API on the served world, without a worker: runs stay queued.
type world struct {
	*apptest.World
	t        *testing.T
	server   *server
	http     *httptest.Server
	log      *lockedBuffer
	document *served // that answers are checked against
}

// onBoth runs fn on both engines.
func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, newWorld(t, d, httpx.Budgets{}, access.Limits{})) })
}

// onOne returns a world on SQLite, where the engine makes no difference.
func onOne(t *testing.T) *world {
	t.Helper()
	return newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
}

func newWorld(t *testing.T, d *db.DB, budgets httpx.Budgets, signIn access.Limits) *world {
	t.Helper()
	log := &lockedBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	w := &world{World: apptest.New(t, d, logger), t: t, log: log}
	w.SignIn()
	w.server = newServer(Deps{Door: w.Door(signIn, "https://interlock.example"), Store: w.Store, Mirror: w.Mirror, Plans: w.Plans, Backups: w.Backups, Files: w.Files, Gate: w.Gate, Flow: w.Flow, Feed: w.Feed, Budgets: budgets})
	w.http = httptest.NewServer(httpx.Front{Logger: logger, Requests: budgets.Requests}.Wrap(w.server.mux))
	t.Cleanup(w.http.Close)
	w.document = readDocument(t, w.http)
	return w
}

// ready adds a tenant with one connection that is ready for every operation.
func (w *world) ready(slug string) (tenant, connection string) {
	w.t.Helper()
	return w.Ready(slug, nil)
}

// answer is an answer as received.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// ask sends a request. secret "" sends no credentials; body nil sends none.
func (w *world) ask(secret, method, path string, body any, header ...string) answer {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	if !strings.HasPrefix(path, "/healthz") && !strings.HasPrefix(path, "/readyz") && !strings.HasPrefix(path, "/api") && !strings.HasPrefix(path, "//") {
		path = Base + path
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{w.t, resp.StatusCode, resp.Header, text}
	w.document.check(w.t, method, path, a)
	return a
}

func (w *world) get(a access.Actor, path string) answer {
	w.t.Helper()
	return w.ask(w.Bearer(a), http.MethodGet, path, nil)
}

func (w *world) post(a access.Actor, path string, body any, header ...string) answer {
	w.t.Helper()
	return w.ask(w.Bearer(a), http.MethodPost, path, body, header...)
}

// start sends a start.
func (w *world) start(a access.Actor, tenant, key string, body any) answer {
	w.t.Helper()
	return w.post(a, "/tenants/"+tenant+"/starts", body, "Idempotency-Key", key)
}

// want fails the test unless the status is as expected, and decodes the body.
func (a answer) want(status int, into ...any) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status is %d, want %d: %s", a.status, status, a.body)
	}
	for _, v := range into {
		if err := json.Unmarshal(a.body, v); err != nil {
			a.t.Fatalf("%v in %s", err, a.body)
		}
	}
	return a
}

// problem fails the test unless the answer is the problem with that code.
func (a answer) problem(status int, code string) httpx.Problem {
	a.t.Helper()
	var p httpx.Problem
	a.want(status, &p)
	if p.Code != code {
		a.t.Fatalf("the problem is %q, want %q: %s", p.Code, code, a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("Content-Type is %q", ct)
	}
	return p
}

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// explain answers with err.
func explain(w http.ResponseWriter, err error) { httpx.Explain(err, "").Write(w) }
