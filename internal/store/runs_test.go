package store_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		kestrel, second := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "kestrel", "second")
		marlow, harbour := w.connection(w.mei, "marlow", "third"), w.connection(w.olga, "harbour", "fourth")
		now := time.Now()
		ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }

		byName := map[string]string{} // run id -> name
		run := func(name string, c tenancy.Connection, edit func(*op.Run)) op.Run {
			r := w.run(c, edit)
			byName[r.ID] = name
			return r
		}
		old := run("old", kestrel, func(r *op.Run) { r.AcceptedAt = now.Add(-100 * time.Hour) })
		run("failed", kestrel, func(r *op.Run) { r.Outcome, r.Operation = op.RunFailed, op.DirectoryGroupsSync })
		run("partial", marlow, func(r *op.Run) { r.Outcome = op.RunPartial; r.Initiator = w.ana.Person() })
		run("lost", marlow, func(r *op.Run) { r.Outcome = op.RunLost })
		run("blocked", second, func(r *op.Run) { r.Outcome = op.RunBlocked })
		stalled := run("stalled", kestrel, func(r *op.Run) {
			r.State, r.Outcome, r.BeganAt, r.ProgressAt = op.Running, "", ago(time.Hour), ago(10*time.Minute)
		})
		run("waiting", second, func(r *op.Run) {
			later := now.Add(time.Hour)
			r.State, r.Outcome, r.BeganAt, r.ProgressAt, r.WaitingUntil = op.Running, "", ago(time.Hour), ago(10*time.Minute), &later
		})
		queued := run("queued", marlow, func(r *op.Run) { r.State, r.Outcome = op.Queued, "" })
		foreign := run("foreign", harbour, func(r *op.Run) { r.State, r.Outcome, r.Initiator = op.Queued, "", w.olga.Person() })

		all, ana := w.scope(w.mei), w.scope(w.ana)
		for _, tt := range []struct {
			name  string
			scope access.Scope
			f     store.RunFilter
			want  string
		}{
			{"all", all, store.RunFilter{}, "queued waiting stalled blocked lost partial failed old"},
			{"of a member of one tenant", ana, store.RunFilter{}, "waiting stalled blocked failed old"},
			{"of another workspace", w.scope(w.olga), store.RunFilter{}, "foreign"},
			{"nobody's", access.Scope{}, store.RunFilter{}, ""},
			{"of one tenant", w.access(w.mei, "marlow").Scope, store.RunFilter{}, "queued lost partial"},
			{"tenant by slug", all, store.RunFilter{Tenant: "marlow"}, "queued lost partial"},
			{"tenant by id", all, store.RunFilter{Tenant: w.marlow}, "queued lost partial"},
			{"foreign tenant", all, store.RunFilter{Tenant: w.harbour}, ""},
			{"foreign tenant by slug", all, store.RunFilter{Tenant: "harbour"}, ""},
			{"no tenant", all, store.RunFilter{Tenant: "a b"}, ""},
			{"hidden tenant", ana, store.RunFilter{Tenant: "marlow"}, ""},
			{"connection by id", all, store.RunFilter{Connection: second.ID}, "waiting blocked"},
			{"connection by slug", all, store.RunFilter{Tenant: "kestrel", Connection: "second"}, "waiting blocked"},
			{"connection of another tenant", all, store.RunFilter{Tenant: "marlow", Connection: "second"}, ""},
			{"foreign connection", all, store.RunFilter{Connection: harbour.ID}, ""},
			{"operation", all, store.RunFilter{Operation: op.DirectoryGroupsSync}, "failed"},
			{"state", all, store.RunFilter{State: op.Running}, "waiting stalled"},
			{"outcome", all, store.RunFilter{Outcome: op.RunLost}, "lost"},
			{"state and outcome", all, store.RunFilter{State: op.Queued, Outcome: op.RunLost}, ""},
			{"initiator", all, store.RunFilter{Initiator: w.ana.ID()}, "partial"},
			{"mine", all, store.RunFilter{Initiator: "me", State: op.Queued}, "queued"},
			{"active", all, store.RunFilter{Active: true}, "queued waiting stalled"},
			{"active of a tenant", all, store.RunFilter{Active: true, Tenant: "kestrel"}, "waiting stalled"},
			{"attention", all, store.RunFilter{Attention: true}, "stalled blocked lost partial failed"},
			{"active that need attention", all, store.RunFilter{Active: true, Attention: true}, "stalled"},
			{"attention to a member of one tenant", ana, store.RunFilter{Attention: true}, "stalled blocked failed"},
			{"since", all, store.RunFilter{Since: now.Add(-time.Hour), Tenant: "kestrel"}, "waiting stalled blocked failed"},
			{"until", all, store.RunFilter{Until: now.Add(-time.Hour)}, "old"},
			{"bad words", all, store.RunFilter{State: "'; --", Operation: "x"}, ""},
		} {
			want := strings.Fields(tt.want)
			for _, limit := range []int{0, 1, 2, 3} {
				f, got := tt.f, []string(nil)
				f.Limit = limit
				for {
					runs, next, err := w.Runs(ctx, tt.scope, f)
					if err != nil {
						t.Fatalf("%s: %v", tt.name, err)
					}
					for _, r := range runs {
						got = append(got, byName[r.ID])
					}
					if f.Cursor = next; next == "" {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %d: %q, want %q", tt.name, limit, got, want)
				}
			}
		}

		for _, tt := range []struct {
			ref   string
			scope access.Scope
			want  error
		}{
			{stalled.Code, all, nil},
			{strings.ToLower(stalled.Code), all, nil},
			{stalled.ID, all, nil},
			{strings.ToUpper(stalled.ID), ana, nil},
			{queued.Code, ana, op.ErrNotFound},
			{foreign.ID, all, op.ErrNotFound},
			{foreign.Code, all, op.ErrNotFound},
			{access.NewID(), all, op.ErrNotFound},
			{"ZZZZZZ", all, op.ErrNotFound},
			{"", all, op.ErrNotFound},
			{"\x00", all, op.ErrNotFound},
			{"%%%%%%", all, op.ErrNotFound},
			{stalled.ID, access.Scope{}, op.ErrNotFound},
			{stalled.ID, access.ForRun(w.mei.WorkspaceID(), w.kestrel), nil},
		} {
			r, err := w.Run(ctx, tt.scope, tt.ref)
			wantErr(t, err, tt.want)
			if err == nil && (r.ID != stalled.ID || !r.Stalled || r.Workspace != "lattice" || r.Tenant.Slug != "kestrel" || r.Target.Short != "first") {
				t.Errorf("%q: %+v", tt.ref, r)
			}
		}
		if r, err := w.Run(ctx, all, old.ID); err != nil || r.Stalled || !r.AcceptedAt.Equal(old.AcceptedAt.Truncate(time.Microsecond)) {
			t.Errorf("%+v, %v", r, err)
		}
		w.exec(`UPDATE run_claims SET lease_until = 1 WHERE run_id = $1`, stalled.ID)
		if r, err := w.Run(ctx, all, stalled.ID); err != nil || r.Stalled {
			t.Error("a run whose worker is dead is not stalled, it is lost soon", err)
		}

		_, _, err := w.Runs(ctx, all, store.RunFilter{Connection: "second"})
		wantField(t, err, "connection")
		_, _, err = w.Runs(ctx, all, store.RunFilter{Limit: -1})
		wantField(t, err, "limit")
		_, _, err = w.Runs(ctx, all, store.RunFilter{Cursor: "x"})
		wantErr(t, err, op.ErrBadCursor)
	})
}

