package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// TestForeignAndMissingTouchTheSame: to a member who sees some tenants, what belongs
// to another tenant is looked for by the same statements, and with the same work,
// as what is not there: so that time can't tell the two apart. What is counted is
// SQLite's steps and PostgreSQL's rows, which are the same on every machine.
func TestForeignAndMissingTouchTheSame(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		own := w.connection(w.mei, "kestrel", "own")
		sister, far := w.connection(w.mei, "marlow", "sister"), w.connection(w.olga, "harbour", "far")
		w.run(own, nil)
		foreign := map[string]struct{ run op.Run }{"of another tenant": {w.run(sister, nil)}, "of another workspace": {w.run(far, nil)}}
		for range 300 { // enough for a planner to think of indexes
			w.run(own, nil)
			w.run(sister, nil)
		}
		w.press(own, w.ana, op.Blocked, nil, nil, nil)
		attempts := map[string]string{
			"of another tenant": w.press(sister, w.mei, op.Blocked, nil, nil, nil), "of another workspace": w.press(far, w.olga, op.Blocked, nil, nil, nil),
		}
		missing := access.NewID() // between the others, as the foreign ones are
		for range 300 {
			w.press(own, w.mei, op.Blocked, nil, nil, nil)
		}
		connections := map[string]string{"of another tenant": sister.ID, "of another workspace": far.ID}
		note := access.NewID()
		w.exec(`INSERT INTO notifications (id, workspace_id, user_id, run_id, created_at) VALUES ($1, $2, $3, $4, 0)`, note, w.mei.WorkspaceID(), w.mei.ID(), foreign["of another tenant"].run.ID)
		_, token, err := access.CreateToken(ctx, d, w.mei, "mei's", access.MaxTokenTTL, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.exec(`ANALYZE`)
		scope, ta := w.scope(w.ana), w.access(w.ana, "kestrel")
		type lookup struct {
			name, foreign, missing string
			ask                    func(ref string) error
		}
		var lookups []lookup
		for where := range foreign {
			r := foreign[where].run
			for name, ref := range map[string][2]string{"id": {r.ID, access.NewID()}, "code": {r.Code, "ZZZZZZ"}} {
				lookups = append(
					lookups,
					lookup{"a run " + where + " by its " + name, ref[0], ref[1], func(ref string) error { _, err := w.Run(ctx, scope, ref); return err }},
					lookup{"items of a run " + where + " by its " + name, ref[0], ref[1], func(ref string) error { _, _, err := w.Items(ctx, scope, ref, "", 0); return err }},
					lookup{"events of a run " + where + " by its " + name, ref[0], ref[1], func(ref string) error { _, err := w.Events(ctx, scope, ref, 0, 0); return err }},
					lookup{"who joined a run " + where + " by its " + name, ref[0], ref[1], func(ref string) error { _, err := w.JoinedAttempts(ctx, scope, ref); return err }},
					lookup{"to act on a run " + where + " by its " + name, ref[0], ref[1], func(ref string) error {
						return d.Write(ctx, func(ctx context.Context, tx db.Tx) error { _, _, err := w.FindRun(ctx, tx, scope, ref); return err })
					}},
				)
			}
			lookups = append(
				lookups,
				lookup{"an attempt " + where, attempts[where], missing, func(ref string) error { _, err := w.Attempt(ctx, scope, ref); return err }},
				lookup{"a connection " + where, connections[where], access.NewID(), func(ref string) error { _, err := w.Connection(ctx, ta, ref); return err }},
			)
		}
		lookups = append(
			lookups,
			lookup{"another's notification", note, access.NewID(), func(ref string) error { return w.ReadNotification(ctx, w.ana, ref) }},
			lookup{"another's token", token.ID, access.NewID(), func(ref string) error { return access.RevokeToken(ctx, d, w.ana, ref) }},
			lookup{"presses of a run", foreign["of another tenant"].run.Code, "ZZZZZZ", func(ref string) error {
				list, _, err := w.Attempts(ctx, scope, store.AttemptFilter{Run: ref})
				if err == nil && len(list) == 0 {
					err = op.ErrNotFound
				}
				return err
			}},
		)
		recording := dbtest.Record(d)
		for _, l := range lookups {
			t.Run(l.name, func(t *testing.T) {
				work := func(ref string) (texts, costs []string) {
					recording.Take()
					if err := l.ask(ref); err == nil || !strings.Contains(err.Error(), op.ErrNotFound.Error()) {
						t.Fatalf("%s: got %v, want not found", ref, err)
					}
					for _, s := range recording.Take() {
						c, err := dbtest.CostOf(ctx, d, s)
						if err != nil {
							t.Fatal(err)
						}
						texts = append(texts, s.SQL)
						costs = append(costs, fmt.Sprintf("%d rows, %d steps: %s", c.Rows, c.Steps, s.SQL))
					}
					recording.Take()
					return texts, costs
				}
				foreignTexts, foreignCosts := work(l.foreign)
				missingTexts, missingCosts := work(l.missing)
				if len(foreignTexts) == 0 || !slices.Equal(foreignTexts, missingTexts) {
					t.Errorf("other statements:\n%q\n%q", foreignTexts, missingTexts)
				}
				if !slices.Equal(foreignCosts, missingCosts) {
					t.Errorf("other work:\n%s\n\n%s", strings.Join(foreignCosts, "\n"), strings.Join(missingCosts, "\n"))
				}
			})
		}
	})
}
