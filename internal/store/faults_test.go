package store_test

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestEveryChangeIsOnRecordOrDidNotHappen fails each change at each of its
// points in each way, and compares what changed with what was put on record.
func TestEveryChangeIsOnRecordOrDidNotHappen(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		w.connection(w.mei, "kestrel", "first")
		w.connection(w.mei, "kestrel", "second")
		secret, err := store.ClientSecret("s3cret", nil)
		if err != nil {
			t.Fatal(err)
		}
		is := func(sql string) bool { return w.count(`SELECT COUNT(*) FROM `+sql) > 0 }
		for name, change := range map[string]func(*db.Faults) error{
			"toggle": func(f *db.Faults) error {
				do := w.EnableConnection
				if is(`connections WHERE slug = 'first' AND enabled`) {
					do = w.DisableConnection
				}
				d.WithFaults(f)
				_, err := do(ctx, w.mei, "kestrel", "first")
				return err
			},
			"default": func(f *db.Faults) error {
				ref := "first"
				if is(`connections WHERE slug = 'first' AND is_default`) {
					ref = "second"
				}
				d.WithFaults(f)
				_, err := w.SetDefaultConnection(ctx, w.mei, "kestrel", ref)
				return err
			},
			"credential": func(f *db.Faults) error {
				d.WithFaults(f)
				_, err := w.RotateCredential(ctx, w.mei, "kestrel", "first", secret)
				return err
			},
			"member": func(f *db.Faults) error {
				role := tenancy.Operator
				if is(`members m JOIN users u ON u.id = m.user_id WHERE u.name = 'vic' AND m.role = 'operator'`) {
					role = tenancy.Viewer
				}
				d.WithFaults(f)
				_, err := w.ChangeMember(ctx, w.mei, w.vic.ID(), store.MemberChange{Role: &role})
				return err
			},
			"token": func(f *db.Faults) error {
				d.WithFaults(f)
				_, _, err := access.CreateToken(ctx, d, w.mei, "t", access.MaxTokenTTL, nil)
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				// what there is of the things that change, and how often it is on record
				state := func() (things, records int64) {
					t.Helper()
					return w.count(`SELECT (SELECT COUNT(*) FROM tokens WHERE kind = 'token')
						+ (SELECT 1000 * SUM(credential_version) FROM connections WHERE slug = 'first')
						+ (SELECT COUNT(*) * 1000000 FROM connections WHERE slug = 'first' AND enabled)
						+ (SELECT COUNT(*) * 10000000 FROM connections WHERE slug = 'first' AND is_default)
						+ (SELECT COUNT(*) * 100000000 FROM members WHERE role = 'operator')`), w.count(`SELECT COUNT(*) FROM audit_log`)
				}
				tried := 0
				for _, fault := range []db.Fault{db.Unavailable, db.Busy, db.Timeout, db.ExecuteAndTimeout} {
					for n := 1; ; n++ {
						things, records := state()
						f := db.FaultAt(n, fault)
						err := change(f)
						d.WithFaults(nil)
						now, recorded := state()
						changed := now != things
						if (recorded-records == 1) != changed || recorded-records > 1 {
							t.Errorf("%s at point %d: changed %v, %d records", fault, n, changed, recorded-records)
						}
						if err == nil && !changed {
							t.Errorf("%s at point %d: nothing changed and nobody was told", fault, n)
						}
						if tried++; len(f.Hits()) == 0 {
							break
						}
					}
				}
				if tried < 20 {
					t.Errorf("only %d points were tried", tried)
				}
			})
		}
		if _, err := access.VerifyAudit(ctx, d, w.mei.WorkspaceID()); err != nil {
			t.Error(err)
		}
	})
}