func TestPagesStayInPlaceWhileRowsCome(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		var want, got []string
		for range 7 {
			want = append(want, w.run(c, nil).ID)
		}
		slices.Reverse(want)
		f := store.RunFilter{Limit: 2}
		for {
			runs, next, err := w.Runs(ctx, w.scope(w.mei), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				got = append(got, r.ID)
			}
			if f.Cursor = next; next == "" {
				break
			}
			w.run(c, nil) // a newer one belongs before the first page
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestRunDetails(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		r := w.run(c, func(r *op.Run) { r.Outcome = op.RunCancelled })
		w.exec(`UPDATE runs SET cause = $2, cancel_by = 'Mei', cancel_note = 'why', began_at = 5, waiting_for = 'provider_throttled' WHERE id = $1`,
			r.ID, `{"code":"time_limit","phase":"execution","args":{"limit":"1 hour"}}`)
		got, err := w.Run(ctx, w.scope(w.vic), r.Code)
		if err != nil || got.Cause == nil || got.Cause.Code != op.TimeLimit || got.Cause.Args["limit"] != "1 hour" ||
			got.Ended == nil || *got.Ended != (op.Ending{By: "Mei", Note: "why", Begun: true}) || got.WaitingFor != op.ProviderThrottled {
			t.Errorf("%+v, %v", got, err)
		}

		for i := range 5 {
			w.exec(`INSERT INTO run_items (run_id, key, seq, name, result, done, failed, total, reason, args, at)
				VALUES ($1, $2, $3, 'Item', 'failed', 1, 2, 3, 'item_refused', '{"provider_message":"no"}', 7)`, r.ID, string(rune('a'+i)), int64(i+1))
			w.exec(`INSERT INTO run_events (run_id, seq, at, kind, text, fence) VALUES ($1, $2, 7, 'step', 'Reading', 1)`, r.ID, int64(i+1))
		}
		items, next, err := w.Items(ctx, w.scope(w.vic), r.Code, "", 3)
		if err != nil || len(items) != 3 || next == "" || items[0].Args["provider_message"] != "no" || items[0].Counts != (op.Counts{Done: 1, Failed: 2, Total: 3}) {
			t.Fatalf("%+v, %q, %v", items, next, err)
		}
		if items, next, err = w.Items(ctx, w.scope(w.vic), r.Code, next, 3); err != nil || len(items) != 2 || next != "" || items[1].Key != "e" {
			t.Errorf("%+v, %q, %v", items, next, err)
		}
		_, _, err = w.Items(ctx, w.scope(w.vic), r.Code, "bad", 3)
		wantErr(t, err, op.ErrBadCursor)
		_, _, err = w.Items(ctx, w.scope(w.olga), r.ID, "", 3)
		wantErr(t, err, op.ErrNotFound)
		if events, err := w.Events(ctx, w.scope(w.vic), r.ID, 3, 0); err != nil || len(events) != 2 || events[0].Seq != 4 {
			t.Errorf("%+v, %v", events, err)
		}
		_, err = w.Events(ctx, w.scope(w.olga), r.ID, 0, 0)
		wantErr(t, err, op.ErrNotFound)
		_, err = w.JoinedAttempts(ctx, w.scope(w.olga), r.ID)
		wantErr(t, err, op.ErrNotFound)
	})
}

