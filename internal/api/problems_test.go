package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestSignInAndOut(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, httpx.Budgets{}, access.Limits{PerAddress: 3, Window: time.Hour})
		w.Join("Li", "li@lattice.example", "correct horse battery", tenancy.Operator)
		in := func(password string) answer {
			return w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "li@lattice.example", "password": password})
		}
		var s Session
		in("correct horse battery").want(http.StatusOK, &s)
		if s.Person.Email != "li@lattice.example" || s.Person.Workspace.Slug != "lattice" || s.Person.Role != tenancy.Operator || time.Until(s.ExpiresAt) < 6*24*time.Hour {
			t.Errorf("signed in as %+v", s)
		}
		var me Me
		w.ask(s.Token, http.MethodGet, "/me", nil).want(http.StatusOK, &me)
		if me.ID != s.Person.ID || len(me.Capabilities) != len(tenancy.Operator.Capabilities()) {
			t.Errorf("me is %+v", me)
		}
		w.ask(s.Token, http.MethodPost, "/sign-out", nil).want(http.StatusNoContent)
		w.ask(s.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")

		p := in("wrong").problem(http.StatusUnauthorized, "sign_in_refused")
		unknown := w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "nobody@lattice.example", "password": "wrong"}).problem(http.StatusUnauthorized, "sign_in_refused")
		if p.Detail != unknown.Detail || p.Title != unknown.Title {
			t.Errorf("a wrong password is told from an unknown account: %+v, %+v", p, unknown)
		}
		var last answer
		for range 4 {
			last = w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "nobody@lattice.example", "password": "wrong"})
		}
		last.problem(http.StatusTooManyRequests, "too_many_tries")
		if last.header.Get("Retry-After") == "" {
			t.Error("nobody says when to try again")
		}
	})
}

func TestTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		var made NewToken
		w.post(w.Operator, "/tokens", map[string]any{"name": "nightly", "ttl_seconds": 3600, "only": []string{"inventory.sync"}}).want(http.StatusCreated, &made)
		w.ask(made.Secret, http.MethodPost, "/tenants/kestrel/starts", map[string]any{"operation": "inventory.sync"}, "Idempotency-Key", "k").want(http.StatusAccepted)
		w.ask(made.Secret, http.MethodGet, "/runs", nil).problem(http.StatusForbidden, "forbidden")
		var list Page[access.Token]
		w.get(w.Operator, "/tokens").want(http.StatusOK, &list)
		if len(list.Items) != 2 || strings.Contains(fmt.Sprint(list), made.Secret) {
			t.Errorf("tokens are %+v", list)
		}
		one := "/tokens/" + made.Token.ID
		w.ask(w.Bearer(w.Second), http.MethodDelete, one, nil).problem(http.StatusNotFound, "not_found")
		w.ask(w.Bearer(w.Operator), http.MethodDelete, one, nil).want(http.StatusNoContent)
		w.ask(made.Secret, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
	})
}

// Who is nobody learns nothing, not even which addresses there are. Cookies are
// no way to sign in.
func TestSignedOut(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	for _, header := range [][]string{
		nil,
		{"Cookie", "session=" + w.Bearer(w.Owner)},
		{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("a:"+w.Bearer(w.Owner)))},
		{"Authorization", w.Bearer(w.Owner)},
		{"Authorization", "Bearer"},
	} {
		for _, path := range []string{"/me", "/tenants", "/tenants/nowhere", "/no/such/route", "/api", "/api/v2/me"} {
			a := w.ask("", http.MethodGet, path, nil, header...)
			a.problem(http.StatusUnauthorized, "signed_out")
			if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
				t.Errorf("%s: WWW-Authenticate is %q", path, got)
			}
		}
	}
	w.ask(w.Bearer(w.Owner), http.MethodGet, "/me?access_token=x", nil).problem(http.StatusUnprocessableEntity, "field")
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	secret := w.Bearer(w.Owner)
	for _, a := range []answer{
		w.ask(secret, http.MethodGet, "/me", nil),
		w.ask(secret, http.MethodGet, "/tenants/nowhere", nil),
		w.ask(secret, http.MethodGet, "/no/such/route", nil),
		w.ask(secret, http.MethodPut, "/me", nil),
		w.ask("", http.MethodGet, "/me", nil),
		w.ask("", http.MethodGet, "/openapi.json", nil),
		w.ask("", http.MethodGet, "/healthz", nil),
		w.ask("", http.MethodGet, "/readyz", nil),
	} {
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%d %.40s: %s is %q", a.status, a.body, name, got)
			}
		}
		if a.header.Get("X-Request-Id") == "" || a.header.Get("Set-Cookie") != "" || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d: headers are %v", a.status, a.header)
		}
	}
	w.ask("", http.MethodGet, "/healthz", nil).want(http.StatusOK)
	w.ask("", http.MethodGet, "/readyz", nil).want(http.StatusOK)
}

