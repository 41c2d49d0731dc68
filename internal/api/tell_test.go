package api

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// BenchmarkTellApart measures whether time tells what one may not see from what is
// not there: the chance that a foreign answer takes longer than a missing one, 0.5
// when time tells nothing (the area under the curve). Pairs are asked in turn, in
// either order, each about another thing; "nothing" compares missing with missing,
// which shows how far chance goes. It is by hand: make auc.
func BenchmarkTellApart(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			d := dbtest.New(b, engine)
			w := gatetest.New(b, d)
			st := store.New(d, w.Root, store.Options{})
			quiet := slog.New(slog.DiscardHandler)
			g, err := gate.New(d, st, gate.Config{Logger: quiet})
			if err != nil {
				b.Fatal(err)
			}
			handler := New(Deps{Door: httpx.NewDoor(d, access.Limits{}, access.NewFactors(w.Root, "")), Store: st, Mirror: mirror.New(d, st), Gate: g, Flow: flow.New(d, st, g), Logger: quiet})
			kestrel, wren := w.Tenant(w.Workspace, "kestrel", "Kestrel"), w.Tenant(w.Workspace, "wren", "Wren")
			confined := w.Member("Cora", "cora@lattice.example", tenancy.Operator)
			w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, confined.ID())
			w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, confined.ID(), kestrel)

			const things = 500
			var foreign, missing, absent []thing
			for i := range things {
				f := thing{access.NewID(), fmt.Sprintf("F%05d", i), access.NewID()}
				write(w, wren, f)
				write(w, kestrel, thing{access.NewID(), fmt.Sprintf("K%05d", i), access.NewID()})
				foreign = append(foreign, f)
				missing = append(missing, thing{access.NewID(), fmt.Sprintf("M%05d", i), access.NewID()})
				absent = append(absent, thing{access.NewID(), fmt.Sprintf("N%05d", i), access.NewID()})
			}
			w.Exec(`ANALYZE`)
			for who, secret := range map[string]string{"confined": w.Bearer(confined), "outsider": w.Bearer(w.Outsider)} {
				took := func(method, path string) time.Duration {
					r := httptest.NewRequestWithContext(b.Context(), method, Base+path, nil)
					r.Header.Set("Authorization", "Bearer "+secret)
					out := httptest.NewRecorder()
					began := time.Now()
					handler.ServeHTTP(out, r)
					took := time.Since(began)
					if out.Code != http.StatusNotFound {
						b.Fatalf("%s %s is answered with %d", method, path, out.Code)
					}
					return took
				}
				for name, c := range map[string]struct {
					method string
					path   func(thing) string
				}{
					"run by id":   {http.MethodGet, func(t thing) string { return "/runs/" + t.id }},
					"run by code": {http.MethodGet, func(t thing) string { return "/runs/" + t.code }},
					"cancel":      {http.MethodPost, func(t thing) string { return "/runs/" + t.code + "/cancel" }},
					"attempt":     {http.MethodGet, func(t thing) string { return "/attempts/" + t.attempt }},
				} {
					for against, with := range map[string][]thing{"foreign": foreign, "nothing": absent} {
						b.Run(who+"/"+name+"/"+against, func(b *testing.B) {
							var theirs, none []time.Duration
							ask := func(i int, list []thing, into *[]time.Duration) {
								*into = append(*into, took(c.method, c.path(list[i%things])))
							}
							for i := range b.N {
								if rand.IntN(2) == 0 {
									ask(i, with, &theirs)
									ask(i, missing, &none)
								} else {
									ask(i, missing, &none)
									ask(i, with, &theirs)
								}
							}
							b.ReportMetric(auc(theirs, none), "AUC")
						})
					}
				}
			}
		})
	}
}

// thing is a run with its attempt, or one that is not there.
type thing struct{ id, code, attempt string }

// write puts a run and an attempt of a tenant on record.
func write(w *gatetest.World, tenant string, t thing) {
	w.Exec(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters, target,
		initiator_id, initiator, fence, accepted_at)
		VALUES ($1, $2, $3, 'c', $4, 'inventory.sync', 'api', 'finished', 'succeeded', 'f', '{}', '{}', 'u', 'Mei', 1, 1)`, t.id, w.Workspace, tenant, t.code)
	w.Exec(`INSERT INTO start_attempts (id, workspace_id, tenant_id, connection_id, operation, actor_id, actor, surface, outcome, reason, causes,
		fingerprint, parameters, target, facts, idem_key, request_id, at, last_at)
		VALUES ($1, $2, $3, 'c', 'inventory.sync', 'u', 'Mei', 'api', 'blocked', 'x', '[]', 'f', '{}', '', '', 'k', 'r', 1, 1)`, t.attempt, w.Workspace, tenant)
}

// auc is the chance that one of a took longer than one of b, ties counting half.
func auc(a, b []time.Duration) float64 {
	slices.Sort(b)
	sum := 0.0
	for _, x := range a {
		below, _ := slices.BinarySearch(b, x)
		upTo, _ := slices.BinarySearch(b, x+1)
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(a)) / float64(len(b))
}

func TestAUC(t *testing.T) {
	ms := func(n ...time.Duration) []time.Duration { return n }
	for _, tt := range []struct {
		a, b []time.Duration
		want float64
	}{
		{ms(1, 2, 3), ms(3, 1, 2), 0.5}, {ms(4, 5), ms(1, 2), 1}, {ms(1, 2), ms(4, 5), 0}, {ms(2), ms(2), 0.5}, {ms(3, 1), ms(2), 0.5},
	} {
		if got := auc(tt.a, tt.b); got != tt.want {
			t.Errorf("of %v and %v it is %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