// press writes an attempt as the gate would.
func (w *world) press(c tenancy.Connection, actor access.Actor, outcome op.Outcome, causes []op.Cause, run, holder *op.RunRef) string {
	w.t.Helper()
	id := access.NewID()
	list, _ := json.Marshal(causes)
	target, _ := json.Marshal(store.TargetOf(c))
	seen := ""
	var runID, holderID *string
	if run != nil {
		b, _ := json.Marshal(run)
		seen, runID = string(b), &run.ID
	}
	if holder != nil {
		b, _ := json.Marshal(holder)
		seen, holderID = string(b), &holder.ID
	}
	reason := ""
	if len(causes) > 0 {
		reason = string(causes[0].Code)
	}
	w.exec(`INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface, outcome, reason, causes,
		run_id, holder_id, seen, fingerprint, parameters, target, facts, idem_key, request_id, at, last_at)
		VALUES ($1, $2, $3, $4, 'inventory.sync', $5, $6, 'api', $7, $8, $9, $10, $11, $12, 'f', '{}', $13, '{}', '', 'req-1', 5, 6)`,
		id, c.WorkspaceID, c.TenantID, c.ID, actor.ID(), actor.Name(), string(outcome), reason, string(list), runID, holderID, seen, string(target))
	return id
}

func TestAttempts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		kestrel, marlow, harbour := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "marlow", "second"), w.connection(w.olga, "harbour", "third")
		run := w.run(kestrel, func(r *op.Run) { r.State, r.Outcome = op.Running, "" })
		ref := store.RefOf(run)
		busy := []op.Cause{{Code: op.OtherOperationActive, Phase: op.Admission}}
		accepted := w.press(kestrel, w.mei, op.Accepted, nil, &ref, nil)
		deduped := w.press(kestrel, w.ana, op.Deduped, nil, &ref, nil)
		inTheWay := w.press(kestrel, w.ana, op.ScopeBusy, busy, nil, &ref)
		hidden := w.press(kestrel, w.ana, op.ScopeBusy, busy, nil, nil)
		blocked := w.press(marlow, w.mei, op.Blocked, []op.Cause{{Code: op.ConsentRevoked, Phase: op.Admission}, {Code: op.CredentialExpired, Phase: op.Admission}}, nil, nil)
		foreign := w.press(harbour, w.olga, op.Blocked, nil, nil, nil)

		all, ana := w.scope(w.mei), w.scope(w.ana)
		for _, tt := range []struct {
			name  string
			scope access.Scope
			f     store.AttemptFilter
			want  []string
		}{
			{"all", all, store.AttemptFilter{}, []string{blocked, hidden, inTheWay, deduped, accepted}},
			{"of a member of one tenant", ana, store.AttemptFilter{}, []string{hidden, inTheWay, deduped, accepted}},
			{"of another workspace", w.scope(w.olga), store.AttemptFilter{}, []string{foreign}},
			{"nobody's", access.Scope{}, store.AttemptFilter{}, nil},
			{"tenant", all, store.AttemptFilter{Tenant: "marlow"}, []string{blocked}},
			{"hidden tenant", ana, store.AttemptFilter{Tenant: "marlow"}, nil},
			{"outcome", all, store.AttemptFilter{Outcome: op.ScopeBusy}, []string{hidden, inTheWay}},
			{"operation", all, store.AttemptFilter{Operation: op.ConnectionVerify}, nil},
			{"actor", all, store.AttemptFilter{Actor: w.ana.ID()}, []string{hidden, inTheWay, deduped}},
			{"mine", all, store.AttemptFilter{Actor: "me"}, []string{blocked, accepted}},
			{"run", all, store.AttemptFilter{Run: strings.ToLower(run.Code)}, []string{deduped, accepted}},
			{"run by id", all, store.AttemptFilter{Run: run.ID}, []string{deduped, accepted}},
			{"no run", all, store.AttemptFilter{Run: "nothing"}, nil},
		} {
			for _, limit := range []int{0, 1, 2} {
				f, got := tt.f, []string(nil)
				f.Limit = limit
				for {
					list, next, err := w.Attempts(ctx, tt.scope, f)
					if err != nil {
						t.Fatalf("%s: %v", tt.name, err)
					}
					for _, a := range list {
						got = append(got, a.ID)
					}
					if f.Cursor = next; next == "" {
						break
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s by %d: %q, want %q", tt.name, limit, got, tt.want)
				}
			}
		}

		result := func(id string, reader access.Actor) op.Result {
			t.Helper()
			a, err := w.Attempt(ctx, w.scope(reader), id)
			if err != nil {
				t.Fatal(err)
			}
			return a.Result(reader, reader.Grants())
		}
		if r := result(accepted, w.ana); r.Outcome() != op.Accepted || r.Run().Code != run.Code || r.Facts().MayMend || r.Facts().Reader != w.ana.ID() || r.Facts().Target.Short != "first" {
			t.Errorf("%+v", r)
		}
		if r := result(deduped, w.mei); r.Outcome() != op.Deduped || r.Run().ID != run.ID || !r.Facts().MayMend {
			t.Errorf("%+v", r)
		}
		if r := result(inTheWay, w.ana); r.Outcome() != op.ScopeBusy || r.Holder() == nil || r.HolderHidden() {
			t.Errorf("%+v", r)
		}
		if r := result(hidden, w.mei); r.Outcome() != op.ScopeBusy || r.Holder() != nil || !r.HolderHidden() {
			t.Errorf("%+v", r)
		}
		if r := result(blocked, w.mei); r.Outcome() != op.Blocked || len(r.Causes()) != 2 || r.Run() != nil {
			t.Errorf("%+v", r)
		}
		if r := (store.Attempt{Outcome: op.Accepted}).Result(w.mei, w.mei.Grants()); r.Outcome() != op.Blocked {
			t.Errorf("an accepted attempt without its run answers %+v", r)
		}
		for _, id := range []string{blocked, foreign, access.NewID(), "", "x", "\x00"} {
			_, err := w.Attempt(ctx, ana, id)
			wantErr(t, err, op.ErrNotFound)
		}
		if list, err := w.JoinedAttempts(ctx, ana, run.Code); err != nil || len(list) != 1 || list[0].ID != deduped {
			t.Errorf("joined: %+v, %v", list, err)
		}
	})
}