// TestDatabaseFaults: an answer that can't be given says so, names no cause that
// is none of the caller's business, and the same key finds out what became of it.
func TestDatabaseFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		sync := map[string]any{"operation": op.InventorySync}
		w.DB.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if p.Write {
				return db.Unavailable
			}
			return db.NoFault
		}))
		a := w.start(w.Operator, "kestrel", "k1", sync)
		p := a.problem(http.StatusServiceUnavailable, "unavailable")
		if a.header.Get("Retry-After") == "" || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") || strings.Contains(string(a.body), "injected") {
			t.Errorf("unavailable is %s with %v", a.body, a.header)
		}
		w.DB.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if p.Write && p.Op == db.OpCommit {
				return db.ExecuteAndTimeout
			}
			return db.NoFault
		}))
		p = w.start(w.Operator, "kestrel", "k2", sync).problem(http.StatusServiceUnavailable, "outcome_unknown")
		if !strings.Contains(p.Next, "same key") {
			t.Errorf("an unknown outcome says %q", p.Next)
		}
		w.DB.WithFaults(nil)
		var got op.Answer
		w.start(w.Operator, "kestrel", "k2", sync).want(http.StatusAccepted, &got)
		if !got.Replayed {
			t.Errorf("the same key is answered with %+v", got)
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 1 {
			t.Errorf("there are %d runs", n)
		}

		w.DB.WithFaults(db.NewFaults(func(db.Point) db.Fault { return db.Unavailable }))
		w.get(w.Operator, "/me").problem(http.StatusServiceUnavailable, "unavailable")
		w.ask("", http.MethodGet, "/readyz", nil).problem(http.StatusServiceUnavailable, "unavailable")
		w.ask("", http.MethodGet, "/healthz", nil).want(http.StatusOK)
		w.DB.WithFaults(nil)
		w.ask("", http.MethodGet, "/readyz", nil).want(http.StatusOK)
		if !strings.Contains(w.log.String(), "injected fault") {
			t.Error("the log does not say why")
		}
	})
}

// TestOneFailureIsLoggedOnce: a request that failed is one line at ERROR, with the
// cause and the id that the answer has, wherever on its way it failed.
func TestOneFailureIsLoggedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		sync := map[string]any{"operation": op.InventorySync}
		failed := func(a answer, cause string) {
			t.Helper()
			if a.status < http.StatusInternalServerError {
				t.Fatalf("did not fail: %d %s", a.status, a.body)
			}
			var lines []string
			for line := range strings.Lines(w.log.String()) {
				if strings.Contains(line, "level=ERROR") && strings.Contains(line, "request_id="+a.header.Get("X-Request-Id")) {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 || !strings.Contains(lines[0], cause) {
				t.Errorf("%d %s is logged as %q, want one line with %q", a.status, a.body, lines, cause)
			}
		}
		w.DB.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if p.Write {
				return db.Unavailable
			}
			return db.NoFault
		}))
		failed(w.start(w.Operator, "kestrel", "k1", sync), "injected fault") // in the handler
		w.DB.WithFaults(db.NewFaults(func(db.Point) db.Fault { return db.Unavailable }))
		failed(w.get(w.Operator, "/me"), "injected fault")                                // at the door
		failed(w.ask("", http.MethodGet, "/readyz", nil), "injected fault")               // beside the table of routes
		failed(w.get(w.Operator, "/no/such/route"), "injected fault")                     // beside it, at the door
		failed(w.ask(w.Bearer(w.Operator), http.MethodPut, "/me", nil), "injected fault") // of a method that is not there
		w.DB.WithFaults(nil)
		w.Exec(`ALTER TABLE runs RENAME TO elsewhere`) // a fault of ours
		failed(w.get(w.Operator, "/runs"), "runs")
		failed(w.get(w.Operator, "/runs/K7QM2X"), "runs")
	})
}

// TestConsentWithoutAnAddress: a server that does not know where browsers reach it
// can't ask for consent. It says so to members who may ask, and names the setting.
func TestConsentWithoutAnAddress(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		bare := *w
		bare.http = httptest.NewServer(httpx.Front{Logger: slog.New(slog.NewTextHandler(w.log, nil))}.
			Wrap(newServer(Deps{Door: w.Door(access.Limits{}, ""), Store: w.World.World.Store, Mirror: w.server.mirror, Gate: w.server.gate, Flow: w.server.flow}).mux))
		t.Cleanup(bare.http.Close)
		w = &bare
		const consent = "/tenants/kestrel/connections/kestrel/consent"
		p := w.post(w.Owner, consent, nil).problem(http.StatusConflict, "address_missing")
		if !strings.Contains(p.Next, "--public-url") || !strings.Contains(p.Detail, "Nothing was changed.") {
			t.Errorf("the refusal says %q, %q", p.Detail, p.Next)
		}
		w.post(w.Operator, consent, nil).problem(http.StatusForbidden, "forbidden")
		w.post(w.Outsider, consent, nil).problem(http.StatusNotFound, "not_found")
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action LIKE 'connection%'`) + w.Int(`SELECT COUNT(*) FROM consent_requests`); n != 0 {
			t.Errorf("%d records of what was refused", n)
		}
		if strings.Contains(w.log.String(), "level=ERROR") {
			t.Errorf("it is logged as a fault: %s", w.log)
		}
	})
}

func TestLimits(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{Starts: httpx.NewBudget(2)}, access.Limits{})
	w.ready("kestrel")
	sync := map[string]any{"operation": op.InventorySync}
	w.start(w.Operator, "kestrel", "k1", sync).want(http.StatusAccepted)
	w.start(w.Operator, "kestrel", "k2", sync).want(http.StatusOK)
	a := w.start(w.Operator, "kestrel", "k3", sync)
	p := a.problem(http.StatusTooManyRequests, "too_many_starts")
	if a.header.Get("Retry-After") == "" || !strings.Contains(p.Detail, "2 starts") {
		t.Errorf("the limit says %s", a.body)
	}
	w.start(w.Second, "kestrel", "k1", sync).want(http.StatusOK) // another person has a budget of their own

	w = newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{Requests: httpx.NewBudget(3)}, access.Limits{})
	var last answer
	for range 5 {
		last = w.get(w.Owner, "/me")
	}
	if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") == "" {
		t.Errorf("the fifth request is answered with %d", last.status)
	}
}

// TestSecretsAreNowhere puts a canary into every field that takes a secret, and
// looks for it, as it is and encoded, in every answer, in the log and in the
// database.
func TestSecretsAreNowhere(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		secret, password := "canary-"+access.NewID(), "canary-"+access.NewID()
		var shown []string
		keep := func(a answer) answer {
			shown = append(shown, string(a.body), fmt.Sprint(a.header))
			return a
		}
		one := "/tenants/kestrel/connections/kestrel"
		keep(w.post(w.Owner, one+"/credential", map[string]any{"secret": secret}).want(http.StatusOK))
		keep(w.post(w.Owner, one+"/credential", map[string]any{"secret": secret, "bogus": secret}).want(http.StatusUnprocessableEntity))
		keep(w.post(w.Owner, one+"/credential", map[string]any{"certificate": secret}).want(http.StatusUnprocessableEntity))
		keep(w.post(w.Owner, one+"/credential", `{"secret":"`+secret).want(http.StatusUnprocessableEntity))
		var invited NewInvitation
		w.post(w.Owner, "/invitations", map[string]any{"email": "c@lattice.example", "role": "viewer"}).want(http.StatusCreated, &invited)
		invitation := linkOf(t, invited.Link)
		keep(w.ask("", http.MethodPost, "/join", map[string]any{"link": invitation, "name": "C", "password": password, "role": password}).want(http.StatusUnprocessableEntity))
		keep(w.ask("", http.MethodPost, "/join", map[string]any{"link": invitation, "name": "C", "password": password}).want(http.StatusOK))
		keep(w.ask("", http.MethodPost, "/join", map[string]any{"link": invitation, "name": "C", "password": password}).want(http.StatusNotFound))
		var s Session
		w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "c@lattice.example", "password": password}).want(http.StatusOK, &s)
		keep(w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "c@lattice.example", "password": password + "x"}).want(http.StatusUnauthorized))
		var made NewToken
		w.ask(s.Token, http.MethodPost, "/tokens", map[string]any{"name": "t"}).want(http.StatusCreated, &made)
		for _, path := range []string{"/me", "/tokens", "/tenants", "/runs", "/attempts", "/notifications", "/tenants/kestrel/connections", one} {
			keep(w.ask(s.Token, http.MethodGet, path, nil).want(http.StatusOK))
		}
		for _, path := range []string{"/audit", "/members"} {
			keep(w.get(w.Owner, path).want(http.StatusOK))
		}
		w.Write(func(ctx context.Context, tx db.Tx) error {
			for _, column := range []string{
				"email || name || password_hash FROM users", "hash || name || only_caps FROM tokens", "sealed || fingerprint FROM credentials",
				"name || client_id FROM connections", "action || data || actor FROM audit_log", "subject FROM sign_in_budget",
			} {
				rows, err := tx.Query(ctx, `SELECT `+column)
				if err != nil {
					return err
				}
				for rows.Next() {
					var text string
					if err := rows.Scan(&text); err != nil {
						return err
					}
					shown = append(shown, text)
				}
				if err := rows.Err(); err != nil {
					return err
				}
			}
			return nil
		})
		shown = append(shown, w.log.String())
		for _, canary := range []string{secret, password, s.Token, made.Secret} {
			for encoding, text := range encodings(canary) {
				for _, where := range shown {
					if strings.Contains(where, text) {
						t.Errorf("a secret (%s) is shown: %.200s", encoding, where)
					}
				}
			}
		}
	})
}