func TestNotifications(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		kestrel, marlow := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "marlow", "second")
		notify := func(c tenancy.Connection, to access.Actor) string {
			r, id := w.run(c, nil), access.NewID()
			w.exec(`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at) VALUES ($1, $2, $3, $4, $5, 5)`,
				id, c.WorkspaceID, c.TenantID, to.ID(), r.ID)
			return id
		}
		first, second, third := notify(kestrel, w.mei), notify(kestrel, w.ana), notify(marlow, w.ana)
		fourth := notify(kestrel, w.ana)
		ids := func(a access.Actor, f store.NotificationFilter) (got []string) {
			t.Helper()
			for {
				list, next, err := w.Notifications(ctx, a, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range list {
					got = append(got, n.ID)
					if n.Run.Tenant.Slug == "" {
						t.Errorf("%+v", n)
					}
				}
				if f.Cursor = next; next == "" {
					return got
				}
			}
		}
		if got := ids(w.ana, store.NotificationFilter{Limit: 1}); !slices.Equal(got, []string{fourth, second}) {
			t.Errorf("ana's: %q (%s is about a tenant that she does not see)", got, third)
		}
		if n, err := w.UnreadNotifications(ctx, w.ana); n != 2 || err != nil {
			t.Errorf("%d unread, %v", n, err)
		}
		if got := ids(w.mei, store.NotificationFilter{}); !slices.Equal(got, []string{first}) {
			t.Errorf("mei's: %q", got)
		}
		wantErr(t, w.ReadNotification(ctx, w.mei, second), op.ErrNotFound)
		wantErr(t, w.ReadNotification(ctx, w.olga, second), op.ErrNotFound)
		wantErr(t, w.ReadNotification(ctx, w.ana, "x"), op.ErrNotFound)
		for range 2 {
			if err := w.ReadNotification(ctx, w.ana, second); err != nil {
				t.Error(err)
			}
		}
		if got := ids(w.ana, store.NotificationFilter{Unread: true}); !slices.Equal(got, []string{fourth}) {
			t.Errorf("unread: %q", got)
		}
		_, _, err := w.Notifications(ctx, access.Actor{}, store.NotificationFilter{})
		wantErr(t, err, op.ErrNotFound)
	})
}

func TestResolve(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		resolve := func(tenant, ref string) (r store.Resolved, err error) {
			ta := w.access(w.mei, tenant)
			err = d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
				r, err = w.Resolve(ctx, tx, ta, ref)
				return err
			})
			return r, err
		}
		if r, err := resolve("kestrel", ""); err != nil || r.Connection != nil || r.Count != 0 {
			t.Errorf("no connection: %+v, %v", r, err)
		}
		first, second := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "kestrel", "second")
		third, harbour := w.connection(w.mei, "marlow", "third"), w.connection(w.olga, "harbour", "fourth")
		for _, tt := range []struct{ ref, want string }{
			{"", first.ID},
			{"first", first.ID},
			{"second", second.ID},
			{second.ID, second.ID},
			{strings.ToUpper(second.ID), second.ID},
			{third.ID, ""},
			{"third", ""},
			{harbour.ID, ""},
			{"fourth", ""},
			{access.NewID(), ""},
			{"\x00", ""},
			{"%", ""},
			{" ", ""},
		} {
			r, err := resolve("kestrel", tt.ref)
			if tt.want == "" {
				wantErr(t, err, op.ErrNotFound)
			} else if err != nil || r.Connection.ID != tt.want || r.Count != 2 || r.Default != (tt.ref == "") || r.NameOf(second.ID) != "second" || r.NameOf(third.ID) != "" {
				t.Errorf("%q: %+v, %v", tt.ref, r, err)
			}
		}
		w.exec(`UPDATE connections SET is_default = FALSE`)
		if r, err := resolve("kestrel", ""); err != nil || r.Connection != nil || r.Count != 2 {
			t.Errorf("no default: %+v, %v", r, err)
		}
	})
}

// statements counts what a read sends to the database.
type statements struct {
	db.Tx
	seen []string
}

func (s *statements) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	s.seen = append(s.seen, sql)
	return s.Tx.Query(ctx, sql, args...)
}

func (s *statements) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	s.seen = append(s.seen, sql)
	return s.Tx.QueryRow(ctx, sql, args...)
}