func encodings(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	var wide strings.Builder
	for _, c := range []byte(s) {
		wide.WriteByte(c)
		wide.WriteByte(0)
	}
	return map[string]string{
		"raw": s, "base64": base64.StdEncoding.EncodeToString([]byte(s)), "base64 url": base64.RawURLEncoding.EncodeToString([]byte(s)),
		"hex": hex.EncodeToString([]byte(s)), "url": url.QueryEscape(s), "json": strings.Trim(string(quoted), `"`), "utf-16": wide.String(),
	}
}

// Names that people and providers choose may hold anything: they stay text.
func TestHostileText(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant := w.Tenant(w.Workspace, "kestrel", "Kestrel\nFAKE log line</script>\u202e")
		w.Connection(w.Workspace, tenant, "kestrel", nil)
		run := w.accepted(w.Operator, "kestrel", op.InventorySync)
		a := w.ask(w.Bearer(w.Operator), http.MethodGet, "/runs/"+run.ID, nil, "X-Request-Id", "evil id; level=ERROR")
		var got op.Run
		a.want(http.StatusOK, &got)
		if got.Tenant.Name != "Kestrel\nFAKE log line</script>\u202e" {
			t.Errorf("the name is %q", got.Tenant.Name)
		}
		if strings.ContainsAny(got.Words.Title+got.Words.Why, "\n\u202e") {
			t.Errorf("a sentence holds what could be read as another: %+v", got.Words)
		}
		w.ask(w.Bearer(w.Operator), http.MethodGet, "/runs/"+url.PathEscape("x\nlevel=ERROR msg=forged"), nil).want(http.StatusNotFound)
		for line := range strings.SplitSeq(w.log.String(), "\n") {
			if strings.HasPrefix(line, "level=ERROR") || strings.HasPrefix(line, "FAKE") {
				t.Errorf("the log has a line of a caller's: %s", line)
			}
		}
	})
}

// The framework's words become the end of a sentence that begins with the field.
func TestWordsOfTheFramework(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	for query, want := range map[string]string{
		"/runs?limit=0":         "limit must be at least 1.",
		"/runs?limit=999":       "limit must be at most 200.",
		"/runs?limit=x":         "limit must be a whole number.",
		"/runs?active=perhaps":  "active must be true or false.",
		"/runs?since=yesterday": "since must be a time, such as 2026-11-23T14:02:31Z.",
		"/runs?state=gone":      "state must be one of queued, running, cancelling, finished.",
		"/runs?colour=red":      "colour is not known here.",
	} {
		if p := w.get(w.Viewer, query).problem(http.StatusUnprocessableEntity, "field"); !strings.HasPrefix(p.Detail, want) {
			t.Errorf("%s: %s", query, p.Detail)
		}
	}
	w.ready("kestrel")
	for body, want := range map[string]string{
		`{"operation":5}`: "operation must be text.",
		`{}`:              "operation is missing.",
		`[]`:              "body must be an object.",
		`{`:               "body is cut off: the JSON is not complete.",
		``:                "body is missing.",
	} {
		if p := w.start(w.Operator, "kestrel", "k", body).problem(http.StatusUnprocessableEntity, "field"); !strings.HasPrefix(p.Detail, want) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
}