func TestForeignAndMissingRunTheSameStatements(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		own, foreign := w.connection(w.mei, "kestrel", "first"), w.connection(w.olga, "harbour", "second")
		run := w.run(foreign, nil)
		attempt := w.press(foreign, w.olga, op.Blocked, nil, nil, nil)
		ta, scope := w.access(w.mei, "kestrel"), w.scope(w.mei)
		for name, tt := range map[string]struct {
			foreign, missing string
			read             func(ctx context.Context, tx db.Tx, ref string) error
		}{
			"connection": {foreign.ID, access.NewID(), func(ctx context.Context, tx db.Tx, ref string) error {
				_, err := w.Resolve(ctx, tx, ta, ref)
				return err
			}},
			"pinned": {foreign.ID, access.NewID(), func(ctx context.Context, tx db.Tx, ref string) error {
				_, err := w.Pinned(ctx, tx, scope, ref)
				return err
			}},
			"credential": {foreign.ID, access.NewID(), func(ctx context.Context, tx db.Tx, ref string) error {
				c := own
				c.ID = ref
				_, err := w.Credential(ctx, tx, scope, c)
				return err
			}},
			"run": {run.ID, access.NewID(), func(ctx context.Context, tx db.Tx, ref string) error {
				_, err := w.RunIn(ctx, tx, scope, ref)
				return err
			}},
			"run by code": {run.Code, "ZZZZZZ", func(ctx context.Context, tx db.Tx, ref string) error {
				_, err := w.RunIn(ctx, tx, scope, ref)
				return err
			}},
			"attempt": {attempt, access.NewID(), func(ctx context.Context, tx db.Tx, ref string) error {
				_, err := w.AttemptIn(ctx, tx, scope, ref)
				return err
			}},
		} {
			t.Run(name, func(t *testing.T) {
				seen := func(ref string) []string {
					var s statements
					err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
						s = statements{Tx: tx}
						return tt.read(ctx, &s, ref)
					})
					wantErr(t, err, op.ErrNotFound)
					return s.seen
				}
				if a, b := seen(tt.foreign), seen(tt.missing); len(a) == 0 || !slices.Equal(a, b) {
					t.Errorf("foreign: %q\nmissing: %q", a, b)
				}
			})
		}
	})
}

// TestLastRuns: the newest success of each kind, whole or in part, of a tenant or of
// one of its connections.
func TestLastRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		kestrel, second, marlow := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "kestrel", "second"), w.connection(w.mei, "marlow", "third")
		now := time.Now()
		run := func(c tenancy.Connection, kind op.Kind, outcome op.RunOutcome, age time.Duration) string {
			return w.run(c, func(r *op.Run) { r.Operation, r.Outcome, r.AcceptedAt = kind, outcome, now.Add(-age) }).ID
		}
		run(kestrel, op.InventorySync, op.RunSucceeded, 9*time.Hour)
		inventory := run(second, op.InventorySync, op.RunPartial, 5*time.Hour)
		first := run(kestrel, op.InventorySync, op.RunSucceeded, 7*time.Hour)
		run(kestrel, op.InventorySync, op.RunFailed, time.Hour)
		groups := run(kestrel, op.DirectoryGroupsSync, op.RunSucceeded, 6*time.Hour)
		run(marlow, op.ConnectionVerify, op.RunSucceeded, time.Hour)

		kinds := []op.Kind{op.InventorySync, op.DirectoryGroupsSync, op.ConnectionVerify, "no.such"}
		for _, tt := range []struct {
			name       string
			connection string
			kinds      []op.Kind
			want       map[op.Kind]string
		}{
			{"of the tenant", "", kinds, map[op.Kind]string{op.InventorySync: inventory, op.DirectoryGroupsSync: groups}},
			{"of one kind", "", kinds[:1], map[op.Kind]string{op.InventorySync: inventory}},
			{"of no kind", "", nil, map[op.Kind]string{}},
			{"of a connection", kestrel.ID, kinds, map[op.Kind]string{op.InventorySync: first, op.DirectoryGroupsSync: groups}},
			{"of another tenant's connection", marlow.ID, kinds, map[op.Kind]string{}},
		} {
			found, err := w.LastRuns(t.Context(), w.access(w.mei, "kestrel"), tt.connection, tt.kinds)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			got := make(map[op.Kind]string)
			for kind, r := range found {
				got[kind] = r.ID
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	})
}
